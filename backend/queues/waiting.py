"""`berth job wait`: until jobs have ended."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from backend.errors import BerthError, NoSuchTarget, exit_code_for
from backend.model import JobRow
from backend.queues.ends import ended, exit_code
from backend.queues.tracking import Lost, track
from backend.text import printable

if TYPE_CHECKING:
    from backend.access import StandaloneAccess
    from backend.actions.context import Access
    from backend.config import Config

_AT_ONCE = 8
"""Jobs of a host that are followed at a time: each is a process there."""


async def end_of(config: Config, access: Access, job: JobRow) -> JobRow:
    """The job as it ended. Raises `NoSuchTarget` where it was removed meanwhile."""
    last = job
    if last.ended_at is not None:
        return last
    async with aclosing(track(config, access, job.host, job.id, output=False)) as pieces:
        async for piece in pieces:
            if isinstance(piece, JobRow):
                last = piece
            elif isinstance(piece, Lost):
                _say(f"{piece.error} Asking again.")
    if last.ended_at is None:
        raise NoSuchTarget(
            f"job {job.id} on {job.host} is gone from its queue.", hint="See: berth jobs --all"
        )
    return last


async def wait(access: StandaloneAccess, rows: Sequence[JobRow], *, json: bool = False) -> int:
    """Write a line for each job as it ends; the exit code is the highest of theirs."""
    gates: dict[str, asyncio.Semaphore] = {}
    codes: list[int] = []

    async def one(row: JobRow) -> None:
        try:
            async with gates.setdefault(row.host, asyncio.Semaphore(_AT_ONCE)):
                last = await end_of(access.config, access, row)
        except BerthError as error:
            _say(str(error))
            codes.append(exit_code_for(error))
            return
        codes.append(exit_code(last))
        told = msgspec.json.encode(last).decode() if json else printable(f"{last.host}: {ended(last)}")
        print(told, flush=True)

    await asyncio.gather(*map(one, rows))
    return max(codes, default=0)


def _say(line: str) -> None:
    print(f"berth: {printable(line)}", file=sys.stderr, flush=True)
