"""Actions as verbs of the command line: the arguments that follow from their declarations.

berth VERB TARGET... [options]          every action with a verb
berth exec TARGET COMMAND...            what is left belongs to the command
berth exec TARGET TARGET -- COMMAND...  several targets, the command behind `--`
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backend.actions.registry import Action, Param
from backend.model import ContainerRow, ContextRow, GpuRow, HostRow, ImageRow, JobRow, SessionRow, TunnelRow
from backend.parsing import REPEATED, Listed

TARGETS: dict[Any, tuple[str, str]] = {
    ContainerRow: (
        "HOST/NAME",
        "container as HOST/NAME, name of a context, or NAME where only one host has it",
    ),
    ContextRow: ("CONTEXT", "context"),
    HostRow: ("HOST", "host"),
    SessionRow: ("HOST/SESSION", "session as HOST/NAME"),
    JobRow: ("HOST/NUMBER", "job as HOST/NUMBER, or NUMBER where only one host has it"),
    GpuRow: ("HOST/INDEX", "GPU as HOST/INDEX"),
    ImageRow: ("IMAGE", "image by name or id, with --host where several hosts have it; or HOST/IMAGE"),
    TunnelRow: ("ID", "tunnel by its id in berth tunnels, or by its port here"),
}
"""How a target of each kind is written."""
BRANCHES = {
    "context": "What you work in: a host, an image, a container, and how to run it.",
    "disk": "What takes up room on hosts, and how to get it back. `berth disk [HOST ...]` shows it.",
    "edf": "Environment files of clusters: what runs a container there reads them.",
    "image": "One image of a host.",
    "job": "One job, or several, of a queue or a cluster.",
    "ownership": "Owner, group and modes of shared folders are kept right while containers write into them.",
    "private": "Your git identity and SSH keys in containers.",
    "queue": "The queue of a host, or a cluster, as a whole.",
    "session": "One tmux session of a host.",
    "sync": "Files go between this machine and hosts as profiles say. `berth sync PROFILE` carries one out.",
    "tunnel": "Ports of this machine that lead to services, containers and hosts. "
    "`berth tunnel CONTEXT jupyter` and the like hold some open until Ctrl+C.",
    "workspace": "Folders of code with hooks that yield an image, and a container with run-data at /data.",
}
"""What verbs of several words are about, by the first of them."""
METAVARS = {
    "authorized_keys": "FILE",
    "begin": "TIME",
    "build": "BUILD",
    "context": "CONTEXT",
    "data": "PATH",
    "env": "NAME=VALUE",
    "host": "HOST",
    "into": "PATH",
    "key": "FILE",
    "local": "PORT",
    "mount": "SOURCE:TARGET",
    "outfile_name": "NAME",
    "packages": "PACKAGE",
    "pid": "PID",
    "port": "PORT",
    "profile": "PROFILE",
    "root": "DIR",
    "time": "TIME",
    "tool": "PACKAGE",
    "unused_for": "DAYS",
    "up": "CONTEXT",
}
"""What is written for a parameter in help, where that is not its name."""
CP = "cp"
_LISTED = ("host", "tag")
_MANY = "; several, and patterns like HOST/*, are possible"


def split(
    argv: Sequence[str], words: Sequence[str], actions: Mapping[str, Action]
) -> tuple[list[str], list[str] | None]:
    """Take off what stands behind `--`, where the verb takes the rest of the line; else None and all of it.

    `words` is `argv` from the verb on.
    """
    for action in actions.values():
        takes_rest = any(param.option.many for param in action.params)
        if takes_rest and "--" in words and tuple(words[: len(action.verb)]) == action.verb:
            at = list(argv).index("--")
            return list(argv[:at]), list(argv[at + 1 :])
    return list(argv), None


def overview(actions: Mapping[str, Action]) -> list[tuple[str, str, str]]:
    """Heading, name and one line of each verb, for the help; sub-commands of one word on one line."""
    found: dict[str, tuple[str, str, str]] = {}
    for action in actions.values():
        if action.verb:
            first = action.verb[0]
            short = action.summary.rstrip(".") if len(action.verb) == 1 else _branch_help((first,), actions)
            found.setdefault(first, (action.group.lower() or "more", first, short))
    if "copy-in" in found:
        found[CP] = (found["copy-in"][0], CP, "Copy between this machine and a container")
    return list(found.values())


def add_verbs(
    subparsers: Any,
    actions: Mapping[str, Action],
    *,
    separated: bool = False,
    common: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> None:
    """Add a sub-command for each action with a verb to `ArgumentParser.add_subparsers()`.

    `common` adds the options that every verb has.
    `separated`: the command line holds `--`; what is behind it was taken off and is `run_verb`'s `rest`.
    """
    branches: dict[tuple[str, ...], Any] = {(): subparsers}
    if "copy-in" in actions:
        _add_cp(subparsers, common)
    for action in actions.values():
        if not action.verb:
            continue
        *path, name = action.verb
        for depth in range(len(path)):
            words = tuple(path[: depth + 1])
            if words not in branches:
                branches[words] = _branch(branches[words[:-1]], words, actions)
        branch = branches[tuple(path)]
        parser = branch.add_parser(
            name,
            help=action.summary.rstrip(".").replace("%", "%%"),
            description=f"{action.summary}\n\n{action.details}".strip().replace("%", "%%"),
            allow_abbrev=False,
        )
        common(parser)
        parser.set_defaults(action=action.name)
        _arguments(parser, action, separated)


def _branch(parent: Any, words: tuple[str, ...], actions: Mapping[str, Action]) -> Any:
    """The place for verbs that begin with these words; a list of that name (`images`) stays one."""
    known = parent.choices.get(words[-1])
    helps = {"help": _branch_help(words, actions), "description": BRANCHES.get(" ".join(words), "")}
    made = known or parent.add_parser(words[-1], **helps)
    return made.add_subparsers(dest="verb_" + "_".join(words), metavar="VERB", required=known is None)


def _add_cp(subparsers: Any, common: Callable[[argparse.ArgumentParser], None]) -> None:
    """`cp`, as people know it from docker: one verb for the two directions."""
    parser = subparsers.add_parser(
        "cp",
        help="Copy between this machine and a container",
        description="Copy a file or folder out of a container (HOST/NAME:PATH TARGET) or into one "
        "(SOURCE HOST/NAME:PATH). The same as copy-out and copy-in.",
        allow_abbrev=False,
    )
    common(parser)
    parser.set_defaults(action=CP)
    parser.add_argument("source", metavar="SOURCE", help="HOST/NAME:PATH, or a path here")
    parser.add_argument("target", metavar="TARGET", help="a path here, or HOST/NAME:PATH")
    parser.add_argument("--overwrite", action="store_true", help="replace what has that name")
    parser.add_argument("--yes", "-y", action="store_true", help="answer questions on the way with yes")
    parser.add_argument("--json", action="store_true", help="print one JSON array with a result per target")


def _branch_help(words: Sequence[str], actions: Mapping[str, Action]) -> str:
    inside = [each.verb[len(words)] for each in actions.values() if each.verb[: len(words)] == tuple(words)]
    return f"{', '.join(dict.fromkeys(inside))}"


def takes_last(action: Action) -> bool:
    """Whether it means the context that was used last where none is named."""
    return action.on is ContextRow and not any(
        param.option.positional or param.option.many for param in action.params
    )


def _arguments(parser: argparse.ArgumentParser, action: Action, separated: bool) -> None:
    rest = next((param for param in action.params if param.option.many), None)
    if action.on is not None:
        metavar, about = TARGETS[action.on]
        several = action.bulk and (rest is None or separated)
        last = takes_last(action)
        default = "the one used last" if last else action.unnamed
        nargs: Any = ("*" if default else "+") if several else ("?" if default else 1)
        about += _MANY if several else ""
        parser.add_argument(
            "targets",
            nargs=nargs,
            metavar=metavar,
            help=about + (f"; default: {default}" if default else ""),
        )
    if action.on is ImageRow:
        parser.add_argument(
            "--host",
            dest="image_hosts",
            metavar="HOST",
            help="the host it is on" + (f"; {REPEATED}" if action.bulk else ""),
            **({"action": Listed} if action.bulk else {"nargs": 1}),
        )
    for param in action.params:
        if param is rest:
            if not separated:
                parser.add_argument(
                    dest(param), nargs=argparse.REMAINDER, metavar=param.name.upper(), help=param.option.help
                )
        elif param.option.positional:
            _positional(parser, param)
        elif not param.option.secret:
            _flag(parser, param)
    if action.danger:
        parser.add_argument("--yes", "-y", action="store_true", help="do not ask, the answer is yes")
    elif not action.terminal and not action.streams:
        parser.add_argument("--yes", "-y", action="store_true", help="answer questions on the way with yes")
    if not action.terminal:
        parser.add_argument(
            "--json",
            action="store_true",
            help=_json_help(action),
        )


def _json_help(action: Action) -> str:
    if action.streams and action.page:
        return "print one JSON object"
    if action.streams and action.prints and not action.unnamed:
        return "print one JSON object per line"
    return "print one JSON array with a result per target"


def _positional(parser: argparse.ArgumentParser, param: Param) -> None:
    more: dict[str, Any] = {} if param.kind is str else {"type": param.kind}
    if param.many:
        more["nargs"] = "+" if param.required else "*"
    elif not param.required:
        more["nargs"] = "?"
    parser.add_argument(
        dest(param),
        metavar=_metavar(param),
        # argparse holds a default that is a text, SUPPRESS too, against the choices
        default=None if param.choices else argparse.SUPPRESS,
        choices=param.choices or None,
        help=_help(param),
        **more,
    )


def _flag(parser: argparse.ArgumentParser, param: Param) -> None:
    names = [f"--{(param.option.flag or param.name).lstrip('-').replace('_', '-')}"]
    if param.option.short:
        names.append(f"-{param.option.short.lstrip('-')}")
    about: dict[str, Any] = {"dest": dest(param), "default": argparse.SUPPRESS, "help": _help(param)}
    if param.kind is bool:
        both = param.default or param.optional
        parser.add_argument(*names, action=argparse.BooleanOptionalAction if both else "store_true", **about)
        return
    if is_listed(param):
        about["action"] = Listed
    elif param.many:
        about["action"] = "extend" if param.option.several else "append"
        if param.option.several:
            about["nargs"] = "+"
    parser.add_argument(
        *names,
        type=param.kind,
        choices=param.choices or None,
        required=param.required,
        metavar=None if param.choices else _metavar(param),
        **about,
    )


def is_listed(param: Param) -> bool:
    """Whether it is `--host` or `--tag` of several hosts, which all verbs take in the same ways."""
    return param.many and not param.option.positional and param.name in _LISTED


def _metavar(param: Param) -> str:
    if param.option.place or param.option.host:
        return param.option.place or "HOST"
    number = "N" if param.kind is int else ""
    return METAVARS.get(param.name) or number or param.name.upper().replace("_", "-")


def dest(param: Param) -> str:
    """Where argparse keeps it: apart from its own words, whatever the parameter is called."""
    return f"option_{param.name}"


def _help(param: Param) -> str:
    text = param.option.help.replace("%", "%%")
    if param.many and not param.option.positional:
        text += f"; {REPEATED}" if is_listed(param) else "; may be given repeatedly"
    told = (
        param.kind is not bool and not param.many and not param.required and param.default not in ("", None)
    )
    return f"{text} (default: {param.default})" if told else text
