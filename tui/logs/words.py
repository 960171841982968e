"""Parts of a log and commands of the log screen: pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from backend.errors import UsageError
from backend.logs.buffer import MAX_LINES
from backend.logs.follower import Wants
from backend.logs.since import parse_since, parse_tail

TAIL = 500
HEAD = 5_000


class Part(NamedTuple):
    """Which part of the logs is read."""

    kind: Literal["tail", "head", "since"]
    value: str
    """A number of lines or `all`; for `since` what was typed."""

    @property
    def title(self) -> str:
        """In two or three words."""
        if self.kind == "since":
            return f"since {self.value}"
        if self.value == "all":
            return "all"
        return f"{'first' if self.kind == 'head' else 'last'} {self.value}"

    def wants(self) -> Wants:
        """What the reader is asked for. Raises `UsageError`."""
        if self.kind == "head":
            return Wants(head=min(parse_tail(self.value) or MAX_LINES, MAX_LINES), tail=None)
        if self.kind == "since":
            return Wants(tail=None, since=parse_since(self.value), most=MAX_LINES)
        return Wants(tail=parse_tail(self.value), most=MAX_LINES)


PRESETS: tuple[Part, ...] = (
    Part("tail", str(TAIL)),
    Part("head", str(HEAD)),
    Part("since", "1m"),
    Part("since", "5m"),
    Part("since", "15m"),
    Part("since", "30m"),
    Part("since", "1h"),
)
"""By the number of their key, as in k9s."""
ALL = Part("tail", "all")

PATTERNS = [
    ("error", "lines with the text, upper and lower case alike"),
    ("Error", "exactly so, because of the capital"),
    ("!debug", "lines without it"),
    ("/step \\d+0\\b/", "a regular expression"),
]
"""What can be typed to search and to filter, for the help."""
COMMANDS: dict[str, str] = {
    "filter": "only lines with a text: `filter TEXT`, `filter !TEXT`, `filter /REGEX/`; without one: all",
    "since": "read from a time on: `since 2h`, `since 14:30`, `since 2026-01-31T14:30`",
    "tail": "read the last lines: `tail 2000`, `tail all`",
    "head": "read the first lines: `head 2000`",
    "save": "save the shown lines: `save`, `save PATH`",
    "help": "all keys and commands",
    "q": "back",
}


class LogCommand(NamedTuple):
    """What a line after `:` asks for."""

    verb: str
    argument: str = ""


def parse_command(line: str) -> LogCommand:
    """The command of a line. Raises `UsageError` saying what is not understood."""
    verb, _, argument = line.strip().partition(" ")
    argument = argument.strip()
    if verb == "quit":
        verb = "q"
    if verb not in COMMANDS:
        raise UsageError(f"no command {verb!r}: {', '.join(COMMANDS)}")
    if verb in ("since", "tail", "head"):
        if not argument:
            raise UsageError(COMMANDS[verb].replace("`", ""))
        Part(verb, argument).wants()  # type: ignore[arg-type]  # one of the three
    return LogCommand(verb, argument)


def complete_command(line: str) -> list[str]:
    """Commands that a line can become."""
    return [word for word in COMMANDS if word.startswith(line) and word != line]
