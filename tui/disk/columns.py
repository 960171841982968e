"""The two tables of the disk page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from backend.disk.words import KINDS
from backend.text import duration, printable, size
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.disk.state import DiskLine, TreeLine
from tui.views.make import figures, words

_SIGNS = {"folder": "/", "link": "@", "mount": "/", "other": "="}


def disks() -> Sequence[Column[Any]]:
    """A line per file system and per kind of what the engine holds."""
    return (
        words("what", "WHAT", 16, _what, grow=1),
        words("where", "WHERE", 18, _where, grow=2),
        Column("used", "USED", 30, _used, _used_bytes),
        figures("free", "FREE", 9, _free, lambda r: r.disk.free if r.disk else r.sum.reclaimable),
        figures("inodes", "INODES", 6, _inodes, _inode_share, priority=2),
        words("note", "", 16, _about, priority=1, grow=1),
    )


def disks_narrow() -> Sequence[Column[Any]]:
    """Where, and how full."""
    return (
        words("where", "WHERE", 12, lambda r: _where(r) if r.disk else _what(r), grow=1),
        Column("used", "USED", 20, lambda r: _used(r, 20)),
    )


def tree() -> Sequence[Column[Any]]:
    """A line per folder, file or user."""
    return (
        words("name", "NAME", 24, lambda r: r.name, cell=_name, grow=3),
        figures("size", "SIZE", 9, _size, lambda r: r.size),
        Column("share", "", 16, lambda r: cells.percent_bar(r.share, 16), lambda r: r.share, priority=2),
        figures("files", "FILES", 11, _files, lambda r: r.files, priority=3),
        words("owner", "OWNER", 12, lambda r: r.owner, priority=1),
        figures("newest", "NEWEST", 8, _newest, lambda r: r.newest or None, priority=4),
        words("note", "", 18, lambda r: r.note, cell=_note, grow=2, priority=5),
    )


def tree_narrow() -> Sequence[Column[Any]]:
    """Which, and how large."""
    return (
        words("name", "NAME", 16, lambda r: r.name, cell=_name, grow=1),
        figures("size", "SIZE", 9, _size, _bytes),
    )


def look(row: TreeLine) -> Look:
    """What cannot be read stands out; what is not ours to count is dim."""
    dim = row.kind in ("mount", "link", "other", "rest")
    return Look(style="dim" if dim else "", problem="warn" if row.failed else "")


def look_disk(row: DiskLine) -> Look:
    """What is nearly full stands out."""
    share = _percent(row)
    bad = share is not None and share >= 95
    silent = row.disk is not None and bool(row.disk.error)
    return Look(problem="bad" if bad else "warn" if silent else "")


def search(row: TreeLine) -> str:
    """Where plain words of a filter look."""
    return f"{row.name} {row.owner}".lower()


def _what(row: DiskLine) -> str:
    if row.disk is not None:
        return " ".join(row.disk.roles) or "disk"
    return KINDS[row.sum.kind] if row.sum else ""


def _where(row: DiskLine) -> str:
    if row.disk is not None:
        return row.disk.mount
    return f"{row.sum.count:,}, {row.sum.active:,} in use" if row.sum else ""


def _percent(row: DiskLine) -> float | None:
    disk = row.disk
    if disk is None or disk.used is None or not disk.total:
        return None
    return 100 * disk.used / disk.total


def _used_bytes(row: DiskLine) -> int | None:
    return row.disk.used if row.disk is not None else row.sum.size if row.sum else None


def _used(row: DiskLine, width: int = 30) -> Cell:
    if row.disk is not None:
        return cells.usage(row.disk.used, row.disk.total, width)
    return ((size(row.sum.size if row.sum else None).rjust(width), ""),)


def _free(row: DiskLine) -> Cell:
    if row.disk is not None:
        return ((size(row.disk.free).rjust(7), ""),)
    back = row.sum.reclaimable if row.sum else 0
    return ((f"{size(back)} *", "accent"),) if back else cells.DASH


def _inode_share(row: DiskLine) -> float | None:
    disk = row.disk
    return (
        100 * disk.inodes_used / disk.inodes
        if disk and disk.inodes and disk.inodes_used is not None
        else None
    )


def _inodes(row: DiskLine) -> Cell:
    share = _inode_share(row)
    return ((f"{share:.0f} %".rjust(5), "bad" if share >= 95 else ""),) if share is not None else cells.DASH


def _about(row: DiskLine) -> str:
    if row.disk is not None:
        return row.disk.error or row.disk.kind
    return ("* unused; " if row.sum and row.sum.reclaimable else "") + row.note


def _name(row: TreeLine) -> Cell:
    style = "accent" if row.kind in ("folder", "owner") else ""
    return ((printable(row.name, 400) + _SIGNS.get(row.kind, ""), style),)


def _bytes(row: TreeLine) -> int:
    return row.size


def _size(row: TreeLine) -> Cell:
    return ((size(row.size) + ("~" if row.sampled else " "), "warn" if row.sampled else ""),)


def _files(row: TreeLine) -> Cell:
    if row.files is None:
        return cells.EMPTY
    return ((f"{row.files:,}" + ("+" if row.sampled else ""), "dim"),)


def _newest(row: TreeLine) -> Cell:
    if not row.newest:
        return cells.EMPTY
    return ((duration(max(0.0, datetime.now(UTC).timestamp() - row.newest)), "dim"),)


def _note(row: TreeLine) -> Cell:
    return ((printable(row.note, 400), "warn" if row.failed else "dim"),) if row.note else cells.EMPTY
