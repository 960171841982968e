"""Words of the command line -> the rows that actions act on.

HOST            a host
HOST/NAME       a container by name, id or the beginning of its id; a session; a GPU by index or UUID
CONTEXT         a context, and where a container is wanted: its container
NAME            a container or session, if only one host has one of that name
HOST/*          all of a host; `*` and `?` also stand in names of hosts, containers, contexts, sessions
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec.structs import replace

from backend.containerrows import container_row, context_row
from backend.errors import BerthError, NoSuchTarget, UsageError
from backend.model import (
    Container,
    ContainerRow,
    ContextRow,
    GpuRow,
    HostRow,
    HostSnapshot,
    HostState,
    ImageRow,
    JobRow,
    SessionRow,
    TunnelRow,
)
from backend.rows import RowBuilder
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config, Context, HostConfig

R = TypeVar("R", SessionRow, GpuRow)

_SETTLE = 10.0
"""Seconds hosts have to show their sessions or GPUs."""
_SHOWN = 12
"""Names that are suggested."""


async def resolve(
    kind: type, text: str, config: Config, access: Access, *, look: bool = True, hosts: Sequence[str] = ()
) -> list[Any]:
    """The rows of `kind` (a row type of `backend.model`) that a word names; never none.

    `hosts`: where an image is, as its name has slashes of its own.
    `look=False`: a container named with its host, or by its context, is taken to be there and to run; whoever
    acts on it finds out. Raises `NoSuchTarget`, `UsageError` where a word means several things, and what
    keeps a host or engine from being asked.
    """
    if not text or "\0" in text:
        raise UsageError(f"{text!r} names nothing.")
    if kind is HostRow:
        return _hosts(text, config)
    if kind is ContextRow:
        return await _contexts(text, config, access, look=look)
    if kind is ContainerRow:
        return await _containers(text, config, access, look=look)
    if kind is SessionRow:
        return await _seen(text, config, RowBuilder.sessions, _session_names)
    if kind is JobRow:
        return await _jobs(text, config, access)
    if kind is ImageRow:
        from backend.imagetargets import images

        return await images(text, config, access, hosts)
    if kind is GpuRow:
        return await _seen(text, config, RowBuilder.gpus, _gpu_names)
    if kind is TunnelRow:
        return await _tunnels(text)
    raise UsageError(f"{text}: nothing can be done to a {kind.__name__} by name.")


def is_pattern(text: str) -> bool:
    """Whether it may name several."""
    return any(char in text for char in "*?[")


# ------------------------------------------------------------------------------------------- hosts


def _hosts(text: str, config: Config) -> list[HostRow]:
    return [_host_row(host) for host in _hosts_named(text, config)]


def _hosts_named(text: str, config: Config) -> list[HostConfig]:
    """Hosts of that name, or those that fit a pattern and are not skipped."""
    if not is_pattern(text):
        return [config.host(text)]
    found = [host for host in config.hosts if fnmatchcase(host.name, text) and not host.skip]
    if not found:
        raise NoSuchTarget(f"no host fits {text!r}.", hint=_choices("Hosts", [h.name for h in config.hosts]))
    return found


def _host_row(host: HostConfig) -> HostRow:
    """A host that was not asked."""
    return HostRow(
        name=host.name,
        address=host.host,
        state=HostState.SKIPPED if host.skip else HostState.CONNECTING,
        tags=host.tags,
        comment=host.comment,
        type=host.type,
    )


def _snapshot(host: HostConfig, containers: tuple[Container, ...] | None) -> HostSnapshot:
    return HostSnapshot(
        name=host.name, address=host.host, state=HostState.UP, read_only=host.read_only, containers=containers
    )


# ---------------------------------------------------------------------------------------- contexts


async def _contexts(text: str, config: Config, access: Access, *, look: bool) -> list[ContextRow]:
    if is_pattern(text):
        found = [each for each in config.contexts if fnmatchcase(each.name, text)]
        if not found:
            names = [each.name for each in config.contexts]
            raise NoSuchTarget(f"no context fits {text!r}.", hint=_choices("Contexts", names))
    else:
        found = [config.context(text)]
    if not look:
        return [context_row(each, None) for each in found]
    return list(await asyncio.gather(*(_context(each, config, access) for each in found)))


async def _context(context: Context, config: Config, access: Access) -> ContextRow:
    """A context with the state of its container, unknown where the host cannot be asked."""
    host = config.host(context.host)
    try:
        containers: tuple[Container, ...] = (await _inspect(host, context.container, access),)
    except NoSuchTarget:
        containers = ()
    except BerthError:
        return context_row(context, None)
    return context_row(context, _snapshot(host, containers))


# -------------------------------------------------------------------------------------- containers


async def _containers(text: str, config: Config, access: Access, *, look: bool) -> list[ContainerRow]:
    where, slash, name = text.partition("/")
    if not slash:
        context = next((each for each in config.contexts if each.name == text), None)
        if context is not None:
            row = await _container(config.host(context.host), context.container, config, access, look=look)
            return [replace(row, context=context.name)]  # another context may have the same container
        return await _anywhere(text, config, access)
    if not name:
        raise UsageError(f"{text!r} names a host and no container.", hint=f"All of them: {where}/*")
    hosts = _hosts_named(where, config)
    if not is_pattern(text):
        return [await _container(hosts[0], name, config, access, look=look)]
    rows, problems = await _ask(hosts, name, config, access)
    if not rows:
        raise problems[0] if problems else NoSuchTarget(f"no container fits {text!r}.", hint="See: berth ps")
    return rows


async def _container(
    host: HostConfig, name: str, config: Config, access: Access, *, look: bool
) -> ContainerRow:
    if not look:
        return _row(host, Container(id="", name=name, image="", state="running"), config)
    try:
        return _row(host, await _inspect(host, name, access), config)
    except NoSuchTarget:
        there = [each.name for each in await _list(host, access)]
        raise NoSuchTarget(
            f"{host.name} has no container {name!r}.", hint=_choices("It has", there) or "It has none."
        ) from None


async def _anywhere(text: str, config: Config, access: Access) -> list[ContainerRow]:
    """A container whose host was not said."""
    hosts = [host for host in config.hosts if not host.skip]
    rows, problems = await _ask(hosts, text, config, access)
    if len(rows) == 1 or (rows and is_pattern(text)):
        return rows
    if rows:
        places = ", ".join(f"{row.host}/{row.name}" for row in rows[:_SHOWN])
        raise UsageError(f"{text!r} is on {len(rows)} hosts.", hint=f"Say which: {places}")
    unasked = " ".join(f"Not asked: {problem.message}" for problem in problems)
    raise NoSuchTarget(
        f"no container or context is called {text!r}. {unasked}".strip(), hint="See: berth ps, berth contexts"
    )


async def _ask(
    hosts: Sequence[HostConfig], name: str, config: Config, access: Access
) -> tuple[list[ContainerRow], list[BerthError]]:
    """Containers of that name, id or pattern on these hosts, asked side by side; and who did not answer."""

    async def one(host: HostConfig) -> list[ContainerRow] | BerthError:
        try:
            found = await _list(host, access)
        except BerthError as error:
            return error
        return [_row(host, each, config) for each in _fitting(name, found)]

    answers = await asyncio.gather(*(one(host) for host in hosts))
    rows = [row for answer in answers if not isinstance(answer, BerthError) for row in answer]
    return rows, [answer for answer in answers if isinstance(answer, BerthError)]


def _fitting(name: str, found: Sequence[Container]) -> list[Container]:
    """Those of exactly that name, else those that fit."""
    exact = [each for each in found if name in (each.name, each.id)]
    if exact or not name:
        return exact
    if is_pattern(name):
        return [each for each in found if fnmatchcase(each.name, name)]
    return [each for each in found if len(name) >= 4 and each.id.startswith(name)]


async def _inspect(host: HostConfig, name: str, access: Access) -> Container:
    """A container as its agent would send it."""
    from backend.agent.containers import inspected
    from backend.engine.names import is_container

    if not is_container(name):
        raise NoSuchTarget(f"no container can be called {name!r}.")
    engine = await access.engine(host.name)
    entry = inspected(await engine.inspect(name))
    if entry is None:
        raise NoSuchTarget(f"{host.name} says nothing about {name}.")
    return msgspec.convert(entry.wire, Container)


async def _list(host: HostConfig, access: Access) -> list[Container]:
    """All containers of a host, as far as the engine's list tells."""
    from backend.agent.containers import listed

    engine = await access.engine(host.name)
    entries = [listed(each) for each in await engine.containers()]
    return [msgspec.convert(entry.wire, Container) for entry in entries if entry is not None]


