"""Completion for shells, generated from the command line's own parser: what it knows is what is completed.

Names of hosts, containers, jobs and so on are asked of hidden verbs (`berth _hosts`, see `names`) while the
person types. Some of them were chosen on hosts by others: they are never put where a shell would expand them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from backend.names import PLACES as ASKED

IMPLIED = {"disk": "disk show", "sync": "sync run", "tunnel": "tunnel hold"}
"""Verbs that may be followed at once by what their usual one takes: `berth sync PROFILE`."""
DIRECTORY = "DIR"
FILES = ("FILE", "PATH")
"""Places of files; where a shell knows nothing better it offers files anyway."""


class Option(NamedTuple):
    """A flag of a verb."""

    flag: str
    """The long one: the one that is offered."""
    help: str
    takes: str
    """What has to follow it: nothing, a key of `ASKED`, `DIR` or something that cannot be completed."""

    short: str = ""
    """`-g`, where it has one."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that may be typed for it."""
        return (self.flag, self.short) if self.short else (self.flag,)


class Verb(NamedTuple):
    """A verb with what may follow it; the name is empty for berth itself."""

    name: str
    """`context show` for one of several words."""
    help: str
    options: tuple[Option, ...]
    words: tuple[str, ...] = ()
    """Fixed words that may follow."""
    asks: tuple[str, ...] = ()
    """Hidden verbs that list what may follow."""
    nested: bool = False
    """Whether the words are verbs."""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script for bash, zsh or fish."""
    from backend import shells

    return {"bash": shells.bash, "zsh": shells.zsh, "fish": shells.fish}[shell](_verbs(parser))


def _verbs(parser: argparse.ArgumentParser) -> list[Verb]:
    """Berth itself, then all verbs, those of several words after their first."""
    root, *verbs = _walk("", "", parser)
    by_name = {verb.name: verb for verb in verbs}
    by_name["help"] = by_name["help"]._replace(words=root.words)
    for name, implied in IMPLIED.items():
        if name in by_name and implied in by_name:
            meant = by_name[implied]
            options = (*by_name[name].options, *meant.options)
            by_name[name] = by_name[name]._replace(asks=meant.asks, options=tuple(dict.fromkeys(options)))
    return [root, *by_name.values()]


def _walk(name: str, help: str, parser: argparse.ArgumentParser) -> Iterator[Verb]:
    options: list[Option] = []
    words: list[str] = []
    asks: list[str] = []
    children: list[tuple[str, str, argparse.ArgumentParser]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            children += [(word, helps.get(word, ""), child) for word, child in action.choices.items()]
            continue
        if not action.option_strings:
            words += map(str, action.choices or ())
            asks += [verb for place, verb in ASKED.items() if action.metavar == place]
            continue
        takes = "" if action.nargs in (0, "?") else str(action.metavar or "VALUE")
        flag = max(action.option_strings, key=len)
        short = next((name for name in action.option_strings if not name.startswith("--")), "")
        about = (action.help or "").replace("%%", "%").split(";")[0].split(" (")[0]
        options.append(Option(flag, about, takes, short if short != flag else ""))
    words += [word for word, _, _ in children]
    yield Verb(name, help, tuple(options), tuple(words), tuple(asks), bool(children))
    for word, about, child in children:
        yield from _walk(f"{name} {word}".strip(), about, child)
