"""`berth hosts|gpus|ps|contexts|nodes|images|sessions ...`: one look at the fleet, or one after another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from backend import link, picture
from backend.config import Config
from backend.fleet import PUBLISH_EVERY, Fleet, settled
from backend.gpurows import FREE_MEMORY, RUNNING
from backend.lastcontext import last_context
from backend.listoutput import Output
from backend.model import (
    ClusterNode,
    ClusterPartition,
    ContainerRow,
    ContextRow,
    EngineState,
    FleetState,
    GpuRow,
    HostRow,
    HostSnapshot,
    HostState,
    ImageRow,
    Problem,
    SessionRow,
)
from backend.rows import RowBuilder
from backend.supervisor import Opener

if TYPE_CHECKING:
    from backend.tables import Col

ONCE_INTERVAL = 0.5
"""Seconds between samples for a single look: percentages need two."""
_LINGER = 2.0
"""Seconds to wait at most for what needs a second sample, once all else is there."""
_PACE = 0.2
"""Seconds between two outputs of `--watch`, at least."""
_AT_ONCE = 0.005
"""Seconds between two states of a single look: what came is shown, not kept until more comes."""


@dataclass(frozen=True)
class Request:
    """What the command line asks of a list."""

    name: str
    """The verb."""
    hosts: tuple[str, ...] | None = None
    """Only these; None: all."""
    json: bool = False
    watch: float | None = None
    """Seconds between samples, or None for a single look."""
    timeout: float = 10.0
    """Seconds a host may take until what is there is shown."""


@dataclass(frozen=True)
class Listing:
    """A list: its rows, and when they are complete."""

    row: type
    rows: Callable[[RowBuilder, FleetState], list[Any]]
    empty: str
    """What to tell a person who sees no rows."""
    sampled: Callable[[HostSnapshot], bool] = lambda host: True
    """Whether what needs two samples is there; worth a short wait, not the whole timeout."""
    problem: Callable[[Config, HostSnapshot], Problem | None] = lambda config, host: None
    """What is missing from the list although the host is up."""
    complete: Callable[[HostSnapshot], bool] = settled
    """Whether a host that is up has told all that the list shows."""
    prepare: Callable[[Config, RowBuilder, Fleet], Callable[[float], Awaitable[None]]] | None = None
    """Begins what else has to be found out; gives what waits for it, for so many seconds at most."""


def _host_sampled(host: HostSnapshot) -> bool:
    return host.stats is not None and host.stats.cpu_percent is not None


def _users_sampled(host: HostSnapshot) -> bool:
    """GPUs come before their processes: memory that nobody seems to hold is held by one still to come."""
    gpus = host.gpu_report.gpus if host.gpu_report else ()
    held = any((gpu.mem_used or 0) > FREE_MEMORY for gpu in gpus)
    return _host_sampled(host) and (not held or bool(host.processes))


def _usage_sampled(host: HostSnapshot) -> bool:
    running = [container for container in host.containers or () if container.state in RUNNING]
    return all((usage := host.usage.get(each.id)) and usage.cpu_percent is not None for each in running)


def _engine_problem(config: Config, host: HostSnapshot) -> Problem | None:
    return picture.engine_problem(config.host(host.name), host.engine) if host.engine else None


def _gpu_problem(config: Config, host: HostSnapshot) -> Problem | None:
    if host.gpu_report is None:
        return picture.unwatched(host)
    return picture.gpu_problem(config.host(host.name), host.gpu_report)


def _unwatched(config: Config, host: HostSnapshot) -> Problem | None:
    return picture.unwatched(host)


def _cluster_problem(config: Config, host: HostSnapshot) -> Problem | None:
    cluster = host.cluster
    if cluster is None:
        return Problem("No answer", f"{host.name}: Slurm has not answered yet.", "Try: scontrol ping there.")
    return Problem("Slurm", cluster.error, cluster.hint) if cluster.error else None


def _cluster_asked(host: HostSnapshot) -> bool:
    return host.cluster is not None and bool(host.cluster.nodes or host.cluster.error)


def _nodes(builder: RowBuilder, state: FleetState) -> list[ClusterNode]:
    return [node for host in state.hosts.values() if host.cluster for node in host.cluster.nodes]


def _partitions(builder: RowBuilder, state: FleetState) -> list[ClusterPartition]:
    return [each for host in state.hosts.values() if host.cluster for each in host.cluster.partitions]


def _image_problem(config: Config, host: HostSnapshot) -> Problem | None:
    if host.images is not None and host.images.error:
        return Problem("Images", f"{host.name}: {host.images.error}.", "Look at the engine's log there.")
    return _engine_problem(config, host)


def _images_told(host: HostSnapshot) -> bool:
    has_engine = host.engine is None or host.engine.state in (EngineState.UP, EngineState.CONNECTING)
    return settled(host) and ("images" in host.told or not has_engine)


def _images(builder: RowBuilder, state: FleetState) -> list[ImageRow]:
    from backend import imagelist

    return imagelist.rows(builder, state)


def _prepare_images(config: Config, builder: RowBuilder, fleet: Fleet) -> Callable[[float], Awaitable[None]]:
    from backend import imagelist

    return imagelist.prepare(config, builder, fleet)


_NO_CLUSTER = "no clusters are configured: see `queue: slurm` in hosts.yaml."
LISTS = {
    "hosts": Listing(HostRow, RowBuilder.hosts, "no hosts are configured.", _host_sampled, _unwatched),
    "gpus": Listing(GpuRow, RowBuilder.gpus, "no GPUs.", _users_sampled, _gpu_problem),
    "ps": Listing(ContainerRow, RowBuilder.containers, "no containers.", _usage_sampled, _engine_problem),
    "contexts": Listing(
        ContextRow,
        RowBuilder.contexts,
        "no contexts are configured: put files into contexts/ of the configuration.",
        problem=_engine_problem,
    ),
    "nodes": Listing(ClusterNode, _nodes, _NO_CLUSTER, _cluster_asked, _cluster_problem),
    "partitions": Listing(ClusterPartition, _partitions, _NO_CLUSTER, _cluster_asked, _cluster_problem),
    "images": Listing(
        ImageRow,
        _images,
        "no images.",
        problem=_image_problem,
        complete=_images_told,
        prepare=_prepare_images,
    ),
    "sessions": Listing(SessionRow, RowBuilder.sessions, "no tmux sessions.", _host_sampled, _unwatched),
}


async def show(config: Config, request: Request, *, opener: Opener = link.open) -> int:
    """Print the list; the exit code. Raises `NoSuchTarget` for a host that is not configured."""
    chosen = _hosts(config, request)
    listing = LISTS[request.name]
    output = Output(
        lambda: _columns(listing.row), listing.empty, json=request.json, watch=request.watch is not None
    )
    if not chosen:
        output.write([], [])
        return 0
    interval = request.watch or ONCE_INTERVAL
    builder = RowBuilder(config.contexts, last_context=last_context())
    pace = PUBLISH_EVERY if request.watch else _AT_ONCE
    async with Fleet(config, only=chosen, interval=interval, opener=opener, pace=pace) as fleet:
        deadline = time.monotonic() + request.timeout
        more = listing.prepare(config, builder, fleet) if listing.prepare is not None else None
        await fleet.settle(max(0.1, deadline - time.monotonic()), ready=listing.complete)
        left = min(_LINGER, deadline - time.monotonic())
        if left > 0:
            await fleet.settle(left, ready=lambda host: listing.complete(host) and listing.sampled(host))

        if more is not None:
            await more(deadline - time.monotonic())

        def look(state: FleetState) -> tuple[list[Any], list[str]]:
            return _rows(listing, builder, state, request), list(_complaints(config, listing, state, request))

        state = fleet.state
        output.write(*look(state))
        if request.watch is None:
            return _exit_code(config, listing, state, request)
        async for state in fleet.updates():
            output.write(*look(state))
            await asyncio.sleep(_PACE)
    return 0


def _columns(row: type) -> Sequence[Col]:
    from backend.tables import BY_ROW

    return BY_ROW[row]


def _hosts(config: Config, request: Request) -> list[str]:
    """Which hosts have to be asked."""
    for name in request.hosts or ():
        config.host(name)
    names = [host.name for host in config.hosts if request.hosts is None or host.name in request.hosts]
    if request.name == "contexts":
        used = {context.host for context in config.contexts}
        names = [name for name in names if name in used]
    if LISTS[request.name].row in (ClusterNode, ClusterPartition):
        names = [name for name in names if config.host(name).queue == "slurm"]
    return names


def _rows(listing: Listing, builder: RowBuilder, state: FleetState, request: Request) -> list[Any]:
    rows = listing.rows(builder, state)
    if listing.row is ContextRow and request.hosts is not None:
        rows = [row for row in rows if row.host in request.hosts]
    if listing.row is ImageRow and request.hosts is not None:
        rows = [row for row in rows if row.host]  # what no host has is on none of these either
    if listing.row is HostRow and request.watch is None:
        rows = [
            replace(row, error=_late(request)) if row.state is HostState.CONNECTING else row for row in rows
        ]
    return rows


def _late(request: Request) -> str:
    return f"no answer within {request.timeout:g} s."


def _away(host: HostSnapshot, request: Request) -> bool:
    """Whether a host that was asked for is not to be had."""
    if host.state is HostState.SKIPPED:
        return request.hosts is not None
    return host.state is not HostState.UP


def _complaints(config: Config, listing: Listing, state: FleetState, request: Request) -> Iterator[str]:
    """One line for each host whose rows are missing or not complete."""
    for host in state.hosts.values():
        if not _away(host, request):
            problem = listing.problem(config, host) if host.state is HostState.UP else None
            if problem is not None:
                yield _complaint(host, problem)
            elif host.state is HostState.UP and not listing.complete(host) and request.watch is None:
                yield f"{host.name}: not everything came within {request.timeout:g} s."
        elif host.error is not None:
            once = request.watch is None and host.error.hint == picture.AGAIN
            yield _complaint(host, replace(host.error, hint="") if once else host.error)
        elif host.state is HostState.SKIPPED:
            yield f"{host.name}: is skipped, `skip: true` stands in hosts.yaml."
        elif request.watch is None:
            yield f"{host.name}: {_late(request)} Try: berth doctor {host.name}"


def _complaint(host: HostSnapshot, problem: Problem) -> str:
    """Messages mostly begin with the host's name; those that do not get it in front."""
    begins = problem.message.startswith((f"{host.name}:", f"{host.name} "))
    return f"{'' if begins else f'{host.name}: '}{problem.message} {problem.hint}".rstrip()


def _exit_code(config: Config, listing: Listing, state: FleetState, request: Request) -> int:
    """3 where a host that was named is away, or all are; 1 where that is true of the engine alone."""
    asked = [host for host in state.hosts.values() if request.hosts or host.state is not HostState.SKIPPED]
    enough = any if request.hosts else all
    if asked and enough(_away(host, request) for host in asked):
        return 3
    if listing.problem in (_engine_problem, _cluster_problem, _image_problem):
        present = [host for host in asked if host.state is HostState.UP]
        if present and enough(listing.problem(config, host) is not None for host in present):
            return 1
    return 0
