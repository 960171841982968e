"""Which columns fit into a width, and how wide each is: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tui.columns import Column

GUTTER = 2
"""Cells left of the first column: the mark and the `!` of a problem."""
MOST = 3
"""A column grows to this many times its width at most: a name is read, not stretched over the screen."""


@dataclass(frozen=True)
class Placed:
    """A column with its place on the line."""

    column: Column[Any]
    x: int
    width: int


@dataclass(frozen=True)
class Layout:
    """All columns of a table that are drawn, left to right."""

    placed: tuple[Placed, ...]
    width: int
    """Of the whole line, gutter included. More than the table's own width: it scrolls."""

    def at(self, x: int) -> Column[Any] | None:
        """The column that covers `x` (with the gap right of it)."""
        found = None
        for place in self.placed:
            if place.x <= x:
                found = place.column
        return found


def lay_out(columns: Sequence[Column[Any]], width: int, gap: int = 2) -> Layout:
    """Take columns by importance as long as they fit into `width`, then share out what is left.

    Columns of priority 0 are always taken: if they do not fit, the line is wider than `width`.
    """
    taken = {place for place, column in enumerate(columns) if column.priority == 0}
    room = width - _needed([columns[place] for place in taken], gap)
    for place in sorted(range(len(columns)), key=lambda place: columns[place].priority):
        needed = columns[place].width + (gap if taken else 0)
        if place not in taken and needed <= room:
            taken.add(place)
            room -= needed
    kept = [column for place, column in enumerate(columns) if place in taken]
    widths = _grown([column.width for column in kept], kept, max(0, width - _needed(kept, gap)))
    x = GUTTER
    placed = []
    for column, cells in zip(kept, widths, strict=True):
        placed.append(Placed(column, x, cells))
        x += cells + gap
    return Layout(tuple(placed), max(GUTTER, x - gap))


def _needed(columns: Sequence[Column[Any]], gap: int) -> int:
    return GUTTER + sum(column.width for column in columns) + gap * max(0, len(columns) - 1)


def _grown(widths: list[int], columns: Sequence[Column[Any]], spare: int) -> list[int]:
    """`widths` with `spare` cells shared by `grow`, none wider than `MOST` times its width."""
    widths = list(widths)
    while spare > 0:
        open_ = [i for i, c in enumerate(columns) if c.grow and widths[i] < c.width * MOST]
        if not open_:
            break
        shares = sum(columns[i].grow for i in open_)
        given = 0
        for i in open_:
            more = min(max(1, spare * columns[i].grow // shares), columns[i].width * MOST - widths[i])
            more = min(more, spare - given)
            widths[i] += more
            given += more
        if not given:
            break
        spare -= given
    return widths
