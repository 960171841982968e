"""FleetState -> the rows that lists print and the dashboard shows.

Pure, and lazy in the way that matters: the rows of a host are built again only when the parts of its
snapshot that they are made of were replaced, and a row that comes out equal keeps its identity, so that
whoever draws rows can tell by `is` what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from backend.dockerwords import ports, status
from backend.gpurows import RUNNING, gpu_rows
from backend.imagerows import NO_RECIPES, RecipeBook, image_rows
from backend.model import (
    Container,
    ContainerRow,
    ContextRow,
    Disk,
    EngineState,
    FleetState,
    Gpu,
    GpuRow,
    HostRow,
    HostSnapshot,
    HostState,
    ImageRow,
    JobRow,
    SessionRow,
    TmuxSession,
    Usage,
)
from backend.queues.clusterrows import with_gpus
from backend.queues.jobrows import job_rows
from backend.tmux import session_stem

if TYPE_CHECKING:
    from backend.config import Context

WORDS_HOLD = timedelta(seconds=20)
"""How long `Up 3 minutes` is true enough not to be written again."""
R = TypeVar("R", bound=Struct)


class RowBuilder:
    """Builds rows of all kinds, remembering each host's last ones."""

    def __init__(self, contexts: Sequence[Context] = (), *, last_context: str | None = None) -> None:
        self._contexts = tuple(contexts)
        self._last_context = last_context
        self._names = {(context.host, context.container): context.name for context in self._contexts}
        self._built: dict[str, _Built] = {}
        self._caches: dict[str, dict[str, _Cached]] = {}
        self.book: RecipeBook = NO_RECIPES
        """What is known of recipes; see `use_recipes`."""

    def hosts(self, state: FleetState) -> list[HostRow]:
        """One row per host, in the order of the configuration."""
        return self._collect(_HOSTS, state)

    def gpus(self, state: FleetState) -> list[GpuRow]:
        """One row per GPU, by host and index."""
        return self._collect(_GPUS, state)

    def containers(self, state: FleetState) -> list[ContainerRow]:
        """One row per container, by host and the engine's order (newest first)."""
        return self._collect(_CONTAINERS, state)

    def sessions(self, state: FleetState) -> list[SessionRow]:
        """One row per tmux session."""
        return self._collect(_SESSIONS, state)

    def jobs(self, state: FleetState) -> list[JobRow]:
        """One row per job of all queues, by host and turn."""
        return with_gpus(self._collect(_JOBS, state), state)

    def images(self, state: FleetState) -> list[ImageRow]:
        """One row per image and host; none of hosts that were not asked for their images."""
        return self._collect(_IMAGES, state)

    def use_recipes(self, book: RecipeBook) -> None:
        """Images are joined with these recipes from now on."""
        self.book = book
        self._caches.pop(_IMAGES.name, None)

    def warm(self, state: FleetState) -> Iterator[None]:
        """Build what `state` asks for, one host after the other: whoever wants rows next need not wait."""
        kinds: tuple[_Kind[Any], ...] = (_GPUS, _CONTAINERS, _SESSIONS, _JOBS, _IMAGES)
        for kind in kinds:
            cache = self._caches.setdefault(kind.name, {})
            for host in state.hosts.values():
                if not _still_true(cache.get(host.name), kind.parts(host)):
                    self._rows_of(kind, host)
                    yield

    def contexts(self, state: FleetState) -> list[ContextRow]:
        """One row per configured context, joined with its host's containers."""
        return [
            context_row(context, state.hosts.get(context.host), last=context.name == self._last_context)
            for context in self._contexts
        ]

    def _collect(self, kind: _Kind[R], state: FleetState) -> list[R]:
        cache = self._caches.setdefault(kind.name, {})
        for gone in cache.keys() - state.hosts.keys():
            del cache[gone]
        rows: list[R] = []
        for host in state.hosts.values():
            rows += self._rows_of(kind, host)
        return rows

    def _rows_of(self, kind: _Kind[R], host: HostSnapshot) -> list[R]:
        cache = self._caches[kind.name]
        made_of, known = kind.parts(host), cache.get(host.name)
        if known is not None and _still_true(known, made_of):
            return known[1]
        fresh = kind.build(self, host)
        if known is not None:
            key = kind.key
            before = {key(row): row for row in known[1]}
            fresh = [row if (old := before.get(key(row))) is None or old != row else old for row in fresh]
        cache[host.name] = (made_of, fresh)
        return fresh

    def _container_rows(self, host: HostSnapshot) -> list[ContainerRow]:
        gpus = {gpu.uuid: gpu for gpu in host.gpu_report.gpus} if host.gpu_report else {}
        held: dict[str, int] = {}
        for process in host.processes:
            if process.container and process.mem_used is not None:
                held[process.container] = held.get(process.container, 0) + process.mem_used
        containers = host.containers or ()
        now = datetime.now(UTC)
        kept = self._built.get(host.name)
        if (
            kept is not None
            and kept.containers is containers
            and kept.stale is host.stale
            and kept.until > now
        ):
            rows = [
                moved(row, host.usage.get(each.id), each, gpus, held.get(each.id))
                for row, each in zip(kept.rows, containers, strict=True)
            ]
        else:
            rows = [
                container_row(
                    host,
                    each,
                    gpus=gpus,
                    gpu_mem=held.get(each.id),
                    context=self._names.get((host.name, each.name)),
                    now=now,
                )
                for each in containers
            ]
        until = kept.until if kept is not None and kept.until > now else now + WORDS_HOLD
        self._built[host.name] = _Built(containers, host.stale, until, rows)
        return rows

    def _session_rows(self, host: HostSnapshot) -> list[SessionRow]:
        names = [context.name for context in self._contexts if context.host == host.name]
        return [session_row(host, session, names) for session in host.sessions]


