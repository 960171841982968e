"""The output of jobs as lines of the log screen: followed to their ends, over lost links, all attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from backend.errors import BerthError, NoSuchTarget
from backend.logs.follower import Status, Take, Target, Wants
from backend.logs.lines import LogLine, clean, plain
from backend.model import JobRow
from backend.queues.choose import queue_of
from backend.queues.ends import ended
from backend.queues.tracking import Lost, Piece, track

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backend.actions.context import Access
    from backend.config import Config

_LINE = 65536
"""Bytes of a line without an end that are kept together."""


class JobLog:
    """Reads the output of some jobs side by side."""

    def __init__(
        self,
        targets: Sequence[Target],
        config: Config,
        access: Access,
        wants: Wants = Wants(),  # noqa: B008  (frozen)
    ) -> None:
        """`wants.since` is left aside: what a job wrote has no times."""
        self.targets = tuple(targets)
        self._config = config
        self._access = access
        self._wants = wants

    async def run(self, lines: Take, status: Callable[[int, Status], None]) -> None:
        """Read until all jobs have ended, or only what there is now without `follow`."""
        async with asyncio.TaskGroup() as group:
            for index in range(len(self.targets)):
                group.create_task(_Reading(self, index, lines, status).run())

    def pieces(self, index: int) -> AsyncGenerator[Piece, None]:
        """What happens to one of them."""
        wants, target = self._wants, self.targets[index]
        tail = 0 if wants.head is not None else wants.tail or wants.most or 0
        if wants.follow and wants.head is None:
            return track(self._config, self._access, target.host, target.id, tail=tail, patient=True)
        return self._present(target, tail)

    async def _present(self, target: Target, tail: int) -> AsyncGenerator[Piece, None]:
        async with queue_of(self._config, self._access, target.host) as queue:
            async for piece in queue.follow(target.id, to_the_end=False, tail=tail):
                yield piece

    @property
    def head(self) -> int | None:
        """How many lines are wanted at most."""
        return self._wants.head


class _Reading:
    """One job's output while it is read."""

    def __init__(self, log: JobLog, index: int, lines: Take, status: Callable[[int, Status], None]) -> None:
        self._log = log
        self._index = index
        self._take = lines
        self._tell = status
        self._rest = b""
        self._count = 0
        self._last: JobRow | None = None

    async def run(self) -> None:
        """Read it; what is wrong with its host or queue is its status."""
        try:
            async with aclosing(self._log.pieces(self._index)) as pieces:
                async for piece in pieces:
                    await self._piece(piece)
                    if self._log.head is not None and self._count >= self._log.head:
                        break
            await self._text(b"", last=True)
            if self._last is not None and self._last.ended_at is not None and self._log.head is None:
                await self._said(ended(self._last))
            self._tell(self._index, Status("ended"))
        except NoSuchTarget as error:
            self._tell(self._index, Status("removed", error))
        except BerthError as error:
            self._tell(self._index, Status("lost", error))

    async def _piece(self, piece: Piece) -> None:
        if isinstance(piece, bytes):
            await self._text(piece)
        elif isinstance(piece, Lost):
            self._tell(self._index, Status("lost", piece.error))
        elif isinstance(piece, str):
            await self._said(piece)
        else:
            await self._row(piece)

    async def _row(self, row: JobRow) -> None:
        before, self._last = self._last, row
        self._tell(self._index, Status("following"))
        if before is not None and row.attempt > before.attempt > 0:
            await self._text(b"", last=True)
            await self._said(f"attempt {before.attempt} failed; attempt {row.attempt} begins")
        elif row.state in ("queued", "held") and (before is None or row.reason != before.reason):
            await self._said(f"job {row.id} has not started: {row.reason or row.state}")

    async def _text(self, piece: bytes, *, last: bool = False) -> None:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        if self._rest and (last or len(self._rest) > _LINE):
            whole.append(self._rest)
            self._rest = b""
        if self._log.head is not None:
            whole = whole[: self._log.head - self._count]
        if whole:
            self._count += len(whole)
            await self._take([self._line(clean(raw)) for raw in whole])

    async def _said(self, sentence: str) -> None:
        """A sentence of berth's own among the lines."""
        await self._take([self._line(clean(f"berth: {sentence}".encode()), error=True)])

    def _line(self, text: str, *, error: bool = False) -> LogLine:
        return LogLine(None, self._index, error, text, plain(text))
