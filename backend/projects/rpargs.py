"""rp's own command lines -> ours, so that fingers and scripts need not change.

rp run --script="x.sh a" --cpu=2 --gpu=1 --mem=8 --outfile_name=r --detach=True
rp enter --cpu=1 --mem=4 --gpu=0
rp kill pid=1234
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_FLAGS = {
    "--cpu": "--cpus",
    "--gpu": "--gpus",
    "--memory": "--mem",
    "--outfile_name": "--outfile-name",
    "--docker_shm": "--shm",
}
_SWITCHES = {"--detach": ("--detach",), "--stdout_to_file": ()}
_YES = frozenset({"true", "1", "yes"})
_NO = frozenset({"false", "0", "no"})


def translate(argv: Sequence[str], at: int) -> list[str]:
    """A command line in rp's words, in ours. `at`: where the verb stands."""
    before, verb, rest = list(argv[:at]), argv[at], list(argv[at + 1 :])
    if verb == "kill" and any(word.startswith(("pid=", "--pid=")) for word in rest):
        named = [word.lstrip("-").removeprefix("pid=") if "pid=" in word else word for word in rest]
        return [*before, "job", "kill", *named, *([] if {"--yes", "-y"} & set(rest) else ["--yes"])]
    if verb == "enter" and not _names_a_target(rest):
        verb = "shell"
    if verb not in ("run", "shell"):
        return list(argv)
    return [*before, verb, *_options(rest)]


def _names_a_target(rest: Sequence[str]) -> bool:
    """`rp enter` takes options with `=` alone, inside a project; ours takes a container."""
    if not rest:
        return not Path(".rp/info.json").is_file()
    return not all(word.startswith(("--cpu", "--gpu", "--mem", "--docker_shm")) for word in rest)


def _options(rest: Sequence[str]) -> list[str]:
    out: list[str] = []
    for place, word in enumerate(rest):
        if word == "--":
            return [*out, *rest[place:]]
        name, equals, value = word.partition("=")
        if name in _SWITCHES and equals and value.lower() in _YES | _NO:
            out += _SWITCHES[name] if value.lower() in _YES else ()
        elif name in _FLAGS:
            out.append(_FLAGS[name] + equals + value)
        else:
            out.append(word)
    return out