class _Built(NamedTuple):
    """The container rows of a host, and what they stay true for."""

    containers: Sequence[Container]
    stale: bool
    until: datetime
    rows: list[ContainerRow]


@dataclass(frozen=True)
class _Kind(Generic[R]):
    """One kind of rows: what of a snapshot they are made of, and how."""

    name: str
    parts: Callable[[HostSnapshot], tuple[Any, ...]]
    build: Callable[[RowBuilder, HostSnapshot], list[R]]
    key: Callable[[R], Hashable]
    """What makes it the same row among those of its host."""


_Cached = tuple[tuple[Any, ...], list[Any]]
"""What the rows of a host were made of, and the rows."""


def _still_true(known: _Cached | None, made_of: tuple[Any, ...]) -> bool:
    return known is not None and all(map(is_, known[0], made_of))


_HOSTS = _Kind("hosts", lambda host: (host,), lambda _, host: [host_row(host)], attrgetter("name"))
_GPUS = _Kind(
    "gpus",
    attrgetter("gpu_report", "processes", "containers", "stale"),
    lambda _, host: gpu_rows(host),
    attrgetter("uuid"),
)
_CONTAINERS = _Kind(
    "containers",
    attrgetter("containers", "usage", "processes", "gpu_report", "stale"),
    lambda builder, host: builder._container_rows(host),
    attrgetter("id"),
)
_SESSIONS = _Kind(
    "sessions",
    attrgetter("sessions", "stale"),
    lambda builder, host: builder._session_rows(host),
    attrgetter("socket", "id"),
)
_JOBS = _Kind(
    "jobs",
    attrgetter("queue", "cluster", "gpu_report", "stale"),
    lambda _, host: _job_rows(host),
    attrgetter("id"),
)
_IMAGES = _Kind(
    "images",
    attrgetter("images", "containers", "queue", "stale"),
    lambda builder, host: image_rows(host, builder._contexts, builder.book),
    attrgetter("id"),
)


def _job_rows(host: HostSnapshot) -> list[JobRow]:
    rows: list[JobRow] = []
    if host.queue is not None:
        busy = any(job.gpus for job in host.queue.jobs)
        gpus = {gpu.uuid: gpu for gpu in gpu_rows(host)} if busy else {}
        rows += job_rows(host.name, host.queue.jobs, gpus, stale=host.stale)
    if host.cluster is not None:
        rows += [replace(row, stale=True) for row in host.cluster.jobs] if host.stale else host.cluster.jobs
    return rows


def host_row(host: HostSnapshot) -> HostRow:
    """The row of one host. GPUs of a host that is not up are never called free."""
    stats, engine, up = host.stats, host.engine, host.state is HostState.UP
    gpus = gpu_rows(host) if host.gpu_report else None
    disk = fullest(host.disks)
    error = host.error
    return HostRow(
        name=host.name,
        address=host.address,
        state=host.state,
        error=f"{error.message} {error.hint}".strip() if error else None,
        warnings=tuple(f"{warning.message} {warning.hint}".strip() for warning in host.warnings),
        engine=(engine.kind or None) if engine else None,
        engine_version=(engine.version or None) if engine else None,
        engine_state=engine.state if engine else None,
        cpus=host.hello.cpus if host.hello else None,
        cpu_percent=stats.cpu_percent if stats else None,
        load1=stats.load1 if stats else None,
        mem_used=stats.mem_used if stats else None,
        mem_total=stats.mem_total if stats else None,
        disk_used=disk.used if disk else None,
        disk_total=disk.total if disk else None,
        gpus=len(gpus) if gpus is not None else None,
        gpus_free=sum(gpu.free for gpu in gpus) if gpus is not None and up else None,
        gpu_utils=tuple(gpu.util_percent for gpu in gpus or ()),
        gpu_names=tuple(gpu.name for gpu in gpus or ()),
        containers_running=running(host.containers),
        containers_total=len(host.containers) if host.containers is not None else None,
        latency_ms=host.latency_ms if up else None,
        tags=host.tags,
        comment=host.comment,
        type=host.type,
        seen_at=host.seen_at,
        retry_at=host.retry_at,
    )


def running(containers: Sequence[Container] | None) -> int | None:
    """How many of them run; None while the engine has not told."""
    if containers is None:
        return None
    return sum(container.state == "running" for container in containers)


