"""What berth knows: frozen structs with a unit under each field.

Three families:

* **Wire** structs (`Hello` ... `TmuxSession`) are what an agent sends, one section per line. They are
  decoded strictly, straight from JSON: field names here *are* the wire format of `backend/agent`.
* **State** structs (`HostSnapshot`, `FleetState`) are what the fleet publishes.
* **Row** structs (`HostRow` ... `SessionRow`) are what lists show and what `--json` prints.

All are `gc=False`: what never changes cannot point to itself, and a search for garbage among the values of
ten thousand containers would be felt by whoever types.

Everywhere: bytes are `int`, percent is a `float` of 0-100 (of one machine, unless said otherwise), times
are aware UTC datetimes, `None` means unknown. Text that came from a host is raw here; whoever shows it
passes it through `backend.text.printable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A number of things or bytes: never negative, and never so large that arithmetic with floats fails."""
Moment = Annotated[datetime, Meta(tz=True)]
"""A time that says its offset; agents send UTC."""
Percent = Annotated[float, Meta(ge=0, le=100)]
"""0-100."""
Short = Annotated[str, Meta(max_length=4096)]
"""A name or a line of text: a host cannot make us keep a megabyte of it."""


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


# ---------------------------------------------------------------------------------------------- wire


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


class Gpu(Struct, frozen=True, gc=False):
    """One GPU of section `gpus`."""

    index: Count
    """The vendor's index on its host: what `--gpus device=N` counts for NVIDIA."""
    uuid: Short
    """NVML's UUID, or `amd-<unique_id>`; unique on the host."""
    vendor: Short
    """`nvidia` or `amd`."""
    name: Short
    arch: Short = ""
    """`sm_90`, `gfx942`; empty while unknown."""
    util_percent: Percent | None = None
    """Share of the last sample window in which a kernel ran."""
    mem_used: Count | None = None
    mem_total: Count | None = None
    temp_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    idle_since: Moment | None = None
    """Memory is held but nothing has run since then, as far as this agent saw; None while busy or free."""
    numa_node: int | None = None
    bus_id: Short = ""
    error: Short = ""
    """Why this one GPU cannot be read; its values are None then."""


class GpuReport(Struct, frozen=True, gc=False):
    """Section `gpus`: all GPUs of the host."""

    gpus: tuple[Gpu, ...] = ()
    driver: Short = ""
    """Version of the NVIDIA driver; empty without one."""
    error: Short = ""
    """Why a driver that is there cannot be used (`Driver/library version mismatch`)."""
    hint: Short = ""


class GpuPlace(Struct, frozen=True, gc=False):
    """Where a GPU lies in its host."""

    gpu: Short
    """UUID of the GPU."""
    cpus: Short = ""
    """The CPUs beside it, `0-47,96-143`; empty while unknown."""


class GpuLink(Struct, frozen=True, gc=False):
    """How two GPUs reach each other."""

    a: Short
    b: Short
    """UUIDs of the two."""
    kind: Short
    """`nvlink`, `xgmi` or `pcie`."""
    count: Count = 0
    """How many NVLinks or XGMI links; 0 for PCIe."""
    level: Short = ""
    """What PCIe passes: PIX (one switch), PXB (several), PHB (host bridge), NODE, SYS (between sockets)."""


class GpuTopology(Struct, frozen=True, gc=False):
    """Section `topology`: told once, and again when there are other GPUs."""

    gpus: tuple[GpuPlace, ...] = ()
    links: tuple[GpuLink, ...] = ()


class GpuProcess(Struct, frozen=True, gc=False):
    """One entry of section `processes` (a list): a process that holds a GPU."""

    gpu: Short
    """UUID of the GPU."""
    pid: Count
    """On the host, not inside the container."""
    user: Short = ""
    command: Short = ""
    """The command line, shortened; empty where /proc does not let us read it."""
    mem_used: Count | None = None
    """Bytes of GPU memory; None where the driver does not tell (MIG)."""
    container: Short | None = None
    """Full id of its container."""
    started_at: Moment | None = None


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


class TmuxPane(Struct, frozen=True, gc=False):
    """A pane of a tmux window."""

    id: Short
    """tmux's `%N`."""
    window: Count
    window_name: Short
    index: Count
    command: Short
    title: Short = ""
    path: Short = ""
    pid: Count | None = None
    active: bool = False
    dead: bool = False
    width: Count = 0
    height: Count = 0


class TmuxSession(Struct, frozen=True, gc=False):
    """One entry of section `tmux` (a list)."""

    id: Short
    """tmux's `$N`."""
    name: Short
    user: Short
    socket: Short
    attached: Count
    """How many clients look at it."""
    windows: Count
    created_at: Moment | None = None
    activity_at: Moment | None = None
    panes: tuple[TmuxPane, ...] = ()


class JobRequest(Struct, frozen=True, gc=False):
    """What a job asks for. See `backend/agent/queue/jobs.py`; sizes in bytes, times in seconds."""

    gpus: Count = 0
    gpu_ids: tuple[Short, ...] = ()
    cpus: Count = 1
    memory: Count = 0
    time_limit: float | None = None


