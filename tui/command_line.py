"""The language of `:`: pure text to a command, and what could come next.

:ps @h100-1 /train   a view, of one host (or of all with a tag), filtered
:@h100-1   :/train   the same for the view that is shown
:sort -cpu           :columns host,name,cpu      :theme berth-light
:each uptime         :each @gpu nvidia-smi -L
:help   :q
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from backend.errors import UsageError

Verb = Literal["view", "page", "sort", "columns", "theme", "help", "quit", "each"]

VERBS: dict[str, tuple[Verb, str]] = {
    "sort": ("sort", "order by a column: `sort cpu`, `sort -cpu`; without one: the view's own order"),
    "columns": ("columns", "choose columns: `columns host,name,cpu`; without any: a list to choose from"),
    "theme": ("theme", "change the colours"),
    "each": ("each", "run a command on all hosts: `each uptime`, `each @TAG uptime`"),
    "help": ("help", "all keys and commands"),
    "q": ("quit", "leave"),
    "quit": ("quit", "leave"),
}


class CommandError(UsageError):
    """The line after `:` cannot be understood; the message fits on one line."""

    title = "Command"


@dataclass(frozen=True)
class Vocabulary:
    """The words a command line can be made of now."""

    views: Mapping[str, str]
    """Every name and alias of a view to its name."""
    hosts: Sequence[str] = ()
    tags: Sequence[str] = ()
    themes: Sequence[str] = ()
    columns: Sequence[str] = ()
    """Of the view that is shown."""
    pages: Sequence[str] = ()
    """Names of lists that are no views."""


@dataclass(frozen=True)
class Command:
    """What a line asks for."""

    verb: Verb
    argument: str = ""
    """The view (empty: the one that is shown), the page, the column, the theme; what to run."""
    host: str | None = None
    """A host or a tag; None: not said."""
    filter: str | None = None
    """None: not said."""
    words: tuple[str, ...] = field(default=())
    """The columns."""


def parse(line: str, words: Vocabulary) -> Command:
    """The command of a line. `CommandError` says what is not understood, and what may have been meant."""
    head, slash, search = line.strip().partition("/")
    parts = head.split()
    if not parts and not slash:
        raise CommandError("nothing to do")
    name = parts[0] if parts and not parts[0].startswith("@") else ""
    rest = parts[1:] if name else parts
    if name in words.views or not name:
        host = _host(rest, words)
        return Command("view", words.views.get(name, ""), host, search.strip() if slash else None)
    if name in words.pages and not rest and not slash:
        return Command("page", name)
    if name not in VERBS:
        raise CommandError(f"no command {name!r}{_meant(name, [*words.views, *words.pages, *VERBS])}")
    if VERBS[name][0] == "each":
        return Command("each", line.strip()[len(name) :].strip())
    return _verb(VERBS[name][0], line.strip().split()[1:], words)


def _verb(verb: Verb, rest: list[str], words: Vocabulary) -> Command:
    if verb == "sort":
        column = rest[0] if rest else ""
        if column.lstrip("-") not in words.columns and column:
            raise CommandError(f"no column {column!r}{_meant(column.lstrip('-'), words.columns)}")
        return Command(verb, column)
    if verb == "columns":
        chosen = tuple(name for part in rest for name in part.split(",") if name)
        for name in chosen:
            if name not in words.columns:
                raise CommandError(f"no column {name!r}{_meant(name, words.columns)}")
        return Command(verb, words=chosen)
    if verb == "theme":
        if rest and rest[0] not in words.themes:
            raise CommandError(f"no theme {rest[0]!r}{_meant(rest[0], words.themes)}")
        return Command(verb, rest[0] if rest else "")
    return Command(verb)


def _host(rest: Sequence[str], words: Vocabulary) -> str | None:
    """The host or tag of `@name`; part of a name will do if only one host begins with it."""
    if not rest:
        return None
    if len(rest) > 1 or not rest[0].startswith("@"):
        raise CommandError(f"{rest[-1]!r} is not understood here: @HOST limits, /TEXT filters")
    name = rest[0][1:]
    if not name or name in words.hosts or name in words.tags:
        return name
    begins = [host for host in words.hosts if host.startswith(name)]
    if len(begins) == 1:
        return begins[0]
    raise CommandError(f"no host or tag {name!r}{_meant(name, [*words.hosts, *words.tags])}")


def _meant(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=2, cutoff=0.5)
    return f": {' or '.join(close)}?" if close else ""


def complete(line: str, words: Vocabulary) -> list[str]:
    """Whole lines that `line` can become, likeliest first."""
    if "/" in line:
        return []
    head, _, last = line.rpartition(" ")
    parts = head.split()
    if last.startswith("@"):
        options = [f"@{name}" for name in (*words.hosts, *words.tags)]
    elif not parts:
        options = [*dict.fromkeys(words.views.values()), *words.views, *words.pages, *VERBS]
    elif parts[0] in words.views:
        options = [f"@{name}" for name in words.hosts]
    elif parts[0] == "theme":
        options = list(words.themes)
    elif parts[0] == "sort":
        options = [*words.columns, *(f"-{name}" for name in words.columns)]
    elif parts[0] == "columns":
        done, comma, last_part = last.rpartition(",")
        return [f"{head} {done}{comma}{name}" for name in words.columns if name.startswith(last_part)]
    else:
        options = []
    found = [option for option in dict.fromkeys(options) if option.startswith(last) and option != last]
    return [f"{head} {option}".lstrip() if head else option for option in found]
