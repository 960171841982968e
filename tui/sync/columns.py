"""The two tables of the sync screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.sync.words import SIGNS, WORDS, summary
from backend.text import printable, size
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.sync.state import FileLine, HostLine
from tui.views.make import figures, words

_PHASES = {
    "looking": "dim",
    "ready": "accent",
    "running": "accent",
    "watching": "good",
    "done": "good",
    "cancelled": "warn",
    "failed": "bad",
}
_KINDS = {
    "new": "good",
    "changed": "accent",
    "deleted": "bad",
    "conflict": "warn",
    "kind": "warn",
    "newer": "dim",
    "large": "dim",
    "link": "dim",
}


def hosts() -> Sequence[Column[Any]]:
    """A line per host."""
    return (
        words("host", "HOST", 14, lambda r: r.host, grow=1),
        words("state", "STATE", 9, lambda r: r.phase, cell=_phase),
        _count("new", "NEW", ("new",)),
        _count("changed", "CHANGED", ("changed",)),
        _count("deleted", "DELETED", ("deleted",)),
        _count("conflicts", "CONFLICTS", ("conflict", "kind")),
        figures("size", "SIZE", 7, lambda r: ((size(_bytes(r)).rjust(7), ""),), _bytes, priority=2),
        Column("progress", "PROGRESS", 18, _progress, priority=1),
        words("said", "", 20, _said, cell=_saying, grow=3, priority=3),
    )


def hosts_narrow() -> Sequence[Column[Any]]:
    """Which, how it stands, how far."""
    return (
        words("host", "HOST", 10, lambda r: r.host, grow=1),
        words("state", "STATE", 8, lambda r: r.phase, cell=_phase),
        Column("progress", "", 14, _progress),
    )


def files() -> Sequence[Column[Any]]:
    """A line per change."""
    return (
        words("kind", "WHAT", 13, lambda r: WORDS[r.change.kind], cell=_kind),
        words("way", "WAY", 5, lambda r: r.change.way, priority=3),
        figures("size", "SIZE", 7, _size, lambda r: r.change.size),
        words("choice", "STAYS", 8, _choice, priority=1),
        words("path", "PATH", 30, lambda r: r.path, grow=3),
        words("note", "", 16, lambda r: r.change.note, grow=1, priority=2),
    )


def files_narrow() -> Sequence[Column[Any]]:
    """What and which."""
    return (
        Column("sign", "", 1, lambda r: ((SIGNS[r.change.kind], _KINDS[r.change.kind]),)),
        words("path", "PATH", 20, lambda r: r.path, grow=1),
    )


def look(row: FileLine) -> Look:
    """What is left alone is dim."""
    return Look(style="dim" if row.change.kind in ("newer", "large", "link") else "")


def look_host(row: HostLine) -> Look:
    """What went wrong stands out."""
    return Look(problem="bad" if row.phase == "failed" else "")


def search(row: FileLine) -> str:
    """Where plain words of a filter look."""
    return f"{row.path} {WORDS[row.change.kind]} {row.change.note}".lower()


def _count(key: str, title: str, kinds: tuple[str, ...]) -> Column[Any]:
    def count(row: HostLine) -> int | None:
        if row.plan is None:
            return None
        return sum(each.kind in kinds and not each.folder for each in row.plan.changes)

    return figures(key, title, max(6, len(title)), lambda r: cells.number(count(r)), count)


def _bytes(row: HostLine) -> int | None:
    return None if row.plan is None else sum(each.size for each in row.plan.of("new", "changed"))


def _phase(row: HostLine) -> Cell:
    return ((row.phase, _PHASES.get(row.phase, "")),)


def _progress(row: HostLine) -> Cell:
    if row.phase == "done":
        return cells.percent_bar(100.0, 18)
    if row.phase != "running" or not row.total:
        return ()
    return cells.percent_bar(row.done * 100 / row.total, 18)


def _said(row: HostLine) -> str:
    if row.error or row.said:
        return row.error or row.said
    if row.result is not None and row.result.notes:
        return row.result.notes[0]
    if row.plan is not None and row.plan.refusal:
        return f"nothing can be deleted: {row.plan.refusal}"
    return summary(row.plan) if row.plan is not None else ""


def _saying(row: HostLine) -> Cell:
    text = printable(_said(row), 300)
    return ((text, "bad" if row.error else "dim"),) if text else ()


def _kind(row: FileLine) -> Cell:
    kind = row.change.kind
    return ((f"{SIGNS[kind]} {WORDS[kind]}", _KINDS[kind]),)


def _size(row: FileLine) -> Cell:
    return (("" if row.change.folder else size(row.change.size).rjust(7), ""),)


def _choice(row: FileLine) -> str:
    if not row.change.choices:
        return ""
    return {"skip": "both", "mine": "mine", "theirs": "theirs"}[row.choice]