class JobSpec(Struct, frozen=True, gc=False):
    """What a job runs, as far as it is shown."""

    image: Short = ""
    """The image's id."""
    image_name: Short = ""
    command: tuple[Annotated[str, Meta(max_length=131072)], ...] = ()
    workdir: Short = ""
    tty: bool = False
    idle_limit: float | None = None
    outfile: Short = ""
    project: Short = ""
    script: Short = ""


class Job(Struct, frozen=True, gc=False):
    """One job of a host's queue. See `backend/agent/queue/jobs.py`; times are seconds since the epoch."""

    id: Count
    owner: Short
    name: Short
    spec: JobSpec
    request: JobRequest
    uid: int = -1
    state: Short = "queued"
    """queued, held, starting, running, completed, failed, cancelled, timeout."""
    priority: int = 0
    position: float = 0.0
    submitted_at: float = 0.0
    begin_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    after: tuple[tuple[Count, Short], ...] = ()
    retries: Count = 0
    attempt: Count = 0
    array: Count = 0
    array_index: Count = 0
    array_limit: Count = 0
    reason: Short = ""
    expected_start: float | None = None
    gpus: tuple[Short, ...] = ()
    cpus: tuple[Count, ...] = ()
    memory: Count = 0
    container: Short = ""
    exit_code: int | None = None
    error: Short = ""
    cancel_by: Short = ""
    log: Short = ""


class QueueReport(Struct, frozen=True, gc=False):
    """Section `jobs`: the queue of the host."""

    jobs: tuple[Job, ...] = ()
    """All that hold resources, the first of those that wait, the latest of those that ended."""
    waiting: Count = 0
    """How many wait in all."""
    active: Count = 0
    keeper: bool = False
    """Whether somebody keeps the queue moving. False is right while nothing waits or runs."""
    paused: Short = ""
    """Who paused it and why."""
    draining: Short = ""
    folder: Short = ""
    notice: Short = ""
    """What people should know: a database that was set aside."""
    error: Short = ""
    """Why the queue cannot be used."""
    hint: Short = ""


class Image(Struct, frozen=True, gc=False):
    """One entry of section `images`."""

    id: Short
    """`sha256:` and 64 hexadecimal digits; Podman leaves the front out."""
    tags: tuple[Short, ...] = ()
    """Its names, `pytorch:2.4`; none for one that lost them to another image, or never had any."""
    digests: tuple[Short, ...] = ()
    """What registries know it by, `pytorch@sha256:...`."""
    size: Count | None = None
    """Bytes of all its layers."""
    shared_size: Count | None = None
    """Bytes of those layers that other images of the host have as well; None where the engine is silent."""
    created_at: Moment | None = None
    labels: dict[Short, Short] = {}


class ImageReport(Struct, frozen=True, gc=False):
    """Section `images`: sent once somebody asked for it, and then whenever images changed."""

    images: tuple[Image, ...] = ()
    error: Short = ""
    """Why the engine cannot list them; what is here is older then."""


# --------------------------------------------------------------------------------------------- state


class Problem(Struct, frozen=True, gc=False):
    """Something wrong with a host, ready to be shown."""

    title: str
    message: str
    hint: str = ""
    fingerprint: str = ""
    """For an unknown host key: `SHA256:...`."""
    key: str = ""
    """For an unknown host key: the public key line that would be accepted."""


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


class ClusterNode(Struct, frozen=True, kw_only=True, gc=False):
    """A node of a cluster."""

    host: str
    """The login node's name in the configuration."""
    name: str
    state: str
    """As Slurm writes it, lower case: idle, mixed, allocated, drained, down ..."""
    partitions: tuple[str, ...] = ()
    gpu_type: str = ""
    gpus: int = 0
    gpus_used: int = 0
    cpus: int = 0
    cpus_used: int = 0
    memory: int = 0
    """Bytes."""
    memory_used: int = 0
    """Bytes that are given to jobs."""
    reason: str = ""
    """Why it takes no jobs."""


class ClusterPartition(Struct, frozen=True, kw_only=True, gc=False):
    """A partition of a cluster."""

    host: str
    name: str
    state: str
    default: bool = False
    time_limit: float | None = None
    """Seconds; None is without limit."""
    nodes: int = 0
    gpus: int = 0
    gpus_free: int = 0
    """On nodes that take jobs."""


class ClusterReport(Struct, frozen=True, kw_only=True):
    """What a cluster's login node tells: one poll, shared by all who look."""

    name: str = ""
    version: str = ""
    jobs: tuple[JobRow, ...] = ()
    nodes: tuple[ClusterNode, ...] = ()
    partitions: tuple[ClusterPartition, ...] = ()
    history: bool = False
    """Whether there is a database that remembers ended jobs."""
    error: str = ""
    """Why it could not be asked; what is shown is older then."""
    hint: str = ""


class FleetState(Struct, frozen=True, kw_only=True, gc=False):
    """All hosts, in the order of the configuration."""

    hosts: Mapping[str, HostSnapshot]
    revision: int = 0
    """Counts up with every published state."""


