"""A job's output on standard output: `berth job logs`, and the foreground of `berth run`."""

from __future__ import annotations

import asyncio
import json as json_
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from backend.logs.writing import Writer
from backend.queues.choose import queue_of
from backend.queues.tracking import Lost, Piece, track
from backend.text import printable

if TYPE_CHECKING:
    from backend.access import StandaloneAccess
    from backend.model import JobRow

_LINE = 65536
"""Bytes of a line without an end that are kept together."""


class Lines:
    """Pieces of bytes -> lines of text, each once, when it is complete."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = b""
        self.count = 0

    def feed(self, piece: bytes) -> None:
        """More of the output."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for line in whole:
            self._line(line)
        if len(self._rest) > _LINE:
            self.end()

    def end(self) -> None:
        """What is left is a line too."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""

    def _line(self, line: bytes) -> None:
        self.count += 1
        # of a progress bar that was written over and over, the last state is what a line is
        self._take(line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace"))


async def logs(
    access: StandaloneAccess,
    rows: Sequence[JobRow],
    *,
    follow: bool = False,
    tail: int = 0,
    json: bool = False,
) -> int:
    """Write the output of jobs to standard output: of one job byte for byte, of several with its name before
    each line; or as one JSON object per line.
    """
    writer = Writer(sys.stdout.fileno())
    named = json or len(rows) > 1
    turn = asyncio.Lock()

    async def one(job: JobRow) -> None:
        form = Lines(lambda line: pending.append(_as_json(job, line) if json else _as_text(job, line)))
        pending: list[bytes] = []
        waits, attempt = _Waits(), 0
        async with aclosing(_output(access, job, follow=follow, tail=tail)) as pieces:
            async for piece in pieces:
                if isinstance(piece, bytes):
                    if named:
                        form.feed(piece)
                        piece = b"".join(pending)
                        pending.clear()
                    async with turn:
                        await writer.write(piece)
                elif isinstance(piece, Lost):
                    _say(f"{piece.error} The job goes on; looking for it again.")
                elif isinstance(piece, str):
                    _say(piece)
                else:
                    if 0 < attempt < piece.attempt:
                        _say(f"{job.host}: job {job.id}: attempt {attempt} failed; {piece.attempt} begins")
                    attempt = max(attempt, piece.attempt)
                    if piece.state in ("queued", "held"):
                        waits.tell(piece)
        form.end()
        async with turn:
            await writer.write(b"".join(pending))

    try:
        async with asyncio.TaskGroup() as group:
            for job in rows:
                group.create_task(one(job))
    except ExceptionGroup as found:
        raise found.exceptions[0] from None
    await writer.flush()
    return 0


async def _output(
    access: StandaloneAccess, job: JobRow, *, follow: bool, tail: int
) -> AsyncGenerator[Piece, None]:
    if follow:
        async for piece in track(access.config, access, job.host, job.id, tail=tail):
            yield piece
        return
    async with queue_of(access.config, access, job.host) as queue:
        async for said in queue.follow(job.id, to_the_end=False, tail=tail):
            yield said


def _as_text(job: JobRow, line: str) -> bytes:
    return f"{job.host}/{job.id}: {line}\n".encode(errors="replace")


def _as_json(job: JobRow, line: str) -> bytes:
    found = {"host": job.host, "job": job.id, "text": printable(line, _LINE)}
    return json_.dumps(found, ensure_ascii=False).encode() + b"\n"


class _Waits:
    """Says why there is no output of a job yet, and again where the reason is another one."""

    def __init__(self) -> None:
        self._reason = ""

    def tell(self, row: JobRow) -> None:
        """`row`: as the job waits now."""
        reason = row.reason or row.state
        if reason != self._reason:
            self._reason = reason
            _say(f"{row.host}: job {row.id} does not run yet: {reason}")


def _say(line: str) -> None:
    print(f"berth: {printable(line)}", file=sys.stderr, flush=True)