def fullest(disks: Sequence[Disk]) -> Disk | None:
    """The file system that will be full first, by the share in use; homes do not stop a host."""
    matter = [disk for disk in disks if disk.role in ("root", "engine") and disk.total]
    return max(matter, key=lambda disk: disk.used / disk.total, default=None)


def moved(
    row: ContainerRow, usage: Usage | None, container: Container, gpus: Mapping[str, Gpu], gpu_mem: int | None
) -> ContainerRow:
    """The row of a container of which only the numbers can have changed; the same one where none has."""
    used = usage if usage is not None and container.state in RUNNING else Usage(id=container.id)
    util = _mean_util(container, gpus)
    if (
        used.cpu_percent == row.cpu_percent
        and used.mem_used == row.mem_used
        and used.net_rx == row.net_rx
        and used.net_tx == row.net_tx
        and used.mem_limit == row.mem_limit
        and util == row.gpu_util_percent
        and gpu_mem == row.gpu_mem_used
    ):
        return row
    return replace(
        row,
        cpu_percent=used.cpu_percent,
        mem_used=used.mem_used,
        mem_limit=used.mem_limit,
        net_rx=used.net_rx,
        net_tx=used.net_tx,
        gpu_util_percent=util,
        gpu_mem_used=gpu_mem,
    )


def _mean_util(container: Container, gpus: Mapping[str, Gpu]) -> float | None:
    """Mean utilisation of a running container's GPUs; None without any that tells."""
    if not container.gpus or container.state not in RUNNING:
        return None
    utils = [
        gpu.util_percent
        for uuid in container.gpus
        if (gpu := gpus.get(uuid)) is not None and gpu.util_percent is not None
    ]
    return sum(utils) / len(utils) if utils else None


def container_row(
    host: HostSnapshot,
    container: Container,
    *,
    gpus: Mapping[str, Gpu],
    gpu_mem: int | None,
    context: str | None,
    now: datetime,
) -> ContainerRow:
    """The row of one container, joined with its usage and its GPUs."""
    alive = container.state in RUNNING
    usage = (host.usage.get(container.id) if alive else None) or Usage(id=container.id)
    return ContainerRow(
        host=host.name,
        id=container.id,
        name=container.name,
        image=container.image,
        state=container.state,
        status=status(container, now),
        created_at=container.created_at,
        started_at=container.started_at,
        cpu_percent=usage.cpu_percent,
        mem_used=usage.mem_used,
        mem_limit=usage.mem_limit,
        net_rx=usage.net_rx,
        net_tx=usage.net_tx,
        gpus=container.gpus,
        gpu_util_percent=_mean_util(container, gpus),
        gpu_mem_used=gpu_mem,
        owner=container.owner,
        context=context,
        ports=ports(container.ports),
        labels=container.labels,
        exit_code=container.exit_code if not alive else None,
        health=container.health or None,
        command=container.command,
        stale=host.stale,
    )


def context_row(context: Context, host: HostSnapshot | None, *, last: bool = False) -> ContextRow:
    """The row of a configured context, joined with its container on its host."""
    container = find(host.containers, context.container) if host else None
    if host is None or host.stale or host.containers is None or _engine_away(host):
        state = "unknown"
    elif container is None:
        state = "missing"
    else:
        state = "running" if container.state in RUNNING else "stopped"
    gpus = context.gpus
    sessions = host.sessions if host else ()
    return ContextRow(
        name=context.name,
        host=context.host,
        image=context.image,
        container=context.container,
        state=state,
        user=context.user,
        gpus=",".join(gpus) if isinstance(gpus, tuple) else None if gpus is None else str(gpus),
        ports=tuple(context.ports),
        mounts=tuple(context.mounts),
        profile=context.profile,
        container_id=container.id if container else None,
        sessions=sum(session_context(s.name, [context.name]) is not None for s in sessions),
        last=last,
    )


def _engine_away(host: HostSnapshot) -> bool:
    return host.engine is not None and host.engine.state is not EngineState.UP


def find(containers: Sequence[Container] | None, name: str) -> Container | None:
    """The container of that name or full id."""
    return next((c for c in containers or () if name in (c.name, c.id)), None)


def session_context(session: str, contexts: Sequence[str]) -> str | None:
    """Which context a tmux session was named after: `<context>-<n>`, or the name alone."""
    stems = {session_stem(name): name for name in contexts}
    stem, _, number = session.rpartition("-")
    if stem in stems and number.isdigit():
        return stems[stem]
    return stems.get(session)


def session_row(host: HostSnapshot, session: TmuxSession, contexts: Sequence[str]) -> SessionRow:
    """The row of one tmux session."""
    return SessionRow(
        host=host.name,
        id=session.id,
        name=session.name,
        user=session.user,
        attached=session.attached,
        windows=session.windows,
        created_at=session.created_at,
        activity_at=session.activity_at,
        commands=tuple(dict.fromkeys(pane.command for pane in session.panes)),
        context=session_context(session.name, contexts),
        socket=session.socket,
        panes=session.panes,
        stale=host.stale,
    )
