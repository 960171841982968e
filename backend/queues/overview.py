"""`berth queue status`: the queues of some hosts or of all, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from backend import tables
from backend.errors import BerthError, NoSuchTarget, Unreachable, exit_code_for
from backend.listoutput import Output
from backend.model import HostRow
from backend.queues.base import QueueStatus
from backend.queues.choose import queue_of, with_queue
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.access import StandaloneAccess

_WAIT = 15.0
"""Seconds a host may take; one that is silent does not keep the others from being shown."""
_STYLES = {"open": "good", "paused": "warn", "drained": "warn"}


def state(found: QueueStatus) -> str:
    """In one word."""
    return "paused" if found.paused else "drained" if found.draining else "open"


def as_data(found: QueueStatus) -> dict[str, Any]:
    """For programs: every name every time."""
    return asdict(found) | {"state": state(found), "notes": list(found.notes)}


def lines(found: QueueStatus) -> Iterator[str]:
    """All of one queue, `name  value`."""
    yield f"engine    {found.engine}"
    yield f"running   {found.running}"
    yield f"waiting   {found.waiting}"
    for what, free, total in (
        ("GPUs", found.gpus_free, found.gpus_total),
        ("CPUs", found.cpus_free, found.cpus_total),
    ):
        if total is not None:
            yield f"{what:<9} {free if free is not None else '?'} of {total} free"
    if found.memory_total:
        yield f"memory    {size(found.memory_free)} of {size(found.memory_total)} free to book"
    if found.keeper is not None:
        yield f"keeper    {'at work' if found.keeper else 'none (there is nothing to do)'}"
    for word, why in (("paused", found.paused), ("drained", found.draining)):
        if why:
            yield f"{word:<9} {why}"
    for note in found.notes:
        yield f"note      {note}"


def _of(free: int | None, total: int | None) -> str | None:
    return None if total is None else f"{'?' if free is None else free}/{total}"


def _memory(found: QueueStatus) -> str | None:
    if not found.memory_total:
        return None
    return f"{size(found.memory_free)}/{size(found.memory_total)}"


COLUMNS = (
    tables.Col("HOST", lambda found: found.host, flex=True),
    tables.Col("ENGINE", lambda found: found.engine, rank=3),
    tables.Col("STATE", state, lambda found: _STYLES[state(found)]),
    tables.Col("RUNNING", lambda found: str(found.running), right=True),
    tables.Col("WAITING", lambda found: str(found.waiting), right=True),
    tables.Col("GPUS FREE", lambda found: _of(found.gpus_free, found.gpus_total), right=True),
    tables.Col("CPUS FREE", lambda found: _of(found.cpus_free, found.cpus_total), right=True, rank=1),
    tables.Col("MEM FREE", _memory, right=True, rank=2),
    tables.Col(
        "WHY", lambda found: "; ".join(filter(None, (found.paused, found.draining, *found.notes))), flex=True
    ),
)


async def status(access: StandaloneAccess, rows: Sequence[HostRow], *, json: bool) -> int:
    """Write a table; of one host that was named all there is. The exit code is the worst of those named."""
    names = [row.name for row in rows] or [host.name for host in with_queue(access.config)]
    if not names:
        raise NoSuchTarget("no host has a queue.", hint="See `queue` and `engine` in hosts.yaml.")
    answers = await asyncio.gather(*(_one(access, name) for name in names))
    found = [answer for answer in answers if isinstance(answer, QueueStatus)]
    errors = [answer for answer in answers if isinstance(answer, BerthError)]
    if len(rows) == 1 and errors:
        raise errors[0]
    if len(rows) == 1 and not json:
        print("\n".join(printable(line) for line in lines(found[0])), flush=True)
        return 0
    output = Output(lambda: COLUMNS, "no queue answers.", json=json, watch=False)
    output.write(list(map(as_data, found)) if json else found, [str(error) for error in errors])
    bad = errors if rows or not found else []
    return max((exit_code_for(error) for error in bad), default=0)


async def _one(access: StandaloneAccess, name: str) -> QueueStatus | BerthError:
    try:
        async with asyncio.timeout(_WAIT), queue_of(access.config, access, name) as queue:
            return await queue.status()
    except BerthError as error:
        return error
    except TimeoutError:
        return Unreachable(f"{name}: no answer within {_WAIT:.0f} s.", hint=f"Try: berth doctor {name}")
