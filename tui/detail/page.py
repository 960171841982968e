"""What a page of details is made of: lines that know how to be as narrow as they have to, and curves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from backend import text as words
from backend.config import Config
from backend.history import History, Series
from backend.model import FleetState, HostSnapshot, Problem
from tui.cells import EMPTY, fit, join, plain, width_of, wrap
from tui.columns import Cell

_KEY_WIDTH = 11
_HANG = 2
"""Continued lines are indented by this where there is no room for a column of names."""

Align = Literal["left", "right"]
_LEFT: tuple[Align, ...] = ("left",) * 12


@dataclass(frozen=True)
class View:
    """What there is to look at, at one moment."""

    state: FleetState
    history: History
    config: Config
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def host(self, name: str) -> HostSnapshot | None:
        """The newest snapshot of a host."""
        return self.state.hosts.get(name)

    def none(self, host: HostSnapshot | None, section: str) -> Cell:
        """`none`, where a host has told so; `...` while it has not told yet."""
        if host is None or section in host.told:
            return (("none", "dim"),)
        return (("not known" if host.error is not None else "...", "dim"),)

    def clock(self, when: datetime | None) -> Cell:
        """`2030-01-01 14:02 (3 h ago)`, in the local time; today without the date."""
        if when is None:
            return plain(None)
        try:
            here, today = when.astimezone(), self.now.astimezone()
        except (OverflowError, ValueError, OSError):  # the first and the last day there is have no local time
            return plain(f"{when.isoformat(' ', 'minutes')[:16]} UTC")
        stamp = here.strftime("%H:%M:%S" if here.date() == today.date() else "%Y-%m-%d %H:%M")
        return ((stamp, ""), (f"  {words.age(when, self.now)} ago", "dim"))


@dataclass(frozen=True)
class Curve:
    """A value over time, for a plot."""

    title: str
    series: Series
    top: float | None = 100.0
    """Upper end of its axis; None: its highest value."""
    form: Callable[[float], str] = words.percent


@dataclass(frozen=True)
class Page:
    """All details of one target."""

    key: Hashable
    """The same for the same thing: the scroll position belongs to it."""
    title: Cell
    sheet: Sheet
    curves: Sequence[Curve] = ()


class Sheet:
    """Lines in the making. Everything added is laid out later, by `lines(width)`."""

    def __init__(self) -> None:
        self._blocks: list[Callable[[int], Iterable[Cell]]] = []

    def heading(self, title: str, note: Cell = EMPTY) -> None:
        """A title over what follows, after an empty line."""
        if self._blocks:
            self._blocks.append(lambda _width: [EMPTY])
        cell = join(((title, "heading"),), note)
        self._blocks.append(lambda width: [cell] if width_of(cell) <= width else wrap(cell, width))

    def field(self, name: str, *values: Cell) -> None:
        """`name        value value`; a long value goes on below, a number keeps its unit."""
        self._blocks.append(lambda width: _field(name, values, width))

    def text(self, cell: Cell) -> None:
        """A paragraph."""
        self._blocks.append(lambda width: wrap(cell, width))

    def problem(self, problem: Problem, style: str) -> None:
        """What is wrong, where, and what to do about it."""
        self.text((("! ", style), *plain(problem.title, style)))
        self.text(plain(problem.message))
        if problem.hint:
            self.text((("Try: ", "key"), *plain(problem.hint)))
        if problem.fingerprint:
            self.field("key", plain(problem.fingerprint, "accent"))

    def block(self, make: Callable[[int], Iterable[Cell]]) -> None:
        """Lines that are made for the width there is."""
        self._blocks.append(make)

    def table(
        self, titles: Sequence[str], rows: Sequence[Sequence[Cell]], aligns: Sequence[Align] = ()
    ) -> None:
        """Columns as wide as what is in them; the last one takes what is left and is cut."""
        if rows:
            aligned: tuple[Align, ...] = tuple(aligns) + _LEFT[len(aligns) : len(titles)]
            self._blocks.append(lambda width: _table(titles, rows, aligned, width))

    def lines(self, width: int) -> list[Cell]:
        """All of it, `width` terminal cells wide at most."""
        return [line for block in self._blocks for line in block(max(2, width))]


def _field(name: str, values: Sequence[Cell], width: int) -> list[Cell]:
    room = width - _KEY_WIDTH - 1
    if room >= 16 or width_of(join(*values)) <= room:
        label, indent = fit(((name, "key"),), _KEY_WIDTH), " " * (_KEY_WIDTH + 1)
        first, *rest = _flow(values, room) or [EMPTY]
        return [(*label, (" ", ""), *first), *(((indent, ""), *line) for line in rest)]
    below = _flow(values, width - _HANG)
    return [((name, "key"),), *(((" " * _HANG, ""), *line) for line in below)]


def _flow(values: Sequence[Cell], room: int) -> list[Cell]:
    """Values one after another; a line ends between two of them rather than within one."""
    lines: list[Cell] = []
    line: Cell = EMPTY
    for value in values:
        if width_of(longer := join(line, value)) <= room:
            line = longer
            continue
        *whole, rest = wrap(value, room) or [EMPTY]
        lines += [line] * bool(line) + whole
        line = rest
        if line and not whole:  # what was padded to stand below others begins a line now
            line = ((line[0][0].lstrip(" "), line[0][1]), *line[1:])
    return lines + [line] * bool(line)


def _table(
    titles: Sequence[str], rows: Sequence[Sequence[Cell]], aligns: Sequence[Align], width: int
) -> list[Cell]:
    widths = [
        max(len(title), *(width_of(row[column]) for row in rows)) for column, title in enumerate(titles)
    ]
    left = width
    for column, wanted in enumerate(widths):
        widths[column] = max(0, min(wanted, left if column == len(widths) - 1 else max(4, width // 3), left))
        left -= widths[column] + 2
    head = [((title, "key"),) for title in titles]
    return [
        join(*(fit(cell, size, align) for cell, size, align in zip(row, widths, aligns, strict=True) if size))
        for row in (head, *rows)
    ]
