"""`berth run` and `berth shell`: submit, wait for the turn, show the output, end with the job's exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json as json_
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import HostError
from backend.logs.writing import Writer
from backend.queues.asking import Asked
from backend.queues.choose import queue_of
from backend.queues.ends import CANCELLED, ended, exit_code
from backend.queues.submitting import Submitted, submit
from backend.queues.tracking import Lost, track
from backend.text import duration, printable

if TYPE_CHECKING:
    from backend.access import StandaloneAccess
    from backend.model import JobRow


async def run(
    access: StandaloneAccess,
    rows: Sequence[object],
    *,
    json: bool,
    host: str | None = None,
    detach: bool = False,
    snapshot: bool = False,
    key: str = "",
    **options: Any,
) -> int:
    """Submit a job; follow it to its end unless `detach`. The exit code is the job's."""
    _ = rows
    done = await submit(
        access.config,
        access,
        Asked(**options),
        host=host,
        folder=Path.cwd(),
        say=_say,
        snapshot=snapshot,
        key=key,
    )
    if json:
        print(json_.dumps([{"host": done.host, "id": number, "name": done.name} for number in done.ids]))
    if detach or len(done.ids) > 1 or json:
        if not json:
            for number in done.ids:
                print(f"{done.host}/{number}", flush=True)
            _say(f"queued on {done.host}. See: berth jobs; berth job logs -f {done.host}/{done.ids[0]}")
        return 0
    _say(f"waiting to be scheduled as <{done.ids[0]}> on {done.host} (Ctrl+C ends the job)")
    return await _foreground(access, done)


async def _foreground(access: StandaloneAccess, done: Submitted) -> int:
    """Follow the job; Ctrl+C ends it. A terminal that goes away leaves it alone."""
    interrupted = asyncio.Event()
    async with _on_interrupt(interrupted):
        following = asyncio.create_task(_follow(access, done))
        stopping = asyncio.create_task(interrupted.wait())
        try:
            await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # told to end: the job goes on
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            _say(_goes_on(done))
            raise
        finally:
            stopping.cancel()
        if not interrupted.is_set():
            return await following
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        try:
            async with queue_of(access.config, access, done.host) as queue:
                for line in await queue.cancel(done.ids):
                    _say(line)
        except HostError:
            _say(f"it could not be ended: {_goes_on(done)}")
            raise
    return CANCELLED


def _goes_on(done: Submitted) -> str:
    """What to know of a job that nobody follows any more."""
    return f"the job goes on. Its output: berth job logs -f {done.host}/{done.ids[0]}"


@asynccontextmanager
async def _on_interrupt(event: asyncio.Event) -> AsyncIterator[None]:
    """Ctrl+C sets the event meanwhile; a second one is what it always was."""
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)

    def first() -> None:
        event.set()
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)

    loop.add_signal_handler(signal.SIGINT, first)
    try:
        yield
    finally:
        if not event.is_set():
            loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, before)


async def _follow(access: StandaloneAccess, done: Submitted) -> int:
    """Show what happens until the job has ended, over lost links too."""
    (number,) = done.ids
    told = _Told(done)
    writer = Writer(sys.stdout.fileno())
    happens = track(access.config, access, done.host, number, output=not done.to_file, first=1, patient=True)
    async with contextlib.aclosing(happens) as pieces:
        async for piece in pieces:
            if isinstance(piece, bytes):
                await writer.write(piece)
            elif isinstance(piece, str):
                _say(piece)
            elif isinstance(piece, Lost):
                _say(f"{piece.error} The job goes on; looking for it again.")
            else:
                told.row(piece)
    await writer.flush()
    return told.close()


class _Told:
    """What the person knows of the job."""

    def __init__(self, done: Submitted) -> None:
        self._done = done
        self._reason = ""
        self._attempt = 0
        self._last: JobRow | None = None

    def row(self, row: JobRow) -> None:
        """The job as it is now."""
        if row.attempt > self._attempt:
            if self._attempt:
                _say(f"attempt {self._attempt} failed; attempt {row.attempt} begins")
            self._attempt = row.attempt
        if row.state in ("queued", "held") and row.reason and row.reason != self._reason:
            self._reason = row.reason
            _say(f"waits: {row.reason}{_expected(row)}")
        if row.started_at is not None and (self._last is None or self._last.started_at is None):
            where = f", output in {self._done.to_file}" if self._done.to_file else ""
            _say(f"job {row.id} runs on {row.node or row.host}{where}")
        self._last = row

    def close(self) -> int:
        """Say how it ended; berth's exit code."""
        row = self._last
        if row is None:
            return 1
        if row.state != "completed":
            _say(ended(row))
        return exit_code(row)


def _expected(row: JobRow) -> str:
    if row.expected_start is None:
        return ""
    left = (row.expected_start - datetime.now(UTC)).total_seconds()
    return f" (expected in {duration(left)})" if left > 1 else ""


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that went away: the job goes on without it
        print(f"berth: {printable(line)}", file=sys.stderr, flush=True)
