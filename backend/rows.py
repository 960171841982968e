"""FleetState -> the rows that lists print and the dashboard shows.

Pure, and lazy in the way that matters: the rows of a host are built again only when the parts of its
snapshot that they are made of were replaced, and a row that comes out equal keeps its identity, so that
whoever draws rows can tell by `is` what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from backend.containerrows import container_row, context_row, moved, session_row
from backend.gpurows import gpu_rows
from backend.hostrows import host_row
from backend.imagerows import NO_RECIPES, RecipeBook, image_rows
from backend.model import (
    Container,
    ContainerRow,
    ContextRow,
    FleetState,
    GpuRow,
    HostRow,
    HostSnapshot,
    ImageRow,
    JobRow,
    SessionRow,
)
from backend.queues.clusterrows import with_gpus
from backend.queues.jobrows import job_rows

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

    def warm(self, state: FleetState, *only: type | None) -> Iterator[None]:
        """Build what `state` asks for, one host after the other: whoever wants rows next need not wait.

        `only`: types of rows; without any all of them.
        """
        for row, kind in _KINDS.items():
            if only and row not in only:
                continue
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
_KINDS: dict[type | None, _Kind[Any]] = {
    HostRow: _HOSTS,
    GpuRow: _GPUS,
    ContainerRow: _CONTAINERS,
    SessionRow: _SESSIONS,
    JobRow: _JOBS,
    ImageRow: _IMAGES,
}


def _job_rows(host: HostSnapshot) -> list[JobRow]:
    rows: list[JobRow] = []
    if host.queue is not None:
        busy = any(job.gpus for job in host.queue.jobs)
        gpus = {gpu.uuid: gpu for gpu in gpu_rows(host)} if busy else {}
        rows += job_rows(host.name, host.queue.jobs, gpus, stale=host.stale)
    if host.cluster is not None:
        rows += [replace(row, stale=True) for row in host.cluster.jobs] if host.stale else host.cluster.jobs
    return rows
