"""A log line as strips: its colours, what was found in it, time and name in front, wrapped or not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from backend.logs.lines import LogLine

Times = Literal["", "time", "date"]
Run = tuple[str, Style]
"""A piece of text in one style."""

_TIME_WIDTH: dict[Times, int] = {"": 0, "time": 12, "date": 23}
_LEAST_TEXT = 16
"""Cells that are left to the text before time and name give way."""


@dataclass(frozen=True)
class Frame:
    """What stands before the text, and how wide everything is."""

    width: int
    """Of the whole line."""
    time: Times
    name: int
    """Cells of the name; 0: none."""
    wrap: bool

    @property
    def front(self) -> int:
        """Cells before the text."""
        time = _TIME_WIDTH[self.time]
        return 1 + (time + 1 if time else 0) + (self.name + 1 if self.name else 0)

    @property
    def room(self) -> int:
        """Cells for the text."""
        return max(1, self.width - self.front)


def frame(width: int, *, time: Times, names: Sequence[str], wrap: bool) -> Frame:
    """The best frame for a width: where it is narrow the time gets shorter or goes, then the name."""
    name = min(max(map(cell_len, names)), max(6, width // 4)) if len(names) > 1 else 0
    shorter: list[Times] = [time, "time", ""] if time else [""]
    tries = [Frame(width, each, wide, wrap) for wide in (name, min(name, 6), 0) for each in shorter]
    return next((each for each in tries if each.room >= _LEAST_TEXT), Frame(width, "", 0, wrap))


def said_time(at: datetime | None, how: Times) -> str:
    """The time of a line on this machine's clock, always as wide."""
    width = _TIME_WIDTH[how]
    if at is None:
        return " " * width
    try:
        here = at.astimezone()
    except (OverflowError, ValueError, OSError):  # the first and the last day there is have no local time
        here = at
    return here.isoformat(sep=" ", timespec="milliseconds")[:23][-width:]


# ------------------------------------------------------------------------------------------ the text


@lru_cache(maxsize=512)
def _tame(style: Style) -> Style:
    """Colours and weight of a style; nothing that blinks, hides or links."""
    return Style(
        color=style.color,
        bgcolor=style.bgcolor,
        bold=style.bold,
        dim=style.dim,
        italic=style.italic,
        underline=style.underline,
        strike=style.strike,
        reverse=style.reverse,
    )


def runs(line: LogLine) -> list[Run]:
    """The text of a line in its own colours."""
    if line.text is line.plain or "\x1b" not in line.text:
        return [(line.plain, Style.null())]
    text = AnsiDecoder().decode_line(line.text)
    plain = text.plain
    found: list[Run] = []
    at = 0
    for span in text.spans:
        if span.start > at:
            found.append((plain[at : span.start], Style.null()))
        style = span.style if isinstance(span.style, Style) else Style.null()
        found.append((plain[span.start : span.end], _tame(style)))
        at = span.end
    if at < len(plain):
        found.append((plain[at:], Style.null()))
    return found


def paint(pieces: Iterable[Run], spans: Sequence[tuple[int, int]], style: Style) -> list[Run]:
    """The same text, with `style` on top between the characters of each span."""
    waiting = list(spans)
    painted: list[Run] = []
    at = 0
    for text, own in pieces:
        begin = 0
        while begin < len(text):
            while waiting and waiting[0][1] <= at + begin:
                waiting.pop(0)
            if not waiting or waiting[0][0] >= at + len(text):
                painted.append((text[begin:], own))
                break
            start, end = (max(0, place - at) for place in waiting[0])
            if start > begin:
                painted.append((text[begin:start], own))
                begin = start
            painted.append((text[begin:end], own + style))
            begin = min(end, len(text))
        at += len(text)
    return painted


def cuts(plain: str, room: int) -> list[int]:
    """Where a line that is wrapped at `room` cells begins anew, in characters; the first is 0.

    After a space where there is one in the last third of the room.
    """
    found = [0]
    if plain.isascii():
        while len(plain) - found[-1] > room:
            end = found[-1] + room
            space = plain.rfind(" ", end - room // 3, end)
            found.append(space + 1 if space >= 0 else end)
        return found
    used, space, after = 0, -1, 0
    for place, char in enumerate(plain):
        wide = cell_len(char)
        if used + wide > room and place > found[-1]:
            if space > found[-1] and after <= room // 3:
                found.append(space)
                used = after
            else:
                found.append(place)
                used = 0
            space, after = -1, 0
        used += wide
        after += wide
        if char == " ":
            space, after = place + 1, 0
    return found


def rows(plain: str, room: int) -> int:
    """How many lines of the screen a wrapped line takes."""
    return 1 if len(plain) * 2 <= room else len(cuts(plain, room))


def break_up(pieces: Sequence[Run], at: Sequence[int]) -> list[list[Run]]:
    """Pieces of text as lines that begin at these characters."""
    lines: list[list[Run]] = [[] for _ in at]
    ends = [*at[1:], None]
    row, place = 0, 0
    for text, style in pieces:
        begin = 0
        while begin < len(text):
            end = ends[row]
            stop = len(text) if end is None else min(len(text), end - place)
            if stop > begin:
                lines[row].append((text[begin:stop], style))
            begin = max(begin, stop)
            if end is not None and place + begin >= end:
                row += 1
        place += len(text)
    return lines


def strip(pieces: Iterable[Run]) -> Strip:
    """Pieces of text as one strip."""
    return Strip([Segment(text, style) for text, style in pieces])
