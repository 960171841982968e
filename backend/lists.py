"""`berth hosts|gpus|ps|contexts|nodes|images|sessions ...`: one look at the fleet, or one after another."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from backend import link, picture
from backend.config import Config
from backend.fleet import PUBLISH_EVERY, Fleet, settled
from backend.gpurows import FREE_MEMORY, RUNNING
from backend.lastcontext import last_context
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
from backend.text import printable

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
    prepare: Callable[[Config, RowBuilder, Fleet], Awaitable[None]] | None = None
    """What else has to be found out; it runs beside the connecting."""


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


async def _read_recipes(config: Config, builder: RowBuilder, fleet: Fleet) -> None:
    fleet.watch_images()


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
        RowBuilder.images,
        "no images.",
        problem=_image_problem,
        complete=_images_told,
        prepare=_read_recipes,
    ),
    "sessions": Listing(SessionRow, RowBuilder.sessions, "no tmux sessions.", _host_sampled, _unwatched),
}


async def show(config: Config, request: Request, *, opener: Opener = link.open) -> int:
    """Print the list; the exit code. Raises `NoSuchTarget` for a host that is not configured."""
    chosen = _hosts(config, request)
    listing = LISTS[request.name]
    output = _Output(listing, request)
    if not chosen:
        output.write([], [])
        return 0
    interval = request.watch or ONCE_INTERVAL
    builder = RowBuilder(config.contexts, last_context=last_context())
    pace = PUBLISH_EVERY if request.watch else _AT_ONCE
    async with Fleet(config, only=chosen, interval=interval, opener=opener, pace=pace) as fleet:
        deadline = time.monotonic() + request.timeout
        if listing.prepare is not None:
            await listing.prepare(config, builder, fleet)
        await fleet.settle(max(0.1, deadline - time.monotonic()), ready=listing.complete)
        left = min(_LINGER, deadline - time.monotonic())
        if left > 0:
            await fleet.settle(left, ready=lambda host: listing.complete(host) and listing.sampled(host))

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


class _Output:
    """Writes rows to standard output and complaints to standard error, the same ones never twice in a row."""

    def __init__(self, listing: Listing, request: Request) -> None:
        self._listing = listing
        self._request = request
        self._encoder = msgspec.json.Encoder()
        self._terminal = sys.stdout.isatty()
        self._frames = self._terminal and request.watch is not None and not request.json
        self._last: bytes | None = None
        self._said: list[str] = []

    def write(self, rows: list[Any], complaints: list[str]) -> None:
        """One output, if it differs from the last one."""
        data = self._json(rows) if self._request.json else self._text(rows)
        if self._frames:
            data = self._frame(data, complaints)
        elif complaints != self._said:
            for line in complaints:
                if line not in self._said:
                    say(line)
            self._said = complaints
        if data == self._last:
            return
        self._last = data
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        if not rows and self._terminal and not self._request.json and not self._frames:
            say(self._listing.empty)

    def _json(self, rows: list[Any]) -> bytes:
        data = self._encoder.encode(rows)
        if self._terminal and self._request.watch is None:
            data = msgspec.json.format(data, indent=2)
        return data + b"\n"

    def _text(self, rows: list[Any]) -> bytes:
        from backend.tables import BY_ROW, lines, table

        columns = BY_ROW[self._listing.row]
        if not self._terminal:
            return lines(rows, columns).encode(errors="replace")
        if not rows:
            return b""
        width = shutil.get_terminal_size().columns
        return table(rows, columns, width, colour=colour()).encode(errors="replace")

    def _frame(self, data: bytes, complaints: list[str]) -> bytes:
        """The whole screen: as much of the table as it takes, and below it what is wrong."""
        from rich.cells import cell_len, set_cell_size

        size = shutil.get_terminal_size()
        body = data.decode().splitlines() or [self._listing.empty]
        notes = [printable(line) for line in complaints]
        notes = [set_cell_size(note, min(size.columns, cell_len(note))) for note in notes]
        room = max(1, size.lines - 1 - len(notes))
        if len(body) > room:
            body = [*body[: room - 1], f"… {len(body) - room + 1} more"]
        return ("\x1b[2J\x1b[H" + "\n".join([*body, *notes]) + "\n").encode(errors="replace")


def colour() -> bool:
    """Whether standard output may be coloured (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(message: str) -> None:
    """One line to the person: standard error."""
    print(f"berth: {printable(message.strip())}", file=sys.stderr, flush=True)
