"""The fleet: all that is known of each host at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from msgspec import Struct

from backend.model.containers import Container, Usage
from backend.model.gpus import GpuProcess, GpuReport, GpuTopology
from backend.model.hosts import Disk, Engine, Hello, HostState, HostStats, Problem
from backend.model.images import ImageReport
from backend.model.jobs import ClusterReport, QueueReport
from backend.model.sessions import TmuxSession

_NONE: Mapping[str, Usage] = MappingProxyType({})


class HostSnapshot(Struct, frozen=True, kw_only=True, gc=False):
    """Everything known of one host at one moment. Replaced as a whole, never changed."""

    name: str
    """The nick of hosts.yaml, or `local`."""
    address: str
    """What is connected to, as configured; `local` for this machine."""
    state: HostState
    tags: tuple[str, ...] = ()
    comment: str = ""
    type: str = ""
    """Free text of the configuration: the kind of machine."""
    read_only: bool = False
    error: Problem | None = None
    """Why the host is not up."""
    warnings: tuple[Problem, ...] = ()
    """It is up, but something on it is not well (engine, driver, disk, garbage from the agent)."""
    retry_at: datetime | None = None
    """When the next attempt starts, while it is not up."""
    latency_ms: float | None = None
    """Round trip over the open connection."""
    seen_at: datetime | None = None
    """When the last data came. Older data stays visible after a host went away, and is called stale."""
    revision: int = 0
    """Counts up with every change of this host."""
    hello: Hello | None = None
    stats: HostStats | None = None
    disks: tuple[Disk, ...] = ()
    engine: Engine | None = None
    gpu_report: GpuReport | None = None
    topology: GpuTopology | None = None
    """None: not known yet."""
    processes: tuple[GpuProcess, ...] = ()
    containers: tuple[Container, ...] | None = None
    """None until the engine's first list came."""
    usage: Mapping[str, Usage] = _NONE
    """By container id."""
    sessions: tuple[TmuxSession, ...] = ()
    told: frozenset[str] = frozenset()
    """Sections that came at least once: what is empty and was never told is not known yet."""
    queue: QueueReport | None = None
    """None: not known yet, or the host has none."""
    cluster: ClusterReport | None = None
    """Where the host is the login node of a cluster: None until the first poll came."""
    images: ImageReport | None = None
    """None until somebody asked for them."""

    @property
    def stale(self) -> bool:
        """Whether what is shown of it is old: the host is not up now."""
        return self.state is not HostState.UP


class FleetState(Struct, frozen=True, kw_only=True, gc=False):
    """All hosts, in the order of the configuration."""

    hosts: Mapping[str, HostSnapshot]
    revision: int = 0
    """Counts up with every published state."""
