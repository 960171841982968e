"""Fleet (1): one row per host, what is wrong first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from backend.model import EngineState, HostRow, HostSnapshot, HostState
from backend.text import age, duration, printable
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.filter import Field
from tui.views.base import ListView
from tui.views.make import figures, words

_ORDER = {HostState.HOST_KEY: 0, HostState.AUTH: 0, HostState.DOWN: 1, HostState.SKIPPED: 4}


class FleetView(ListView):
    """All hosts: problems, load, and where a GPU is free."""

    NOTE_AFTER = "state"
    ROW = HostRow
    KEY = attrgetter("name")
    EMPTY: ClassVar[tuple[str, str]] = (
        "Every host, its load, and where a GPU is free.",
        "No host is configured: add some to hosts.yaml, or take out `local: false`.",
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "retry", "retry", id="retry"),
        Binding("K", "trust", "its key", id="trust"),
    ]

    class Retry(Message):
        """Connect to a host now."""

        def __init__(self, host: str) -> None:
            super().__init__()
            self.host = host

    class Trust(Message):
        """Ask whether the key that a host offers can be trusted."""

        def __init__(self, host: HostSnapshot) -> None:
            super().__init__()
            self.host = host

    def make_columns(self) -> Sequence[Column[Any]]:
        """All columns."""
        return (
            words("host", "HOST", 12, lambda r: r.name, cell=_name, grow=1),
            Column("state", "STATE", 10, _state, lambda r: (_rank(r), r.state), lambda r: r.state),
            figures(
                "cpu", "CPU", 13, lambda r: cells.percent_bar(r.cpu_percent, 13), lambda r: r.cpu_percent
            ),
            figures("memory", "MEMORY", 20, _memory, lambda r: r.mem_used, priority=3),
            Column("gpus", "GPUS", 18, _gpus, _mean, _gpu_names, grow=3, priority=2),
            figures("free", "FREE", 5, _free, lambda r: r.gpus_free),
            figures("containers", "CONT", 5, _containers, lambda r: r.containers_running, priority=4),
            figures("load", "LOAD", 6, lambda r: cells.number(r.load1, 1), lambda r: r.load1, priority=6),
            figures("disk", "DISK", 5, _disk_cell, _disk, priority=5),
            figures("latency", "LAT", 7, _latency, lambda r: r.latency_ms, priority=7),
            words("engine", "ENGINE", 15, _engine, priority=8, optional=True),
            words("address", "ADDRESS", 20, lambda r: r.address, priority=8, optional=True),
            words("tags", "TAGS", 16, lambda r: " ".join(r.tags), priority=8, optional=True),
            words("type", "TYPE", 12, lambda r: r.type, priority=8, optional=True),
            words("comment", "COMMENT", 20, lambda r: r.comment, grow=2, priority=9, optional=True),
        )

    def make_narrow(self) -> Sequence[Column[Any]]:
        """Name, load or what is wrong, GPUs."""
        return (
            words("host", "HOST", 10, lambda r: r.name, cell=_name, grow=2),
            figures("cpu", "CPU", 5, _cpu, lambda r: r.cpu_percent),
            Column("gpus", "GPUS", 8, _strip, priority=1),
            figures("free", "FREE", 5, _free, lambda r: r.gpus_free),
        )

    def make_rows(self) -> Sequence[HostRow]:
        """One row per host."""
        return self.sources.builder.hosts(self.sources.state)

    def host_of(self, row: HostRow) -> str:
        """Itself."""
        return row.name

    def rank(self, row: HostRow) -> int:
        """What needs somebody first, what was left out last."""
        return _rank(row)

    def look(self, row: HostRow) -> Look:
        """What is wrong, in place of numbers that are not there."""
        problem = "bad" if cells.needs_help(row.state) else "warn" if row.warnings else ""
        if row.state is HostState.UP:
            return Look("", problem)
        note, short = None, _state(row)
        if row.error:
            note = _note(row)
        elif row.state is HostState.SKIPPED:
            note = ((printable(row.comment) or "left out by the configuration", "dim"),)
        return Look("" if row.error else "dim", problem, note, short)

    def shape(self) -> Any:
        """Keys for hosts that need somebody come and go with the cursor."""
        row = self.table.row
        return (self.NAME, row and row.state)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a retry where there is something to retry, a key where one waits to be trusted."""
        row = self.table.row
        if action == "retry":
            return row is not None and row.state not in (HostState.UP, HostState.SKIPPED)
        if action == "trust":
            return self._untrusted(row) is not None
        return True

    def why_not(self, action: str) -> str:
        """What is the matter with the host instead."""
        row = self.table.row
        if row is None:
            return ""
        if action == "retry":
            left = row.state is HostState.SKIPPED
            return f"retry: {row.name} is " + ("left out by the configuration" if left else "connected")
        return f"its key: no unknown key of {row.name} waits for an answer" if action == "trust" else ""

    def open_row(self, row: HostRow) -> bool:
        """A host whose key is unknown: ask whether to trust it."""
        host = self._untrusted(row)
        if host is not None:
            self.app.post_message(self.Trust(host))
        return host is not None

    def action_retry(self) -> None:
        """Connect now, instead of when the next attempt is due."""
        for row in self.table.targets():
            self.app.post_message(self.Retry(row.name))

    def action_trust(self) -> None:
        """Look at a host's unknown key."""
        if self.table.row is not None:
            self.open_row(self.table.row)

    def _untrusted(self, row: HostRow | None) -> HostSnapshot | None:
        host = self.sources.state.hosts.get(row.name) if row is not None else None
        waits = host is not None and host.state is HostState.HOST_KEY and host.error and host.error.key
        return host if waits else None

    def extra_fields(self) -> dict[str, Field]:
        """Engine, tags and comment are asked for even while their columns are hidden."""
        return {"error": Field(lambda r: r.error or " ".join(r.warnings))}