def _row(host: HostConfig, container: Container, config: Config) -> ContainerRow:
    context = next(
        (each.name for each in config.contexts if (each.host, each.container) == (host.name, container.name)),
        None,
    )
    return container_row(
        _snapshot(host, (container,)),
        container,
        gpus={},
        gpu_mem=None,
        context=context,
        now=datetime.now(UTC),
    )


# -------------------------------------------------------------------------------------------- jobs


async def _jobs(text: str, config: Config, access: Access) -> list[JobRow]:
    """`HOST/12`, `12` where only one queue has it, `HOST/*` for all unfinished ones of a host, `pid=12`."""
    from backend.queues.choose import with_queue

    where, slash, number = text.removeprefix("pid=").rpartition("/")
    if is_pattern(number):
        hosts = _hosts_named(where or "*", config)
        found = await asyncio.gather(*(_queue(host, None, config, access) for host in hosts))
        rows = [row for rows in found for row in rows if fnmatchcase(row.id, number)]
        if not rows:
            raise NoSuchTarget(f"no unfinished job fits {text!r}.", hint="See: berth jobs")
        return rows
    if slash:
        return await _queue(config.host(where), number, config, access)
    answers = await asyncio.gather(
        *(_queue(host, number, config, access) for host in with_queue(config)), return_exceptions=True
    )
    rows = [row for answer in answers if isinstance(answer, list) for row in answer]
    unfinished = [row for row in rows if row.ended_at is None]
    rows = unfinished if len(unfinished) == 1 else rows
    if len(rows) > 1:
        places = ", ".join(f"{row.host}/{row.id}" for row in rows[:_SHOWN])
        raise UsageError(f"{len(rows)} queues have a job {number}.", hint=f"Say which: {places}")
    if not rows:
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, NoSuchTarget):
                raise answer
        raise NoSuchTarget(f"no queue has a job {number!r}.", hint="See: berth jobs")
    return rows


