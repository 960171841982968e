"""Watches over ownership to cells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from backend.ownership.model import OwnershipRow
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.views.make import figures, words

_STYLES = {"watching": "good", "sampling": "good", "ended": "bad"}


def columns() -> Sequence[Column[Any]]:
    """How the list looks."""
    return (
        words("host", "HOST", 12, lambda r: r.host, grow=1),
        words("state", "STATE", 9, lambda r: r.state, cell=_state),
        words("folders", "FOLDERS", 20, lambda r: ", ".join(r.folders), grow=4),
        words("wanted", "WANTED", 16, lambda r: r.wanted, grow=1, priority=1),
        _count("changed", "CHANGED", lambda r: r.changed),
        _count("left", "LEFT", lambda r: r.left, priority=2),
        figures("since", "SINCE", 7, lambda r: cells.duration(_age(r)), _age, priority=3),
        words("latest", "LATEST", 16, lambda r: r.error or "".join(r.latest[-1:]), grow=3, priority=4),
        words("id", "ID", 6, lambda r: r.id, priority=5),
    )


def narrow() -> Sequence[Column[Any]]:
    """Where, and how much."""
    return (
        words("host", "HOST", 8, lambda r: r.host, grow=1),
        words("state", "STATE", 9, lambda r: r.state, cell=_state),
        _count("changed", "CHANGED", lambda r: r.changed),
    )


def look(row: OwnershipRow) -> Look:
    """What ended by itself carries a `!`."""
    return Look("", "bad") if row.state == "ended" else Look()


def _state(row: OwnershipRow) -> Cell:
    return ((row.state, _STYLES.get(row.state, "")),)


def _count(key: str, title: str, get: Any, priority: int = 0) -> Column[Any]:
    return figures(key, title, 8, lambda r: ((f"{get(r):,}".rjust(8), ""),), get, priority=priority)


def _age(row: OwnershipRow) -> float | None:
    return (datetime.now(UTC) - row.since).total_seconds() if row.since else None
