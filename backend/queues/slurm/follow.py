"""What happens to a job until its end: its row by squeue, its output by tail."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from backend.errors import HostError, NoSuchTarget
from backend.model import JobRow
from backend.picture import moment
from backend.queues.slurm.text import ENDED

if TYPE_CHECKING:
    from backend.link import LinkProcess
    from backend.queues.slurm.engine import SlurmQueue

EVERY = 2.0
"""Seconds between two questions at least: a controller serves all of a cluster's people."""
_PATIENCE = 120.0
"""Seconds a controller may be away (a restart, a failover) until following gives up."""
_PIECE = 65536
# waits for the file, which appears when the job starts
_TAIL = 'until [ -e "$2" ]; do sleep 0.2; done; exec tail -c "+$1" -f -- "$2"'
_START = 'if [ "$1" -gt 0 ]; then tail -n "$1" -- "$2"; else cat -- "$2"; fi 2>/dev/null; :'
_SIZE = 'if [ "$1" -gt 0 ] && [ -e "$2" ]; then s=$(wc -c <"$2"); r=$(tail -n "$1" -- "$2" | wc -c); '
_SIZE += "echo $((s - r)); else echo 0; fi"
_REST = 'tail -c "+$1" -- "$2" 2>/dev/null; :'


async def follow(
    queue: SlurmQueue, job: str, *, to_the_end: bool, output: bool, tail: int
) -> AsyncIterator[JobRow | bytes | str]:
    """Rows, bytes and sentences."""
    found = await queue.one(job)
    row, log = found.row, found.row.log
    if output and not log:
        log = (await queue.detail(job)).row.log
        if not log:
            yield f"Slurm no longer says where job {job} wrote its output."
    yield row
    if not to_the_end or row.state in ENDED:
        if output and log:
            yield await _said(queue, _START, str(tail), log) or await _missing(queue, log)
        return
    reader = _Reader(queue, log, tail) if output and log else None
    try:
        if reader is not None:
            await reader.open()
        async for piece in _until_end(queue, row, reader):
            yield piece
    finally:
        if reader is not None:
            await reader.close()


async def _until_end(
    queue: SlurmQueue, row: JobRow, reader: _Reader | None
) -> AsyncIterator[JobRow | bytes | str]:
    """The output as it comes; the row when it changed."""
    last, lost = row, 0.0
    while last.state not in ENDED:
        if reader is None:
            await asyncio.sleep(EVERY)
        else:
            async for piece in reader.until(time.monotonic() + EVERY):
                yield piece
        try:
            new = await _again(queue, last)
            lost = 0.0
        except HostError as error:
            link = await queue.link()
            gone = asyncio.ensure_future(link.closed)
            closed = gone.done()
            gone.cancel()
            if closed or (lost and time.monotonic() - lost > _PATIENCE):
                raise
            if not lost:
                lost = time.monotonic()
                yield f"{error} The job goes on."
            continue
        if _shown(new) != _shown(last):
            if new.state in ENDED and reader is not None and (rest := await reader.rest()):
                yield rest
            last = new
            yield new


async def _again(queue: SlurmQueue, last: JobRow) -> JobRow:
    try:
        return (await queue.one(last.id)).row
    except NoSuchTarget:
        return replace(
            last,
            state="failed" if last.state != "queued" else "cancelled",
            reason="Slurm no longer remembers how it ended",
            ended_at=moment(),
        )


def _shown(row: JobRow) -> JobRow:
    """Without what changes all the time."""
    return replace(row, priority=0, place=None)


async def _said(queue: SlurmQueue, script: str, *words: str) -> bytes:
    link = await queue.link()
    return (await link.run(["sh", "-c", script, "sh", *words], timeout=300)).stdout


async def _missing(queue: SlurmQueue, log: str) -> bytes | str:
    """What to say of an output that is empty."""
    link = await queue.link()
    done = await link.run(["test", "-r", log], timeout=30)
    return f"its output is not there any more: {log}" if done.returncode == 1 else b""


class _Reader:
    """A tail of the output, read in pieces; what it missed at the end is fetched."""

    def __init__(self, queue: SlurmQueue, log: str, lines: int) -> None:
        self._queue = queue
        self._log = log
        self._lines = lines
        self._at = 0
        self._process: LinkProcess | None = None
        self._reading: asyncio.Task[bytes] | None = None

    async def open(self) -> None:
        """Start at the last lines, or the beginning."""
        if self._lines:
            skipped = await _said(self._queue, _SIZE, str(self._lines), self._log)
            self._at = int(skipped.strip() or 0) if skipped.strip().isdigit() else 0
        link = await self._queue.link()
        self._process = await link.start(["sh", "-c", _TAIL, "sh", str(self._at + 1), self._log])

    async def until(self, deadline: float) -> AsyncIterator[bytes]:
        """What comes until then."""
        process = self._process
        if process is None:
            await asyncio.sleep(max(0.0, deadline - time.monotonic()))
            return
        while (left := deadline - time.monotonic()) > 0:
            if self._reading is None:
                self._reading = asyncio.create_task(process.read(_PIECE))
            done, _ = await asyncio.wait({self._reading}, timeout=left)
            if not done:
                return
            piece = self._reading.result()
            self._reading = None
            if not piece:
                self._process = None
                await process.close()
                return
            self._at += len(piece)
            yield piece

    async def rest(self) -> bytes:
        """What the job wrote after the last piece."""
        reading, self._reading = self._reading, None
        if reading is not None and reading.done() and not reading.cancelled():
            self._at += len(reading.result())
            return reading.result() + await _said(self._queue, _REST, str(self._at + 1), self._log)
        await self.close(reading)
        return await _said(self._queue, _REST, str(self._at + 1), self._log)

    async def close(self, reading: asyncio.Task[bytes] | None = None) -> None:
        """End the tail."""
        reading = reading or self._reading
        self._reading = None
        if reading is not None:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, HostError):
                await reading
        process, self._process = self._process, None
        if process is not None:
            await process.close()
