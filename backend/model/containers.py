"""Containers, what leads into them (contexts, tunnels), and the rows of all three."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from backend.model.base import Count, Moment, Short


class Port(Struct, frozen=True, gc=False):
    """A port of a container."""

    private: Count
    protocol: Short = "tcp"
    public: Count | None = None
    """None: exposed but not published."""
    address: Short = ""
    """The host's address it is bound to."""


class Mount(Struct, frozen=True, gc=False):
    """Something mounted into a container."""

    source: Short
    target: Short
    kind: Short = "bind"
    """`bind`, `volume`, `tmpfs`."""
    writable: bool = True


class Container(Struct, frozen=True, gc=False):
    """One entry of section `containers` (a list): sent whole when any container changes."""

    id: Short
    """Full id, 64 hexadecimal digits."""
    name: Short
    """Without the leading slash."""
    image: Short
    state: Short
    """Docker's: created, running, paused, restarting, removing, exited, dead."""
    image_id: Short = ""
    command: Short = ""
    user: Short = ""
    """The user its first process runs as, as configured; empty is root."""
    pid: Count | None = None
    """Of its first process, on the host."""
    created_at: Moment | None = None
    started_at: Moment | None = None
    finished_at: Moment | None = None
    exit_code: int | None = None
    health: Short = ""
    """`healthy`, `unhealthy`, `starting` or empty."""
    oom_killed: bool = False
    restarts: Count = 0
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    labels: dict[Short, Short] = {}
    networks: tuple[Short, ...] = ()
    gpus: tuple[Short, ...] = ()
    """UUIDs of the GPUs it was given, asked for or not used; resolved on the host."""
    owner: Short | None = None
    """Unix user it belongs to, by label or by whose folder it mounts."""
    cpu_limit: float | None = None
    """In CPUs; None is no limit."""
    cpuset: Short = ""
    complete: bool = True
    """False while only the engine's list is known and the details still come."""


class Usage(Struct, frozen=True, gc=False):
    """One entry of section `usage` (a list): what a running container uses, each interval."""

    id: Short
    cpu_percent: Annotated[float, Meta(ge=0)] | None = None
    """Of one CPU: 250.0 is two and a half CPUs busy, as `docker stats` counts."""
    mem_used: Count | None = None
    """Without the page cache that can be dropped (inactive_file), as `docker stats` counts."""
    mem_limit: Count | None = None
    """The limit, or the machine's memory where there is none."""
    net_rx: Count | None = None
    """Bytes since the container started."""
    net_tx: Count | None = None
    pids: Count | None = None


class ContainerRow(Struct, frozen=True, kw_only=True, gc=False):
    """`berth ps`."""

    host: str
    id: str
    name: str
    image: str
    state: str
    status: str
    """As `docker ps` says it: `Up 3 hours (healthy)`, `Exited (137) 2 days ago`."""
    created_at: datetime | None
    started_at: datetime | None
    cpu_percent: float | None
    mem_used: int | None
    mem_limit: int | None
    net_rx: int | None
    net_tx: int | None
    gpus: tuple[str, ...]
    """UUIDs."""
    gpu_util_percent: float | None
    """Mean over its GPUs."""
    gpu_mem_used: int | None
    """Bytes its own processes hold on all GPUs."""
    owner: str | None
    context: str | None
    ports: tuple[str, ...]
    """As `docker ps` writes them: `127.0.0.1:9999->9999/tcp`."""
    labels: dict[str, str]
    exit_code: int | None = None
    health: str | None = None
    command: str = ""
    stale: bool = False


class ContextRow(Struct, frozen=True, kw_only=True, gc=False):
    """`berth contexts`."""

    name: str
    host: str
    image: str
    container: str
    state: str
    """running, stopped, missing or unknown."""
    user: str = "root"
    gpus: str | None = None
    ports: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    profile: str = "tuned"
    container_id: str | None = None
    sessions: int = 0
    """tmux sessions on its host that are named after it."""
    last: bool = False
    """Whether it is the context that was used last."""


class TunnelRow(Struct, frozen=True, kw_only=True, gc=False):
    """`berth tunnels`: a port of this machine that leads to one of a host, a container or a service."""

    id: str
    """Short, unique on this machine: what `berth tunnel stop` takes."""
    host: str
    name: str
    """Of the container; empty: it leads to the host itself."""
    context: str | None = None
    service: str
    """Its name, or the port's number."""
    address: str
    """`127.0.0.1:8888`, here."""
    port: int
    """At the other end."""
    url: str = ""
    """Of its page, without the token that it may need; empty where it is no page."""
    state: str
    """`up`, `reconnecting`, or `silent` where the berth that holds it does not answer."""
    note: str = ""
    """Why it is not up, or what is odd about it."""
    received: int = 0
    """Bytes that came from the other end."""
    sent: int = 0
    connections: int = 0
    """Open now."""
    served: int = 0
    """Connections so far that reached the other end."""
    failed: int = 0
    """Connections so far that did not."""
    since: datetime
    holder: str = ""
    """`dashboard` or `shell`: what kind of berth holds it."""
    pid: int = 0
    """Of that berth."""
