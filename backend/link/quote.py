"""An argument list as one line for a login shell, whichever that is."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_DISPUTED = frozenset("\\!\n\r")
"""Inside single quotes these mean themselves to sh, bash, zsh and ksh, but not to fish (backslash) or csh."""
_INSIDE = (
    "readonly -p >/dev/null && "
    """eval 'sh() { unset -f sh; _berth=$2; shift 3; eval "$_berth"; }'"""
)


def command_line(argv: Sequence[str]) -> str:
    """The line that makes any login shell run `argv`, each argument as it is."""
    plain = shlex.join(argv)
    if _DISPUTED.isdisjoint(plain):
        return plain
    return _encoded(f"exec {plain}")


def script_line(script: str, argv: Sequence[str]) -> str:
    """The line that runs a script of `sh` with these arguments: in the login shell itself, where it is one
    that can (`$_berth` is set then), else in an `sh` that it starts.

    Only a shell that knows `readonly` takes up a function by the name of sh, which is gone before the script
    runs. To fish and csh that is an unknown command, and sh is the program.
    """
    plain = shlex.join(["sh", "-c", script, "berth", *argv])
    if not _DISPUTED.isdisjoint(plain):
        plain = _encoded(f"set -- {shlex.join(argv)}; {script}") + " berth"
    return f"{_INSIDE}; {plain}"


def _encoded(text: str) -> str:
    octal = "".join(f"\\{byte:03o}" for byte in text.encode("utf-8", "surrogateescape"))
    return f"""sh -c 'eval "$(printf "{octal}")"'"""
