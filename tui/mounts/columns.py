"""Mounts to cells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from backend.mounts.model import STALE, MountRow, MountState
from backend.text import sizes
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.views.make import figures, words

_STYLES = {MountState.MOUNTED: "good", MountState.SILENT: "warn", MountState.BROKEN: "bad"}


def columns() -> Sequence[Column[Any]]:
    """How the list looks."""
    return (
        words("state", "STATE", 10, lambda r: r.state.value, cell=_state),
        words("host", "HOST", 12, lambda r: r.host, grow=1),
        words("path", "PATH", 16, lambda r: r.path or "~", grow=3),
        words("folder", "FOLDER", 20, lambda r: r.folder, grow=4),
        figures("used", "USED", 13, _used, lambda r: r.used, priority=2),
        figures("since", "SINCE", 7, lambda r: cells.duration(_age(r)), _age, priority=3),
        words("may", "MAY", 11, lambda r: "read" if r.read_only else "read, write", priority=4),
        words("id", "ID", 6, lambda r: r.id, priority=1),
    )


def narrow() -> Sequence[Column[Any]]:
    """How it is, and where."""
    return (
        words("state", "", 2, lambda r: r.state.value, cell=lambda r: ((_sign(r), _STYLES[r.state]),)),
        words("host", "HOST", 8, lambda r: r.host, grow=1),
        words("folder", "FOLDER", 16, lambda r: r.folder, grow=3),
    )


def look(row: MountRow) -> Look:
    """What does not answer carries a `!`."""
    return Look("", "bad") if row.state in STALE else Look()


def _sign(row: MountRow) -> str:
    return {MountState.MOUNTED: "✓", MountState.SILENT: "…"}.get(row.state, "!")


def _state(row: MountRow) -> Cell:
    return ((row.state.value, _STYLES[row.state]),)


def _used(row: MountRow) -> Cell:
    return ((sizes(row.used, row.total), ""),) if row.total else cells.EMPTY


def _age(row: MountRow) -> float | None:
    return (datetime.now(UTC) - row.since).total_seconds() if row.since else None
