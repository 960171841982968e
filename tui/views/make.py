"""Short ways to declare the two common kinds of columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.text import printable
from tui.columns import Cell, Column


def words(
    key: str,
    title: str,
    width: int,
    get: Callable[[Any], str | None],
    *,
    cell: Callable[[Any], Cell] | None = None,
    grow: int = 0,
    priority: int = 0,
    optional: bool = False,
) -> Column[Any]:
    """A column of text, also a host's: plain words of a filter look here, capitals do not matter."""

    def text(row: Any) -> str:
        return printable(get(row) or "")

    return Column(
        key,
        title,
        width,
        cell or (lambda row: ((text(row), ""),)),
        text=text,
        grow=grow,
        priority=priority,
        optional=optional,
    )


def figures(
    key: str,
    title: str,
    width: int,
    cell: Callable[[Any], Cell],
    value: Callable[[Any], Any],
    *,
    priority: int = 0,
    optional: bool = False,
) -> Column[Any]:
    """A column of numbers or times, on the right: sorted and compared by `value`, where None is unknown."""
    return Column(key, title, width, cell, value, align="right", priority=priority, optional=optional)
