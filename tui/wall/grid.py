"""How many tiles a screen has room for. Pure."""

from __future__ import annotations

from typing import NamedTuple

WIDTH, HEIGHT = 40, 12
"""Cells of a tile with its frame, at least, where the screen has them: ten rows of the pane."""
_WISHED = (82, 26)
"""A terminal of 80x24 in its frame: more brings little."""
MOST = 48
"""Tiles on one page."""


class Grid(NamedTuple):
    """Columns and rows of tiles."""

    columns: int
    rows: int

    @property
    def tiles(self) -> int:
        """How many there are."""
        return self.columns * self.rows


def grid(width: int, height: int, panes: int) -> Grid:
    """The grid for so many panes: it shows as many as have room, each as much like a terminal as can be."""
    width, height = max(1, width), max(1, height)
    columns = range(1, max(1, width // WIDTH) + 1)
    rows = range(1, max(1, height // HEIGHT) + 1)
    every = [Grid(c, r) for c in columns for r in rows if c * r <= MOST] or [Grid(1, 1)]
    shown = min(panes, max(each.tiles for each in every))
    enough = [each for each in every if each.tiles >= shown]
    return max(enough, key=lambda each: (_worth(width // each.columns, height // each.rows), -each.tiles))


def _worth(width: int, height: int) -> float:
    """How much of a terminal a tile of that size shows; 1 is all of it. Width counts more than height."""
    return float(min(1.0, width / _WISHED[0]) * min(1.0, height / _WISHED[1]) ** 0.7)


def move(at: int, key: str, shape: Grid, shown: int) -> int:
    """The tile beside another one; at an edge the same."""
    row, column = divmod(at, shape.columns)
    step = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}[key]
    row, column = row + step[0], column + step[1]
    if not (0 <= column < shape.columns and 0 <= row < shape.rows):
        return at
    place = row * shape.columns + column
    return place if place < shown else at
