"""Lists for people: aligned tables on a terminal, tab-separated lines everywhere else.

Both have the same columns. Tables are cut to the terminal's width: rarely needed columns go first, then long
text is shortened. Colour never says anything that a word does not say as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from backend import text
from backend.model import (
    ClusterNode,
    ClusterPartition,
    ContainerRow,
    ContextRow,
    GpuRow,
    HostRow,
    HostState,
    ImageRow,
    SessionRow,
)
from backend.queues.slurm.nodes import takes_jobs
from backend.text import UNKNOWN, printable

_GAP = "  "
_LOOK = 5.0
"""Seconds that a list which is not followed looks at a host, about."""
_LEAST = 8
"""Cells below which a shortened column is not made narrower."""
_STYLES = {"good": "32", "warn": "33", "bad": "31", "dim": "2", "bold": "1", "accent": "36"}


class Col(NamedTuple):
    """One column of a list."""

    title: str
    text: Callable[[Any], str | None]
    """Row to text, raw; None and empty are shown as `-`."""
    style: Callable[[Any], str] | str = ""
    right: bool = False
    flex: bool = False
    """It may be shortened."""
    rank: int = 0
    """0 is always shown; the highest numbers go first where the terminal is too narrow."""
    least: int = _LEAST
    """Cells it keeps where it is shortened."""

    def cell(self, row: Any) -> str:
        """What stands in the row: printable, one line."""
        return printable(self.text(row) or UNKNOWN)


def lines(rows: Iterable[Any], columns: Sequence[Col]) -> str:
    """One line per row, tab-separated and whole, below a line of titles."""
    out = ["\t".join(column.title for column in columns)]
    out += ["\t".join(column.cell(row) for column in columns) for row in rows]
    return "\n".join(out) + "\n"


def table(rows: Sequence[Any], columns: Sequence[Col], width: int, *, colour: bool) -> str:
    """An aligned table that is at most `width` cells wide where that is possible at all."""
    from rich.cells import cell_len, set_cell_size

    cells = {column: [column.cell(row) for row in rows] for column in columns}
    shown = [c for c in columns if not c.rank or any(cell != UNKNOWN for cell in cells[c])]
    widths = {c: max(cell_len(c.title), *map(cell_len, cells[c]), 0) for c in shown}
    _fit(shown, widths, width)
    out = []
    for number in range(-1, len(rows)):
        parts = []
        for column in shown:
            cell = column.title if number < 0 else cells[column][number]
            long = cell_len(cell)
            if long > widths[column]:
                cell = set_cell_size(cell, widths[column] - 1).rstrip() + "…"
                long = cell_len(cell)
            pad = " " * (widths[column] - long)
            style = "bold" if number < 0 else _style(column, rows[number], cell)
            painted = f"\x1b[{_STYLES[style]}m{cell}\x1b[0m" if colour and style else cell
            parts.append(pad + painted if column.right else painted + pad)
        out.append(_GAP.join(parts).rstrip())
    return "\n".join(out) + "\n"


def _style(column: Col, row: Any, cell: str) -> str:
    if cell == UNKNOWN or getattr(row, "stale", False):
        return "dim"
    return column.style if isinstance(column.style, str) else column.style(row)


def _fit(shown: list[Col], widths: dict[Col, int], width: int) -> None:
    """Take columns away, then cells, until the table fits."""

    def least(column: Col) -> int:
        return min(widths[column], column.least) if column.flex else widths[column]

    def total(size: Callable[[Col], int]) -> int:
        return sum(map(size, shown)) + len(_GAP) * (len(shown) - 1)

    while total(least) > width and (spare := max(shown, key=lambda column: column.rank)).rank:
        shown.remove(spare)
    while (over := total(widths.__getitem__) - width) > 0:
        wide = [column for column in shown if column.flex and widths[column] > least(column)]
        longest = max(wide, key=widths.__getitem__, default=None)
        if longest is None:
            return
        others = [widths[column] for column in wide if widths[column] < widths[longest]]
        widths[longest] = max(least(longest), widths[longest] - over, max(others, default=0) - 1)


# ------------------------------------------------------------------------------------------ columns


def _count(value: int | None) -> str | None:
    return None if value is None else str(value)


def _of(part: int | None, whole: int | None) -> str | None:
    return None if part is None or whole is None else f"{part}/{whole}"


def _degrees(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f} C"


def _watts(row: GpuRow) -> str | None:
    if row.power_w is None:
        return None
    return (
        f"{row.power_w:.0f} W"
        if row.power_limit_w is None
        else f"{row.power_w:.0f}/{row.power_limit_w:.0f} W"
    )


def _used(used: int | None, total: int | None) -> str | None:
    return None if used is None and total is None else text.sizes(used, total)


def _load(value: float | None) -> str:
    return text.percent(value)


def _busy(value: float | None) -> str:
    return "" if value is None else "bad" if value >= 90 else "warn" if value >= 70 else ""


_HOST_STYLES = {
    HostState.UP: "good",
    HostState.CONNECTING: "warn",
    HostState.SKIPPED: "dim",
}
_STATE_STYLES = {
    "running": "good",
    "paused": "warn",
    "restarting": "warn",
    "dead": "bad",
    "stopped": "dim",
    "missing": "dim",
    "unknown": "warn",
    "exited": "dim",
}


def _disk(row: HostRow) -> float | None:
    return 100 * row.disk_used / row.disk_total if row.disk_used is not None and row.disk_total else None


def _note(row: HostRow) -> str:
    return "; ".join(part for part in (*row.warnings, row.comment) if part)


HOSTS = (
    Col("HOST", lambda row: row.name, flex=True),
    Col("STATE", lambda row: str(row.state), lambda row: _HOST_STYLES.get(row.state, "bad")),
    Col("CPU", lambda row: _load(row.cpu_percent), lambda row: _busy(row.cpu_percent), right=True),
    Col("MEMORY", lambda row: _used(row.mem_used, row.mem_total), right=True),
    Col("GPUS", lambda row: _count(row.gpus), right=True),
    Col("FREE", lambda row: _count(row.gpus_free), lambda row: "good" if row.gpus_free else "", right=True),
    Col("RUNNING", lambda row: _of(row.containers_running, row.containers_total), right=True, rank=1),
    Col("LOAD", lambda row: None if row.load1 is None else f"{row.load1:.1f}", right=True, rank=3),
    Col("DISK", lambda row: _load(_disk(row)), lambda row: _busy(_disk(row)), right=True, rank=4),
    Col(
        "LATENCY",
        lambda row: None if row.latency_ms is None else f"{row.latency_ms:.0f} ms",
        right=True,
        rank=7,
    ),
    Col(
        "ENGINE",
        lambda row: " ".join(part for part in (row.engine, row.engine_version) if part),
        flex=True,
        rank=5,
    ),
    Col("TYPE", lambda row: row.type, flex=True, rank=6),
    Col("NOTE", _note, flex=True, rank=2),
)


def _who(row: GpuRow) -> str | None:
    if row.error:
        return row.error
    return "free" if row.free else ", ".join(row.owners)


def _what(row: GpuRow) -> str:
    return ", ".join(row.containers) or ", ".join(dict.fromkeys(each.command for each in row.processes))


def _idle(row: GpuRow) -> str | None:
    """For how long; `now` where nobody has watched for longer than this look takes."""
    if row.idle_since is None:
        return None
    told = text.age(row.idle_since)
    return told if (datetime.now(UTC) - row.idle_since).total_seconds() >= _LOOK else "now"


GPUS = (
    Col("HOST", lambda row: row.host, flex=True),
    Col("GPU", lambda row: str(row.index), right=True),
    Col("MODEL", lambda row: row.name, flex=True, rank=1),
    Col("UTIL", lambda row: _load(row.util_percent), right=True),
    Col("MEMORY", lambda row: _used(row.mem_used, row.mem_total), right=True),
    Col("WHO", _who, lambda row: "bad" if row.error else "good" if row.free else "", flex=True),
    Col("WHAT", _what, flex=True, rank=2),
    Col(
        "IDLE",
        _idle,
        "warn",
        right=True,
        rank=3,
    ),
    Col("TEMP", lambda row: _degrees(row.temp_c), right=True, rank=4),
    Col("POWER", _watts, right=True, rank=5),
)

PS = (
    Col("HOST", lambda row: row.host, flex=True),
    Col("NAME", lambda row: row.name, flex=True),
    Col("IMAGE", lambda row: row.image, flex=True, rank=3),
    Col("STATUS", lambda row: row.status, lambda row: _STATE_STYLES.get(row.state, ""), flex=True),
    Col("CPU", lambda row: _load(row.cpu_percent), right=True),
    Col("MEMORY", lambda row: None if row.mem_used is None else text.size(row.mem_used), right=True),
    Col("GPUS", lambda row: _count(len(row.gpus) or None), right=True, rank=1),
    Col("UTIL", lambda row: _load(row.gpu_util_percent), right=True, rank=1),
    Col(
        "GPU MEM",
        lambda row: None if row.gpu_mem_used is None else text.size(row.gpu_mem_used),
        right=True,
        rank=1,
    ),
    Col("OWNER", lambda row: row.owner, flex=True, rank=2),
    Col("CONTEXT", lambda row: row.context, "accent", flex=True, rank=4),
    Col("ID", lambda row: row.id[:12], "dim", rank=6),
    Col("PORTS", lambda row: ", ".join(row.ports), flex=True, rank=5),
)

CONTEXTS = (
    Col("CONTEXT", lambda row: row.name, flex=True),
    Col("HOST", lambda row: row.host, flex=True),
    Col("STATE", lambda row: row.state, lambda row: _STATE_STYLES.get(row.state, "")),
    Col("IMAGE", lambda row: row.image, flex=True, rank=1),
    Col("CONTAINER", lambda row: row.container, flex=True, rank=2),
    Col("USER", lambda row: row.user, flex=True, rank=5),
    Col("GPUS", lambda row: row.gpus, flex=True, rank=3),
    Col("SESSIONS", lambda row: _count(row.sessions or None), right=True, rank=4),
    Col("PORTS", lambda row: ", ".join(row.ports), flex=True, rank=6),
)

SESSIONS = (
    Col("HOST", lambda row: row.host, flex=True),
    Col("SESSION", lambda row: row.name, flex=True),
    Col("USER", lambda row: row.user, flex=True),
    Col("ATTACHED", lambda row: _count(row.attached or None), right=True),
    Col("WINDOWS", lambda row: str(row.windows), right=True, rank=3),
    Col(
        "ACTIVE",
        lambda row: None if row.activity_at is None else text.age(row.activity_at),
        right=True,
        rank=2,
    ),
    Col("RUNS", lambda row: ", ".join(row.commands), flex=True, rank=1),
    Col("CONTEXT", lambda row: row.context, "accent", flex=True, rank=4),
)

NODES = (
    Col("HOST", lambda row: row.host, flex=True),
    Col("NODE", lambda row: row.name, flex=True),
    Col("STATE", lambda row: row.state, lambda row: "" if takes_jobs(row) else "bad"),
    Col("PARTITIONS", lambda row: ", ".join(row.partitions), flex=True, rank=3),
    Col("GPU", lambda row: row.gpu_type, flex=True, rank=4),
    Col("GPUS", lambda row: f"{row.gpus_used}/{row.gpus}" if row.gpus else None, right=True),
    Col("CPUS", lambda row: f"{row.cpus_used}/{row.cpus}", right=True, rank=1),
    Col("MEM", lambda row: f"{text.size(row.memory_used)}/{text.size(row.memory)}", right=True, rank=2),
    Col("REASON", lambda row: row.reason, "warn", flex=True, rank=1),
)
"""In use, of all."""

PARTITIONS = (
    Col("HOST", lambda row: row.host, flex=True),
    Col("PARTITION", lambda row: f"{row.name}{' (default)' if row.default else ''}", flex=True),
    Col("STATE", lambda row: row.state, lambda row: "" if row.state == "up" else "bad"),
    Col("GPUS FREE", lambda row: f"{row.gpus_free}/{row.gpus}" if row.gpus else None, right=True),
    Col("NODES", lambda row: str(row.nodes), right=True, rank=1),
    Col(
        "TIME LIMIT",
        lambda row: "none" if row.time_limit is None else text.duration(row.time_limit),
        right=True,
        rank=2,
    ),
)

_IMAGE_STYLES = {"fresh": "good", "stale": "warn", "building": "accent", "missing": "dim"}


def _image_state(row: ImageRow) -> str | None:
    return f"{row.state}: {row.reason}" if row.state and row.reason else row.state


IMAGES = (
    Col("HOST", lambda row: row.host, flex=True),
    Col("IMAGE", lambda row: ", ".join(row.tags) or "<none>", flex=True),
    Col("ID", lambda row: row.short_id, "dim", rank=2),
    Col("SIZE", lambda row: None if row.size is None else text.size(row.size), right=True),
    Col(
        "CREATED",
        lambda row: None if row.created_at is None else text.age(row.created_at),
        right=True,
        rank=1,
    ),
    Col("USED BY", lambda row: ", ".join(row.used_by), flex=True, rank=3),
    Col("RECIPE", lambda row: row.recipe, "accent", flex=True, rank=4),
    Col("STATE", _image_state, lambda row: _IMAGE_STYLES.get(row.state or "", ""), flex=True, rank=4),
    Col(
        "SHARED",
        lambda row: None if row.shared_size is None else text.size(row.shared_size),
        right=True,
        rank=5,
    ),
)

BY_ROW: dict[type, tuple[Col, ...]] = {
    HostRow: HOSTS,
    GpuRow: GPUS,
    ContainerRow: PS,
    ContextRow: CONTEXTS,
    SessionRow: SESSIONS,
    ImageRow: IMAGES,
    ClusterNode: NODES,
    ClusterPartition: PARTITIONS,
}
"""The columns of each kind of row."""