# ---------------------------------------------------------------------------------------------- rows


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


class ProcessRow(Struct, frozen=True, kw_only=True, gc=False):
    """A process on a GPU, inside `GpuRow`."""

    pid: int
    user: str
    command: str
    mem_used: int | None
    container: str | None
    """The container's name."""
    job: str | None
    """Id of the queue's job, by the container's label `berth.job`."""
    started_at: datetime | None = None


class GpuRow(Struct, frozen=True, kw_only=True, gc=False):
    """`berth gpus`."""

    host: str
    index: int
    uuid: str
    vendor: str
    name: str
    arch: str | None
    util_percent: float | None
    mem_used: int | None
    mem_total: int | None
    temp_c: float | None
    power_w: float | None
    power_limit_w: float | None
    free: bool
    """No process on it, no running container asked for it, and it can be read."""
    idle_since: datetime | None
    processes: tuple[ProcessRow, ...] = ()
    containers: tuple[str, ...] = ()
    """Names of the running containers that were given this GPU."""
    owners: tuple[str, ...] = ()
    """Users of its processes, else owners of its containers."""
    numa_node: int | None = None
    error: str | None = None
    stale: bool = False


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


class SessionRow(Struct, frozen=True, kw_only=True, gc=False):
    """`berth sessions`."""

    host: str
    id: str
    name: str
    user: str
    attached: int
    windows: int
    created_at: datetime | None
    activity_at: datetime | None
    commands: tuple[str, ...]
    """What runs in its panes."""
    context: str | None = None
    socket: str = ""
    panes: tuple[TmuxPane, ...] = ()
    stale: bool = False

    @property
    def running(self) -> str:
        """What runs in its panes, for a sentence."""
        return ", ".join(self.commands) or "nothing"


class JobRow(Struct, frozen=True, kw_only=True, gc=False):
    """A job of any engine: a host's own queue, or a cluster's Slurm."""

    host: str
    """The host, or the cluster's login node."""
    engine: str
    """`docker` or `slurm`."""
    id: str
    """Its number; with `_INDEX` for one of a Slurm array."""
    name: str
    owner: str
    state: str
    """queued, held, starting, running, completed, failed, cancelled, timeout."""
    reason: str = ""
    """Why it waits, or what ended it."""
    priority: int = 0
    place: int | None = None
    """Its place among those that wait: 1 is next."""
    gpus: int = 0
    """Asked for."""
    gpu_uuids: tuple[str, ...] = ()
    """Given."""
    cpus: int | None = None
    memory: int | None = None
    """Bytes."""
    time_limit: float | None = None
    """Seconds."""
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expected_start: datetime | None = None
    exit_code: int | None = None
    image: str = ""
    image_id: str = ""
    """What it runs even if that name is another image's by now; empty where the engine has no ids."""
    command: str = ""
    project: str = ""
    container: str = ""
    node: str = ""
    """Node of a cluster it runs on."""
    partition: str = ""
    array: str = ""
    attempt: int = 0
    retries: int = 0
    after: tuple[str, ...] = ()
    util_percent: float | None = None
    """Mean of its GPUs, measured."""
    gpu_mem_used: int | None = None
    idle_since: datetime | None = None
    """Since when none of its GPUs worked: what it holds is wasted."""
    interactive: bool = False
    log: str = ""
    stale: bool = False
    """What is shown is old: the host is not up now."""


class ImageRow(Struct, frozen=True, kw_only=True, gc=False):
    """`berth images`: an image on a host."""

    host: str
    id: str
    """64 hexadecimal digits, without `sha256:`, on all engines; empty where there is no image yet."""
    name: str
    """What it is shown as: its first tag, or the beginning of its id."""
    tags: tuple[str, ...] = ()
    """As its engine writes them: Podman puts `localhost/` or `docker.io/library/` in front."""
    digests: tuple[str, ...] = ()
    size: int | None = None
    shared_size: int | None = None
    """Bytes that go only with the last image that has them; None where its engine does not say."""
    created_at: datetime | None = None
    used_by: tuple[str, ...] = ()
    """`container web`, `context train`, `job 42`."""
    labels: dict[str, str] = {}
    recipe: str | None = None
    """Name of the recipe it was built from, or that yields its name."""
    state: str | None = None
    """fresh, stale, missing, building; None for an image without a recipe, or while that is not known."""
    reason: str = ""
    """Why it is stale or missing; how far the build is: `3/12`."""
    stale: bool = False
    """What is shown is old: the host is not up now."""

    @property
    def short_id(self) -> str:
        """The beginning of its id, as Docker shows it."""
        return self.id[:12]

    @property
    def besides(self) -> str:
        """What a question about its end has to say: other names it has, and who uses it."""
        others = [tag for tag in self.tags if tag != self.name]
        found = f" It keeps its other name{'s' * (len(others) > 1)} {', '.join(others)}." if others else ""
        return found + (f" It is used by {', '.join(self.used_by)}." if self.used_by else "")
