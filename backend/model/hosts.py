"""A host: what its agent says of the machine and its engine, and its row."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from backend.model.base import Count, Moment, Percent, Short


class HostState(StrEnum):
    """Where the connection to a host stands."""

    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"
    AUTH = "auth"
    HOST_KEY = "host_key"
    SKIPPED = "skipped"


class EngineState(StrEnum):
    """Whether the host's engine answers."""

    UP = "up"
    CONNECTING = "connecting"
    HUNG = "hung"
    DENIED = "denied"
    DOWN = "down"
    MISSING = "missing"
    OFF = "off"


class Hello(Struct, frozen=True, gc=False):
    """Section `hello`: sent once, first. What does not change while an agent lives."""

    protocol: int
    """Version of this format; another number means another berth."""
    hostname: Short
    os: Short
    """As in os-release, `Debian GNU/Linux 12 (bookworm)`."""
    kernel: Short
    arch: Short
    """`x86_64`, `aarch64`."""
    python: Short
    cpus: Count
    """Logical CPUs."""
    numa_nodes: Count
    user: Short
    """Who the agent runs as."""
    uid: int
    pid: Count
    boot_time: Moment | None = None


class HostStats(Struct, frozen=True, gc=False):
    """Section `host`: the machine itself, each interval."""

    cpu_percent: Percent | None = None
    """Of all CPUs together."""
    load1: float | None = None
    load5: float | None = None
    load15: float | None = None
    mem_used: Count | None = None
    """Bytes that are not available to a new process (total - available)."""
    mem_total: Count | None = None
    swap_used: Count | None = None
    swap_total: Count | None = None
    net_rx: Count | None = None
    """Bytes per second over all interfaces but loopback and those of containers."""
    net_tx: Count | None = None


class Disk(Struct, frozen=True, gc=False):
    """One entry of section `disk` (a list): a file system that matters to berth."""

    mount: Short
    """Where it is mounted."""
    role: Short
    """`root`, `engine` (holds the engine's data), `home`."""
    used: Count
    total: Count
    free: Count
    """Bytes an ordinary user can still write."""


class Engine(Struct, frozen=True, gc=False):
    """Section `engine`: the container engine as the agent finds it."""

    state: EngineState
    kind: Short = ""
    """`docker` or `podman`; empty while unknown."""
    version: Short = ""
    socket: Short = ""
    root_dir: Short = ""
    error: Short = ""
    """Why it is not up, one sentence."""
    hint: Short = ""
    """What to do about it."""


class Problem(Struct, frozen=True, gc=False):
    """Something wrong with a host, ready to be shown."""

    title: str
    message: str
    hint: str = ""
    fingerprint: str = ""
    """For an unknown host key: `SHA256:...`."""
    key: str = ""
    """For an unknown host key: the public key line that would be accepted."""


class HostRow(Struct, frozen=True, kw_only=True, gc=False):
    """`berth hosts`."""

    name: str
    address: str
    state: HostState
    error: str | None = None
    """Message and hint in one line."""
    warnings: tuple[str, ...] = ()
    engine: str | None = None
    """`docker`, `podman`, or None."""
    engine_version: str | None = None
    engine_state: EngineState | None = None
    cpus: int | None = None
    cpu_percent: float | None = None
    load1: float | None = None
    mem_used: int | None = None
    mem_total: int | None = None
    disk_used: int | None = None
    """Bytes used on the file system that fills first among root and the engine's."""
    disk_total: int | None = None
    gpus: int | None = None
    gpus_free: int | None = None
    gpu_utils: tuple[float | None, ...] = ()
    """Utilisation of each GPU, by index."""
    gpu_names: tuple[str, ...] = ()
    containers_running: int | None = None
    containers_total: int | None = None
    latency_ms: float | None = None
    tags: tuple[str, ...] = ()
    comment: str = ""
    type: str = ""
    seen_at: datetime | None = None
    retry_at: datetime | None = None
