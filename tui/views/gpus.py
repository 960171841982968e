"""GPUs (2): one row per GPU; free ones and idle holders stand out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from backend.model import GpuRow
from backend.text import age, printable
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.filter import Field
from tui.views.base import ListView
from tui.views.fleet import short_gpu
from tui.views.make import figures, words

ONLY_FREE = "free:yes"


class GpusView(ListView):
    """All GPUs: how busy, who is on them, which can be had."""

    ROW = GpuRow
    KEY = attrgetter("host", "uuid")
    EMPTY: ClassVar[tuple[str, str]] = (
        "Every GPU, how busy it is, who is on it, and which are free.",
        "No host has shown a GPU yet. NVIDIA's driver or amdgpu has to be loaded there: `berth doctor HOST`.",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "only_free", "only free", id="only-free"),
        Binding("l", "logs", "logs", id="gpu-logs"),
    ]

    def make_columns(self) -> Sequence[Column[Any]]:
        """All columns."""
        return (
            words("host", "HOST", 12, lambda r: r.host, grow=1),
            figures("index", "#", 2, lambda r: cells.number(r.index), lambda r: r.index),
            words("gpu", "GPU", 12, lambda r: short_gpu(r.name), grow=1, priority=4),
            figures("util", "UTIL", 14, self._util, lambda r: r.util_percent),
            figures("memory", "MEMORY", 22, _memory, lambda r: r.mem_used, priority=1),
            figures("temp", "TEMP", 5, lambda r: cells.temperature(r.temp_c), lambda r: r.temp_c, priority=6),
            figures("power", "POWER", 11, _power, lambda r: r.power_w, priority=7),
            words("who", "WHO", 12, lambda r: ", ".join(r.owners), cell=_who, grow=1),
            words("what", "WHAT", 14, _what_text, cell=_what, grow=4, priority=2),
            figures("since", "SINCE", 8, _since_cell, _since, priority=5),
            words("arch", "ARCH", 8, lambda r: r.arch, priority=8, optional=True),
            words("uuid", "UUID", 20, lambda r: r.uuid, priority=9, optional=True),
            figures(
                "numa",
                "NUMA",
                4,
                lambda r: cells.number(r.numa_node),
                lambda r: r.numa_node,
                priority=9,
                optional=True,
            ),
        )

    def make_narrow(self) -> Sequence[Column[Any]]:
        """Where, how busy, who."""
        return (
            words("host", "HOST", 8, lambda r: r.host, grow=1),
            figures("index", "#", 2, lambda r: cells.number(r.index), lambda r: r.index),
            figures(
                "util", "UTIL", 11, lambda r: cells.percent_bar(r.util_percent, 11), lambda r: r.util_percent
            ),
            words("who", "WHO", 9, lambda r: ", ".join(r.owners), cell=_who, grow=1),
        )

    def make_rows(self) -> Sequence[GpuRow]:
        """One row per GPU."""
        return self.sources.builder.gpus(self.sources.state)

    def look(self, row: GpuRow) -> Look:
        """Free and idle ones stand out."""
        if row.stale:
            return Look("dim")
        if row.error:
            return Look("", "bad")
        if row.free:
            return Look("free")
        return Look("idle", "warn") if row.idle_since else Look()

    def extra_fields(self) -> dict[str, Field]:
        """`free:yes`, `idle:>1h`, `vendor:amd`."""
        return {
            "free": Field(lambda r: "yes" if r.free else "no", lambda r: r.free),
            "idle": Field(lambda r: "yes" if r.idle_since else "no", lambda r: r.idle_since),
            "vendor": Field(lambda r: r.vendor),
        }

    def containers_filter(self, row: GpuRow) -> str:
        """Those that were given this GPU."""
        return f"gpus:{row.uuid}" if row.containers else ""

    def _util(self, row: GpuRow) -> Cell:
        """The last points and the number of now."""
        if row.util_percent is None:
            return cells.DASH
        recent = self.sources.history.recent_gpu(row.host, row.uuid)
        return (*cells.spark(recent, 8), (" ", ""), *cells.percent(row.util_percent))

    def has_containers(self) -> bool:
        """Whether one of them was given to a container."""
        return any(row.containers for row in self.targets())

    def action_logs(self) -> None:
        """The logs of the containers that were given the GPU, or the marked ones."""
        named = {(row.host, name) for row in self.table.targets() for name in row.containers}
        self.show_logs(lambda row: (row.host, row.name) in named)

    def action_only_free(self) -> None:
        """Show only free GPUs, or all again."""
        self.set_filter("" if self.filter_text == ONLY_FREE else ONLY_FREE)


def _who(row: GpuRow) -> Cell:
    if row.free:
        return (("free", "free"),)
    if row.owners:
        return cells.owners(row.owners)
    return cells.plain(", ".join(row.containers)) if row.containers else (("in use", "dim"),)


def _what_text(row: GpuRow) -> str:
    """What runs: the container and its job, else the command."""
    if row.error:
        return printable(row.error)
    parts = []
    for process in row.processes:
        name = process.container or process.command
        if name:
            parts.append(
                printable(name, 80) + (f" (job {printable(process.job, 20)})" if process.job else "")
            )
    return ", ".join(dict.fromkeys(parts or [printable(name, 80) for name in row.containers]))


def _what(row: GpuRow) -> Cell:
    if row.error:
        return ((printable(row.error), "bad"),)
    what = _what_text(row)
    if row.idle_since is not None:
        return ((f"idle {age(row.idle_since)}", "idle"), (f" · {what}" if what else "", ""))
    return ((what, ""),) if what else cells.EMPTY


def _since(row: GpuRow) -> datetime | None:
    """When the oldest process on it started."""
    return min((p.started_at for p in row.processes if p.started_at is not None), default=None)


def _since_cell(row: GpuRow) -> Cell:
    since = _since(row)
    return cells.age(since) if since is not None else cells.EMPTY


def _memory(row: GpuRow) -> Cell:
    return cells.usage(row.mem_used, row.mem_total, 22)


def _power(row: GpuRow) -> Cell:
    return cells.power(row.power_w, row.power_limit_w)
