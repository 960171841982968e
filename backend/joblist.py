"""`berth jobs`: the jobs of all queues, asked side by side, each of its own engine and in full."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from backend import tables, text
from backend.access import StandaloneAccess
from backend.errors import BerthError, exit_code_for
from backend.model import JobRow
from backend.queues.base import Which
from backend.queues.choose import queue_of, with_queue
from backend.queues.describe import called, why

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


@dataclass(frozen=True)
class Request:
    """What the command line asks."""

    hosts: tuple[str, ...] | None = None
    which: Which = "unfinished"
    owner: str = ""
    limit: int = 0
    """Of each queue; 0 is all."""
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
    return "warn" if row.idle_since is not None and row.ended_at is None else ""


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
    last = b""
    async with StandaloneAccess(config) as access:
        while True:
            rows, errors = await _ask(config, access, names, request)
            data = _encode(rows, request)
            if data != last:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
                last = data
            if request.watch is None or not last:
                for error in errors:
                    print(f"berth: {text.printable(str(error))}", file=sys.stderr, flush=True)
            if request.watch is None:
                break
            await asyncio.sleep(request.watch)
    if not rows and not errors and not request.json and sys.stdout.isatty():
        print("berth: no jobs.", file=sys.stderr)
    bad = errors if request.hosts is not None else errors if len(errors) == len(names) else []
    return max((exit_code_for(error) for error in bad), default=0)


async def _ask(
    config: Config, access: StandaloneAccess, names: Sequence[str], request: Request
) -> tuple[list[JobRow], list[BerthError]]:
    """All rows by host and turn, and who did not answer."""

    async def one(name: str) -> list[JobRow] | BerthError:
        try:
            async with asyncio.timeout(request.timeout), queue_of(config, access, name) as queue:
                return await queue.jobs(request.which, owner=request.owner, limit=request.limit)
        except BerthError as error:
            return error
        except TimeoutError:
            from backend.errors import Unreachable

            return Unreachable(
                f"{name}: no answer within {request.timeout:g} s.", hint=f"Try: berth doctor {name}"
            )

    answers = await asyncio.gather(*(one(name) for name in names))
    rows = [row for answer in answers if not isinstance(answer, BerthError) for row in answer]
    return rows, [answer for answer in answers if isinstance(answer, BerthError)]


def _encode(rows: list[JobRow], request: Request) -> bytes:
    if request.json:
        data = msgspec.json.encode(rows)
        if sys.stdout.isatty() and request.watch is None:
            data = msgspec.json.format(data, indent=2)
        return data + b"\n"
    if not sys.stdout.isatty():
        return tables.lines(rows, COLUMNS).encode(errors="replace")
    if not rows and request.watch is None:
        return b""
    from backend.lists import colour

    size = shutil.get_terminal_size()
    table = tables.table(rows, COLUMNS, size.columns, colour=colour())
    if request.watch is not None:
        return ("\x1b[2J\x1b[H" + "\n".join(table.splitlines()[: size.lines - 1]) + "\n").encode(
            errors="replace"
        )
    return table.encode(errors="replace")