async def _queue(host: HostConfig, number: str | None, config: Config, access: Access) -> list[JobRow]:
    """One job of a host, or all of its unfinished ones."""
    from backend.queues.choose import queue_of

    async with queue_of(config, access, host.name) as queue:
        if number is None:
            return await queue.jobs("unfinished")
        return [(await queue.detail(number)).row]


async def _tunnels(text: str) -> list[TunnelRow]:
    """By id, by the port here, or by a pattern of ids."""
    from backend.tunnels import book

    rows = await book.rows()
    found = [row for row in rows if text in (row.id, row.address, row.address.rpartition(":")[2])]
    found = found or [row for row in rows if is_pattern(text) and fnmatchcase(row.id, text)]
    if not found:
        known = [f"{row.id} ({row.service} of {row.context or row.host})" for row in rows]
        raise NoSuchTarget(f"there is no tunnel {text!r}.", hint=_choices("There are", known))
    return found


# ------------------------------------------------------------------------------ sessions and GPUs


async def _seen(
    text: str,
    config: Config,
    rows: Callable[[RowBuilder, Any], list[R]],
    names: Callable[[R], tuple[str, ...]],
) -> list[R]:
    """What only an agent sees: one look at the hosts in question."""
    from backend.fleet import Fleet

    where, slash, name = text.partition("/")
    hosts = _hosts_named(where, config) if slash else [host for host in config.hosts if not host.skip]
    wanted = name if slash else text
    async with Fleet(config, only=[host.name for host in hosts]) as fleet:
        await fleet.settle(_SETTLE)
        state = fleet.state
    seen = rows(RowBuilder(config.contexts), state)
    found = [row for row in seen if any(_fits(each, wanted) for each in names(row))]
    if len(found) == 1 or (found and is_pattern(text)):
        return found
    places = [f"{row.host}/{names(row)[0]}" for row in (found or seen)]
    if found:
        raise UsageError(f"{text!r} means {len(found)} of them.", hint=_choices("Say which", places))
    errors = [f"{host.error.message}" for host in state.hosts.values() if host.error is not None]
    raise NoSuchTarget(
        f"there is no {text!r}. {' '.join(errors)}".strip(), hint=_choices("There are", places)
    )


def _session_names(row: SessionRow) -> tuple[str, ...]:
    return row.name, row.id


def _gpu_names(row: GpuRow) -> tuple[str, ...]:
    return str(row.index), row.uuid


def _fits(name: str, wanted: str) -> bool:
    return name == wanted or (is_pattern(wanted) and fnmatchcase(name, wanted))


def _choices(title: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{title}: {', '.join(printable(name, 80) for name in names[:_SHOWN])}{more}."
