"""`berth jobs`: the jobs of all queues, asked side by side, each of its own engine and in full."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from backend import tables, text
from backend.access import StandaloneAccess
from backend.errors import BerthError, Unreachable, exit_code_for
from backend.listoutput import Output
from backend.model import JobRow
from backend.queues.base import QueueEngine, Which
from backend.queues.choose import make, with_queue
from backend.queues.describe import called, wastes, why
from backend.queues.measuring import Measuring

if TYPE_CHECKING:
    from backend.config import Config

_STYLES = {
    "running": "good",
    "starting": "good",
    "held": "warn",
    "failed": "bad",
    "timeout": "bad",
    "cancelled": "dim",
    "completed": "dim",
}
_ONCE = 0.5
"""Seconds between samples for a single look."""


@dataclass(frozen=True)
class Request:
    """What the command line asks."""

    hosts: tuple[str, ...] | None = None
    which: Which = "unfinished"
    owner: str = ""
    limit: int = 0
    """Of all queues together; 0 is all."""
    json: bool = False
    watch: float | None = None
    """Seconds between two looks; None is a single one."""
    timeout: float = 10.0


def _time(row: JobRow) -> str | None:
    limit = f"/{text.duration(row.time_limit)}" if row.time_limit else ""
    if row.started_at is None:
        return limit or None
    took = ((row.ended_at or datetime.now(UTC)) - row.started_at).total_seconds()
    return f"{text.duration(took)}{limit}"


def _why_style(row: JobRow) -> str:
    return "warn" if wastes(row) else ""


def _state(row: JobRow) -> str:
    return (
        f"{row.state} {row.exit_code}" if row.state == "failed" and row.exit_code is not None else row.state
    )


COLUMNS = (
    tables.Col("HOST", lambda row: row.host, flex=True),
    tables.Col("ID", lambda row: row.id, right=True),
    tables.Col("NAME", called, flex=True, least=10),
    tables.Col("OWNER", lambda row: row.owner, flex=True),
    tables.Col("STATE", _state, lambda row: _STYLES.get(row.state, "")),
    tables.Col("GPUS", lambda row: str(row.gpus) if row.gpus else None, right=True),
    tables.Col(
        "UTIL",
        lambda row: None if row.util_percent is None else text.percent(row.util_percent),
        right=True,
        rank=2,
    ),
    tables.Col("CPUS", lambda row: None if row.cpus is None else str(row.cpus), right=True, rank=4),
    tables.Col("MEM", lambda row: text.size(row.memory) if row.memory else None, right=True, rank=4),
    tables.Col("TIME/LIMIT", _time, right=True, rank=1),
    tables.Col("WHY", why, _why_style, flex=True, least=20),
    tables.Col("NODE", lambda row: row.node, flex=True, rank=5),
    tables.Col("COMMAND", lambda row: row.command, flex=True, rank=3),
)


async def show(config: Config, request: Request) -> int:
    """Print it; the exit code. Raises `NoSuchTarget` for a host that is not configured."""
    for name in request.hosts or ():
        config.host(name)
    names = [host.name for host in with_queue(config) if request.hosts is None or host.name in request.hosts]
    output = Output(lambda: COLUMNS, "no jobs.", json=request.json, watch=request.watch is not None)
    async with StandaloneAccess(config) as access, _Asking(config, access, request) as asking:
        while True:
            rows, errors = await asking.all(names)
            output.write(rows, [str(error) for error in errors])
            if request.watch is None:
                break
            await asyncio.sleep(request.watch)
    bad = errors if request.hosts is not None else errors if len(errors) == len(names) else []
    return max((exit_code_for(error) for error in bad), default=0)


def _first(rows: Sequence[JobRow], count: int) -> list[JobRow]:
    """So many of all queues: those that run, those that wait in turn, the newest of those that ended."""
    order = {"running": 0, "starting": 0, "queued": 1, "held": 1}

    def key(row: JobRow) -> tuple[int, float]:
        ended = row.ended_at.timestamp() if row.ended_at else 0.0
        return order.get(row.state, 2), -ended

    return sorted(rows, key=key)[:count]


class _Asking:
    """The queues that are asked, each kept open from one look to the next."""

    def __init__(self, config: Config, access: StandaloneAccess, request: Request) -> None:
        self._config = config
        self._access = access
        self._request = request
        if request.watch is None:
            self._measuring = Measuring(config, access, _ONCE)
        else:  # the next look shows what this one has not got yet
            self._measuring = Measuring(config, access, request.watch, patience=0.5)
        self._queues: dict[str, QueueEngine] = {}

    async def all(self, names: Sequence[str]) -> tuple[list[JobRow], list[BerthError]]:
        """All rows by host and turn, and who did not answer."""
        answers = await asyncio.gather(*map(self._one, names))
        rows = [row for answer in answers if not isinstance(answer, BerthError) for row in answer]
        if self._request.limit:
            rows = _first(rows, self._request.limit)
        return rows, [answer for answer in answers if isinstance(answer, BerthError)]

    async def _one(self, name: str) -> list[JobRow] | BerthError:
        request = self._request
        try:
            async with asyncio.timeout(request.timeout):
                if name not in self._queues:
                    self._queues[name] = make(self._config, self._access, name)
                rows = await self._queues[name].jobs(request.which, owner=request.owner, limit=request.limit)
        except BerthError as error:
            await self._drop(name)
            return error
        except TimeoutError:
            await self._drop(name)
            return Unreachable(
                f"{name}: no answer within {request.timeout:g} s.", hint=f"Try: berth doctor {name}"
            )
        return await self._measuring.rows(name, rows)

    async def _drop(self, name: str) -> None:
        """What broke is made anew for the next look."""
        queue = self._queues.pop(name, None)
        if queue is not None:
            await queue.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of all queues."""
        await self._measuring.close()
        await asyncio.gather(*map(self._drop, list(self._queues)))
