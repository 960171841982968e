"""A job followed to its end over lost links: nothing is told twice, and what may be missing is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.errors import HostError
from backend.model import JobRow
from backend.queues.choose import queue_of

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config

AGAIN = (1.0, 2.0, 5.0, 10.0)
"""Seconds until a lost host is asked again."""
RESUME = 10_000
"""Lines that are asked for when the last lines of an output are taken up again."""
_KNOWN = 4096
"""Bytes at the end of what was told that are looked for then."""
_BEYOND = 32 * 1024 * 1024
"""Bytes that are kept until they are found."""
MISSING = "output may be missing here: the link was lost, and where it broke off is not found again"


@dataclass(frozen=True)
class Lost:
    """The host cannot be asked now. The job goes on, and the host is asked again."""

    error: HostError


Piece = JobRow | bytes | str | Lost
"""Its row when that changed, more of its output, a sentence for people, or that the link is lost."""


async def track(
    config: Config,
    access: Access,
    host: str,
    job: str,
    *,
    output: bool = True,
    tail: int = 0,
    first: int = 0,
    patient: bool = False,
) -> AsyncGenerator[Piece, None]:
    """What happens to a job until it has ended, however often the link is lost.

    `tail`: only so many lines of what was written so far; 0 is all. `first`: the attempt whose output is
    wanted first; 0 is the present one. `patient`: go on asking even where the
    host could not be reached the first time. Raises what `QueueEngine.follow` raises but for `HostError`
    once the host was reached; `NoSuchTarget` where the job was removed meanwhile.
    """
    told = _Told(tail, first)
    failures = 0
    while True:
        lost: HostError | None = None
        try:
            async with queue_of(config, access, host) as queue:
                told.link_up()
                follow = queue.follow(job, output=output, tail=told.tail, first=told.attempt)
                async with aclosing(follow) as pieces:  # type: ignore[type-var]
                    async for piece in pieces:
                        failures = 0
                        patient = True
                        for new in told.fresh(piece):
                            yield new
                if told.ended:
                    for new in told.rest():
                        yield new
                    return
                await queue.detail(job)  # it says so where the job is gone
        except HostError as error:
            if not patient:
                raise
            lost = error
        if lost is not None and not failures:
            yield Lost(lost)
        await asyncio.sleep(AGAIN[min(failures, len(AGAIN) - 1)])
        failures += 1


class _Told:
    """What was told of a job, and so what is new of what comes."""

    def __init__(self, tail: int, first: int) -> None:
        self.tail = tail
        self.ended = False
        self.attempt = first
        """Whose output is told."""
        self._file = False
        """All attempts write to one file."""
        self._count = 0
        """Bytes of the present attempt's output, or of the file, that were told."""
        self._passed = 0
        """Bytes of it that came over the present link."""
        self._end = b""
        """The last of what was told, where it is not the whole."""
        self._sought: bytearray | None = None
        """What came since the link is back, until it is found where it broke off."""
        self._lines = 0
        """Lines in that."""

    def link_up(self) -> None:
        """The output begins anew: as a whole, or at its last lines."""
        self._passed = 0
        if self.tail and self._count:
            self.tail = max(self.tail, RESUME)
            self._sought, self._lines = bytearray(), 0

    def fresh(self, piece: JobRow | bytes | str) -> list[JobRow | bytes | str]:
        """What of it is new."""
        if isinstance(piece, str):
            return [piece]
        if isinstance(piece, bytes):
            return self._output(piece)
        found: list[JobRow | bytes | str] = []
        if piece.ended_at is None and piece.log:
            self._file = True
        if piece.attempt > self.attempt:
            self.attempt = piece.attempt
            if not self._file:
                found += self.rest()
                self._count, self._passed, self._end = 0, 0, b""
        self.ended = piece.ended_at is not None
        return [*found, piece]

    def _output(self, piece: bytes) -> list[JobRow | bytes | str]:
        if self._sought is not None:
            before = len(self._sought)
            self._sought += piece
            self._lines += piece.count(b"\n")
            at = self._sought.find(self._end, max(0, before - len(self._end)))
            if at < 0:
                whole = self._lines >= self.tail or len(self._sought) > _BEYOND
                return self.rest() if whole else []
            piece, self._sought = bytes(self._sought[at + len(self._end) :]), None
        elif not self.tail:
            new = piece[max(0, self._count - self._passed) :]
            self._passed += len(piece)
            piece = new
        self._count += len(piece)
        if self.tail:
            self._end = (self._end + piece)[-_KNOWN:]
        return [piece] if piece else []

    def rest(self) -> list[JobRow | bytes | str]:
        """Where it broke off does not come any more: all that came since is told."""
        kept, self._sought = self._sought, None
        if not kept:
            return []
        self._count += len(kept)
        self._end = bytes(kept[-_KNOWN:])
        return [MISSING, bytes(kept)]
