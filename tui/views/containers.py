"""Containers (3): those of all hosts in one table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, ClassVar

from backend.model import ContainerRow
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.filter import Field
from tui.views.base import ListView
from tui.views.make import figures, words

_ALIVE = ("running", "paused", "restarting")


class ContainersView(ListView):
    """All containers, running ones first."""

    ROW = ContainerRow
    KEY = attrgetter("host", "id")
    RANKED_BY = attrgetter("state", "health")
    EMPTY: ClassVar[tuple[str, str]] = (
        "The containers of all hosts, with what they use and who they belong to.",
        "No engine has told of any yet. Start one (`docker run ...` on a host), or see `berth doctor HOST`.",
    )

    def make_columns(self) -> Sequence[Column[Any]]:
        """All columns."""
        return (
            words("host", "HOST", 10, lambda r: r.host, grow=1),
            words("name", "NAME", 18, lambda r: r.name, grow=3),
            words("image", "IMAGE", 18, lambda r: r.image, cell=_image, grow=2, priority=4),
            words("state", "STATE", 10, lambda r: r.state, cell=_state, priority=1),
            figures("up", "UP", 8, _up, _started, priority=5),
            figures("cpu", "CPU", 6, _cpu, lambda r: r.cpu_percent),
            figures("mem", "MEM", 7, _mem, lambda r: r.mem_used),
            figures("gpu", "GPU", 9, _gpu, lambda r: r.gpu_util_percent, priority=3),
            figures("gpu-mem", "GPU-MEM", 7, _gpu_mem, lambda r: r.gpu_mem_used, priority=6),
            words("owner", "OWNER", 9, lambda r: r.owner, grow=1, priority=2),
            words("context", "CONTEXT", 10, lambda r: r.context, grow=1, priority=8),
            words("ports", "PORTS", 12, lambda r: " ".join(r.ports), cell=_ports, grow=2, priority=7),
            words("status", "STATUS", 22, lambda r: r.status, priority=8, optional=True),
            words("id", "ID", 12, lambda r: r.id[:12], priority=9, optional=True),
            words("command", "COMMAND", 20, lambda r: r.command, grow=2, priority=9, optional=True),
            figures(
                "rx",
                "NET-RX",
                7,
                lambda r: cells.size(r.net_rx),
                lambda r: r.net_rx,
                priority=9,
                optional=True,
            ),
            figures(
                "tx",
                "NET-TX",
                7,
                lambda r: cells.size(r.net_tx),
                lambda r: r.net_tx,
                priority=9,
                optional=True,
            ),
            figures("created", "CREATED", 8, _created, lambda r: r.created_at, priority=9, optional=True),
        )

    def make_narrow(self) -> Sequence[Column[Any]]:
        """What, and what it uses."""
        return (
            words("name", "NAME", 12, lambda r: r.name, grow=2),
            words("host", "HOST", 6, lambda r: r.host, grow=1, priority=1),
            figures("cpu", "CPU", 6, _cpu, lambda r: r.cpu_percent),
            figures("mem", "MEM", 7, _mem, lambda r: r.mem_used),
        )

    def make_rows(self) -> Sequence[ContainerRow]:
        """One row per container."""
        return self.sources.builder.containers(self.sources.state)

    def rank(self, row: ContainerRow) -> int:
        """What is not well, what runs, what has ended."""
        if _sick(row):
            return 0
        return 1 if row.state in _ALIVE else 2

    def look(self, row: ContainerRow) -> Look:
        """Ended ones are grey, sick ones carry a `!`."""
        if row.stale:
            return Look("dim")
        if _sick(row):
            return Look("", "bad")
        return Look() if row.state in _ALIVE else Look("dim")

    def extra_fields(self) -> dict[str, Field]:
        """`health:unhealthy`, `label:team=a`, `exit:>0`."""
        return {
            "health": Field(lambda r: r.health or ""),
            "label": Field(lambda r: " ".join(f"{key}={value}" for key, value in r.labels.items())),
            "exit": Field(lambda r: str(r.exit_code), lambda r: r.exit_code),
            "gpus": Field(lambda r: " ".join(r.gpus), lambda r: len(r.gpus)),
        }


def _sick(row: ContainerRow) -> bool:
    return row.state in ("dead", "restarting") or row.health == "unhealthy"


def _image(row: ContainerRow) -> Cell:
    return cells.plain(row.image.removeprefix("docker.io/").removeprefix("library/"))


def _state(row: ContainerRow) -> Cell:
    """Docker's word; of a running one with a health check that is not content, that word."""
    if row.state == "running" and row.health in ("unhealthy", "starting"):
        return ((row.health, "bad" if row.health == "unhealthy" else "warn"),)
    return cells.state(row.state, None, row.exit_code)


def _started(row: ContainerRow) -> datetime | None:
    return row.started_at if row.state in _ALIVE else None


def _up(row: ContainerRow) -> Cell:
    started = _started(row)
    return cells.age(started) if started else cells.EMPTY


def _cpu(row: ContainerRow) -> Cell:
    """Nothing, not even a dash, for what has ended."""
    return cells.percent(row.cpu_percent) if row.state in _ALIVE else cells.EMPTY


def _mem(row: ContainerRow) -> Cell:
    return cells.size(row.mem_used) if row.state in _ALIVE else cells.EMPTY


def _ports(row: ContainerRow) -> Cell:
    return cells.ports(row.ports) if row.ports else cells.EMPTY


def _created(row: ContainerRow) -> Cell:
    return cells.age(row.created_at)


def _gpu(row: ContainerRow) -> Cell:
    """How many it was given, and how busy they are."""
    if not row.gpus or row.state not in _ALIVE:
        return cells.EMPTY
    if row.gpu_util_percent is None:
        return ((f"{len(row.gpus)}x", "dim"),)
    return ((f"{len(row.gpus)}x ", "dim"), *cells.percent(row.gpu_util_percent))


def _gpu_mem(row: ContainerRow) -> Cell:
    return cells.size(row.gpu_mem_used) if row.gpu_mem_used is not None else cells.EMPTY