_ENGINE_ILL = (EngineState.HUNG, EngineState.DENIED, EngineState.DOWN)


def _rank(row: HostRow) -> int:
    return _ORDER.get(row.state, 2 if row.warnings else 3)


def _name(row: HostRow) -> Cell:
    return ((printable(row.name), "bad" if cells.needs_help(row.state) else ""),)


def _state(row: HostRow) -> Cell:
    if row.state is HostState.AUTH:
        return (("refused", "bad"),)
    if row.state is HostState.UP and row.warnings and row.engine_state in _ENGINE_ILL:
        return (("engine !", "warn"),)
    return cells.host_state(row.state, bool(row.warnings))


def _cpu(row: HostRow) -> Cell:
    return cells.percent(row.cpu_percent)


def _note(row: HostRow) -> Cell:
    """The error, when it is tried again, and since when nothing was heard."""
    spans = [(printable(row.error or ""), "")]
    now = datetime.now(UTC)
    if row.retry_at is not None:
        wait = (row.retry_at - now).total_seconds()
        tried = f"retry {duration(wait)}" if wait >= 1 else "trying"
        spans.insert(0, (f"{tried} · ".rjust(13), "dim"))
    if row.seen_at is not None:
        spans.append((f" · seen {age(row.seen_at, now)} ago", "dim"))
    return tuple(spans)


def _gpus(row: HostRow) -> Cell:
    if row.gpus is None:
        return cells.DASH
    if not row.gpus:
        return (("none", "dim"),)
    return (*cells.gpu_strip(row.gpu_utils), (f"  {_gpu_names(row)}", ""))


def _gpu_names(row: HostRow) -> str:
    """`8x H100`, `4x MI300X + 1x A100`."""
    counts: dict[str, int] = {}
    for name in row.gpu_names:
        short = short_gpu(name)
        counts[short] = counts.get(short, 0) + 1
    return " + ".join(f"{count}x {name}" for name, count in counts.items())


def short_gpu(name: str) -> str:
    """A GPU's name without what every name has: `NVIDIA H100 80GB HBM3` is `H100 80GB`."""
    drop = {
        "nvidia",
        "amd",
        "radeon",
        "instinct",
        "geforce",
        "tesla",
        "graphics",
        "hbm3",
        "hbm3e",
        "hbm2e",
        "pcie",
    }
    words = [word for word in printable(name, 60).split() if word.lower() not in drop]
    return " ".join(words) or printable(name, 60)


def _mean(row: HostRow) -> float | None:
    known = [value for value in row.gpu_utils if value is not None]
    return sum(known) / len(known) if known else None


def _memory(row: HostRow) -> Cell:
    return cells.usage(row.mem_used, row.mem_total, 20)


def _strip(row: HostRow) -> Cell:
    return cells.gpu_strip(row.gpu_utils) if row.gpu_utils else cells.EMPTY


def _free(row: HostRow) -> Cell:
    """Nothing for a host without GPUs: the column before says so."""
    return cells.EMPTY if row.gpus == 0 else cells.free(row.gpus_free, row.gpus)


def _latency(row: HostRow) -> Cell:
    return cells.number(row.latency_ms, 0, unit=" ms")


def _disk_cell(row: HostRow) -> Cell:
    share = _disk(row)
    return (
        cells.percent(share)
        if share is None or share < 90
        else tuple((t, "warn") for t, _ in cells.percent(share))
    )


def _containers(row: HostRow) -> Cell:
    return cells.number(row.containers_running)


def _disk(row: HostRow) -> float | None:
    if row.disk_used is None or not row.disk_total:
        return None
    return 100 * row.disk_used / row.disk_total


def _engine(row: HostRow) -> str:
    return printable(" ".join(part for part in (row.engine, row.engine_version) if part))
