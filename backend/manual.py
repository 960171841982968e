"""What there is to say about a verb, taken from its parser: for its help, the manual page and the docs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

EVERYWHERE = frozenset({"help", "config", "read_only"})
"""Where argparse keeps the options that all verbs have: told once, not with each."""

CHAPTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Look", ("lists", "what was done", "checks")),
    ("Containers", ("container", "private things")),
    ("Shells and sessions", ("enter", "sessions")),
    ("Contexts", ("contexts",)),
    ("Jobs", ("jobs", "queue")),
    ("Images", ("images", "clusters", "repositories")),
    ("Workspaces", ("workspaces",)),
    ("Files", ("sync", "mounts", "ownership")),
    ("Tunnels", ("tunnels",)),
    ("Hosts", ("hosts", "prepare", "everywhere", "disk")),
)
"""What people do, and the groups of verbs that belong to it. Other groups are chapters of their own."""
LAST = ("berth itself", ("shell", "the dashboard"))


class Entry(NamedTuple):
    """An argument or an option."""

    names: str
    """`-g, --gpus N`."""
    help: str


class Page(NamedTuple):
    """One verb, or berth itself."""

    words: tuple[str, ...]
    """Empty for berth itself."""
    short: str
    about: str
    """Paragraphs with an empty line between them; one whose lines are indented is meant as it stands."""
    usage: str
    arguments: tuple[Entry, ...]
    options: tuple[Entry, ...]
    """Without those of `EVERYWHERE`."""
    verbs: tuple[tuple[str, str], ...]
    """Verbs below it with their one line."""


class Chapter(NamedTuple):
    """Verbs that belong together in an overview."""

    title: str
    verbs: tuple[tuple[str, str], ...]


def chapters(groups: Sequence[tuple[str, str, str]]) -> list[Chapter]:
    """Group, name and one line of each verb -> what people do, in their order."""
    known = {group for _, inside in (*CHAPTERS, LAST) for group in inside}
    own = [(group.capitalize(), (group,)) for group in dict.fromkeys(each[0] for each in groups)]
    found = []
    for title, inside in (*CHAPTERS, *(each for each in own if each[1][0] not in known), LAST):
        verbs = [each[1:] for group in inside for each in groups if each[0] == group]
        if verbs:
            found.append(Chapter(title, tuple(verbs)))
    return found


def page(parser: argparse.ArgumentParser, short: str = "") -> Page:
    """What one parser says."""
    arguments, options, verbs = [], [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            verbs += [(word, _plain(helps.get(word, ""))) for word in action.choices]
        elif not action.option_strings:
            arguments.append(Entry(_place(action), _help(action)))
        elif action.dest not in EVERYWHERE and action.help != argparse.SUPPRESS:
            options.append(Entry(_flags(action), _help(action)))
    return Page(
        tuple(parser.prog.split()[1:]),
        _plain(short),
        _plain(parser.description or ""),
        _usage(parser),
        tuple(arguments),
        tuple(options),
        tuple(verbs),
    )


def pages(parser: argparse.ArgumentParser, short: str = "") -> Iterator[Page]:
    """A parser and all below it; verbs come before those below them."""
    yield page(parser, short)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for word, child in action.choices.items():
                yield from pages(child, helps.get(word, ""))


def _plain(text: str) -> str:
    """What argparse would print: it takes `%` as the beginning of a value."""
    return text.replace("%%", "%")


def _help(action: argparse.Action) -> str:
    text = _plain(action.help or "")
    choices = [str(each) for each in action.choices or () if str(each)]
    if choices and not action.option_strings:
        text = f"{text}{': ' if text else ''}{', '.join(choices)}"
    return text


def _word(action: argparse.Action) -> str:
    """`HOST`, `auto|docker`."""
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(str(each) for each in action.choices or () if str(each)) or action.dest.upper()


def _flags(action: argparse.Action) -> str:
    names = ", ".join(sorted(action.option_strings, key=lambda name: (name.startswith("--"), len(name))))
    if action.nargs == 0:
        return names
    word = _word(action)
    return f"{names} {'[' + word + ']' if action.nargs == '?' else word + '...' if action.nargs else word}"


def _place(action: argparse.Action) -> str:
    """A place as it stands in the usage."""
    word = _word(action)
    if action.nargs == "?":
        return f"[{word}]"
    if action.nargs == "*":
        return f"[{word}...]"
    return f"{word}..." if action.nargs in ("+", argparse.REMAINDER) else word


def _usage(parser: argparse.ArgumentParser) -> str:
    words = [parser.prog]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words.append("VERB" if action.required else "[VERB]")
        elif not action.option_strings:
            words.append(_place(action))
        elif action.required:
            words.append(_flags(action).split(", ")[-1])
    at = next((place for place, word in enumerate(words) if word == "COMMAND..."), len(words))
    return " ".join([*words[:at], "[options]", *words[at:]])
