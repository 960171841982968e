"""What may stand on the command line: every verb declared once, and the help that follows from it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from backend.parsing import REPEATED, Listed, Parser, Version

_ABOUT = """\
Every host, GPU and container of your servers on one screen.
Without a verb, berth opens the dashboard."""
_END = """\
configuration: {directory}
  hosts.yaml, contexts/NAME.yaml, settings.yaml and sync.yaml; elsewhere by --config or BERTH_CONFIG_DIR.
  Without any file berth shows this machine.

exit codes: 0 done, 1 failed, 2 usage or configuration, 3 host unreachable, 4 no such target, 5 refused, 130 \
cancelled"""


def parser(
    *, actions: bool = True, separated: bool = False, verb: str | None = None
) -> argparse.ArgumentParser:
    """The whole command line; without `actions` only what `VERBS` declares, which loads nothing.

    `separated`: see `backend.verbs.add_verbs`. `verb`: the one that will be parsed; others may be left out.
    """
    root = Parser(
        prog="berth",
        description=_ABOUT,
        allow_abbrev=False,
    )
    _common(root)
    root.add_argument("--version", action=Version, nargs=0, help="show the version and end")
    verbs = root.add_subparsers(
        dest="verb", prog="berth", metavar="VERB", help=argparse.SUPPRESS, parser_class=Parser
    )
    for fixed in VERBS if verb is None else ():
        made = verbs.add_parser(fixed.name, help=fixed.short, description=fixed.about, allow_abbrev=False)
        _common(made, again=True)
        fixed.options(made)
    root.end = _END
    root.groups = [(fixed.group, fixed.name, fixed.short) for fixed in VERBS]
    if actions:
        from backend.actions import load
        from backend.verbs import add_verbs, overview

        declared = load(verb)
        add_verbs(verbs, declared, separated=separated, common=lambda made: _common(made, again=True))
        own = {fixed.name: fixed for fixed in VERBS}
        below = {name: short for _, name, short in overview(declared)}
        root.groups = [
            (group, name, f"{short}; and: {below[name]}" if name in below else short)
            for group, name, short in root.groups
        ]
        root.groups += [each for each in overview(declared) if each[1] not in own]
    return root


def words(argv: Sequence[str]) -> list[str]:
    """A command line from its verb on: without what may stand before it."""
    left = list(argv)
    while left and left[0].startswith("-"):
        left = left[2 if left[0] == "--config" else 1 :]
    return left


def is_fixed(argv: Sequence[str]) -> bool:
    """Whether it asks for a verb of `VERBS`, or for the dashboard.

    A list takes no words of its own: one that follows it (`images prune`) is a verb that an action gives.
    """
    left = words(argv)
    asks = {"-h", "--help"} & set(argv[: len(argv) - len(left)])
    if not left or asks:
        return not asks if not left else left[0] in {verb.name for verb in VERBS}
    if left[0] in LISTS and set(left[1:]) & {"-h", "--help"}:
        return False  # its help names the verbs below it
    acts = left[0] in LISTS and left[1:] and not left[1].startswith("-")
    return not acts and left[0] in {verb.name for verb in VERBS}


def _common(to: argparse.ArgumentParser, again: bool = False) -> None:
    """Options that may stand before and after the verb; `again`: what stood before it is kept."""
    keep = argparse.SUPPRESS
    to.add_argument(
        "--config",
        type=Path,
        metavar="DIR",
        default=keep if again else None,
        help="folder of the configuration",
    )
    to.add_argument(
        "--read-only",
        action="store_true",
        default=keep if again else False,
        help="offer nothing that changes anything",
    )


def _which(to: argparse.ArgumentParser, json: str) -> None:
    """What every list takes. `json`: how it is then printed."""
    to.add_argument("--json", action="store_true", help=json)
    to.add_argument("--host", action=Listed, metavar="HOST", help=f"only these hosts; {REPEATED}")


def _list(to: argparse.ArgumentParser) -> None:
    _which(to, "print one JSON array; with --watch one per line")
    to.add_argument(
        "--watch",
        nargs="?",
        const=0.0,
        type=_seconds(0.5, 60),
        metavar="SECONDS",
        help="go on until Ctrl+C, print again whenever something changed; hosts are sampled every SECONDS "
        "(0.5-60, default: the interval of settings.yaml)",
    )
    to.add_argument(
        "--timeout",
        type=_seconds(0.1, 3600),
        default=10.0,
        metavar="SECONDS",
        help="how long hosts may take to answer (default: 10)",
    )


def _jobs(to: argparse.ArgumentParser) -> None:
    _list(to)
    which = to.add_mutually_exclusive_group()
    which.add_argument("--all", "-a", action="store_true", help="also those that have ended")
    which.add_argument("--ended", action="store_true", help="only those that have ended, newest first")
    to.add_argument("--owner", default="", metavar="USER", help="only those of this user")
    to.add_argument(
        "-n", "--limit", type=_number(0, 1_000_000), default=0, metavar="N", help="at most so many; 0 is all"
    )


def _activity(to: argparse.ArgumentParser) -> None:
    _which(to, "print one JSON array, with all that they said")
    to.add_argument("-n", "--limit", type=_number(1, 500), default=50, metavar="N", help="how many (50)")


def _doctor(to: argparse.ArgumentParser) -> None:
    to.add_argument("hosts", nargs="*", metavar="HOST", help="hosts to check (default: all)")
    to.add_argument("--json", action="store_true", help="print one JSON array of all checks")


def _serve(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--bind",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen (127.0.0.1: this machine alone). Elsewhere all goes over the network "
        "unencrypted, the token included; ssh -L is safer",
    )
    to.add_argument(
        "--port",
        type=_number(0, 65535),
        default=8000,
        metavar="N",
        help="the port (8000); 0: any that is free",
    )
    to.add_argument(
        "--tabs", type=_number(1, 100), default=8, metavar="N", help="how many tabs there may be at once (8)"
    )
    to.add_argument("--open", action="store_true", help="open a browser on it")


def _completion(to: argparse.ArgumentParser) -> None:
    to.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")


def _nothing(to: argparse.ArgumentParser) -> None:
    """It has no options."""


def _help(to: argparse.ArgumentParser) -> None:
    to.add_argument("words", nargs="*", metavar="VERB", help="the words of the verb; none: all verbs")


class Verb(NamedTuple):
    """One verb."""

    name: str
    group: str
    """Its heading in the help."""
    short: str
    """One line for that help and for completion."""
    about: str
    """What `berth VERB --help` begins with."""
    options: Callable[[argparse.ArgumentParser], None]


VERBS = (
    Verb(
        "hosts",
        "lists",
        "state, load, memory, GPUs and containers of each host",
        "List all hosts with their state and load.",
        _list,
    ),
    Verb(
        "gpus",
        "lists",
        "all GPUs: how busy, who uses them, which are free",
        "List all GPUs with their load, memory, users and processes.",
        _list,
    ),
    Verb(
        "ps",
        "lists",
        "the containers of all hosts",
        "List all containers with their state, load, memory, GPUs and owner.",
        _list,
    ),
    Verb(
        "contexts",
        "lists",
        "contexts and the state of their containers",
        "List all contexts with the state of their container.",
        _list,
    ),
    Verb(
        "jobs",
        "lists",
        "the jobs of all queues: what runs, what waits and why",
        "List the jobs of all queues, those of clusters too: what runs, what waits, why, and until when.",
        _jobs,
    ),
    Verb(
        "nodes",
        "lists",
        "the nodes of all clusters: state, GPUs, CPUs and memory in use",
        "List the nodes of all clusters with their state and what of them is in use.",
        _list,
    ),
    Verb(
        "partitions",
        "lists",
        "the partitions of all clusters and their free GPUs",
        "List the partitions of all clusters with their state, time limit and free GPUs.",
        _list,
    ),
    Verb(
        "images",
        "lists",
        "the images of all hosts: size, age, who uses them, whether they are fresh",
        "List all images with their size, age, who uses them, and how they stand to their recipe.",
        _list,
    ),
    Verb(
        "sessions",
        "lists",
        "the tmux sessions of all hosts",
        "List all tmux sessions with what runs in them.",
        _list,
    ),
    Verb(
        "tunnels",
        "lists",
        "the tunnels that are open: where they lead, and what goes through",
        "List all tunnels of this user on this machine, whichever berth holds them.",
        _list,
    ),
    Verb(
        "activity",
        "what was done",
        "actions that were done by this and other berths, and how they ended",
        "List what was done, newest first.",
        _activity,
    ),
    Verb(
        "serve",
        "the dashboard",
        "the dashboard in a browser, on this machine alone unless you say otherwise",
        "Show the dashboard in a browser. Each tab is a dashboard of its own, and ends when it is closed. "
        "Only who has the address that is printed gets in: it holds a token.",
        _serve,
    ),
    Verb(
        "doctor",
        "checks",
        "what stands between berth and a host, and how to mend it",
        "Check hosts step by step: name, connection, host key, login, python3, engine, GPU driver, tmux. "
        "What fails is shown with the way to mend it.",
        _doctor,
    ),
    Verb(
        "completion",
        "shell",
        "completion of verbs, options and hosts for bash, zsh or fish",
        "Print a completion script: `source <(berth completion bash)` in ~/.bashrc, the same with zsh in "
        "~/.zshrc after compinit, `berth completion fish | source` in config.fish.\n\n"
        "Names of contexts and profiles come from the configuration, those of recipes from their folders, of "
        "tunnels and mounts from what holds them, those of containers, sessions and jobs from what berth saw "
        "last: no host is asked while you type.",
        _completion,
    ),
    Verb("man", "shell", "the manual page, for man -l", "Print the manual page, berth(1).", _nothing),
    Verb(
        "help",
        "shell",
        "all about a verb: berth help context new",
        "Show the help of a verb, as `berth VERB --help` does.",
        _help,
    ),
)
LISTS = tuple(verb.name for verb in VERBS if verb.group == "lists")


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def read(written: str) -> float:
        try:
            seconds = float(written)
        except ValueError:
            seconds = -1.0
        if not low <= seconds <= high:
            raise argparse.ArgumentTypeError(f"{written!r} is not {low:g}-{high:g} seconds")
        return seconds

    return read


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(written: str) -> int:
        if not written.isdecimal() or not low <= int(written) <= high:
            raise argparse.ArgumentTypeError(f"{written!r} is not {low}-{high}")
        return int(written)

    return read
