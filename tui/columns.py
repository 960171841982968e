"""What a column of a table is, and what a cell is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

Row = TypeVar("Row")

Cell = tuple[tuple[str, str], ...]
"""Spans of (text, style name), already printable, on one line. The style names are those of `STYLES`; the
table turns them into colours of the theme. An empty name is the row's own style."""

STYLES = (
    "good",
    "warn",
    "bad",
    "dim",
    "accent",
    "bar-low",
    "bar-mid",
    "bar-high",
    "bar-rest",
    "free",
    "idle",
)
"""Each is a component class `cell--NAME` of the table, coloured in `styles/`."""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column: declared once, used by the table, the filter, sorting, the settings and copying."""

    key: str
    """Its name in settings.yaml, in `key:value` filters and in `:sort key`."""
    title: str
    """Its heading: capitals, short."""
    width: int
    """In cells. Fixed: numbers must not jump."""
    cell: Callable[[Row], Cell]
    """Row to styled text. Only called for visible rows."""
    sort: Callable[[Row], Any] | None = None
    """Row to something comparable, or None for "unknown" (always sorted last). Default: the text."""
    text: Callable[[Row], str] | None = None
    """Row to plain text for filters and copying. Default: the cell's text."""
    align: Literal["left", "right"] = "left"
    grow: int = 0
    """Share of the width that is left over; 0 never grows."""
    priority: int = 0
    """0 is always shown; columns with the highest number go first when the terminal is narrow."""
    optional: bool = False
    """Hidden until chosen in the settings."""
