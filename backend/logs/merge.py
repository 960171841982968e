"""Several logs as one, in order of time, without reading more ahead than it takes."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from backend.logs.lines import LogLine

_AHEAD = 4096
"""Lines of one log that wait for those of the others, about."""
_NO_TIME = datetime.min.replace(tzinfo=UTC)


class _Feed:
    """One of the logs: the lines that were read and are not handed on yet."""

    def __init__(self, batches: AsyncGenerator[list[LogLine], None], news: asyncio.Event) -> None:
        self.lines: list[LogLine] = []
        self.done = False
        self.error: Exception | None = None
        self.room = asyncio.Event()
        self._news = news
        self.task = asyncio.create_task(self._pump(batches))

    async def _pump(self, batches: AsyncGenerator[list[LogLine], None]) -> None:
        try:
            async with aclosing(batches):
                async for batch in batches:
                    self.lines += batch
                    self._news.set()
                    if len(self.lines) >= _AHEAD:
                        self.room.clear()
                        await self.room.wait()
        except Exception as error:
            self.error = error
        finally:
            self.done = True
            self._news.set()


async def merge(
    logs: Sequence[AsyncGenerator[list[LogLine], None]], patience: float | None = None
) -> AsyncGenerator[list[LogLine], None]:
    """Batches of lines in order of time. Ends when all logs have ended; raises what one of them raised.

    A log that keeps the others waiting for `patience` seconds holds them up no longer: its lines come when
    they come. None: wait for all.
    """
    news = asyncio.Event()
    feeds = [_Feed(log, news) for log in logs]
    late: set[_Feed] = set()
    try:
        while True:
            news.clear()
            for feed in feeds:
                if feed.error is not None:
                    raise feed.error
            feeds = [feed for feed in feeds if feed.lines or not feed.done]
            late = {feed for feed in late if not feed.lines}
            waiting = [feed for feed in feeds if not feed.lines]
            ready = [feed for feed in feeds if feed.lines]
            if ready and late.issuperset(waiting):
                yield _take(ready)
            elif feeds:
                try:
                    async with asyncio.timeout(patience if ready else None):
                        await news.wait()
                except TimeoutError:
                    late.update(waiting)
            else:
                return
    finally:
        for feed in feeds:
            feed.task.cancel()
        await asyncio.gather(*(feed.task for feed in feeds), return_exceptions=True)


def _time(line: LogLine) -> datetime:
    return line.time or _NO_TIME


def _take(feeds: Sequence[_Feed]) -> list[LogLine]:
    """What no line still to come can be older than."""
    first = min(feeds, key=lambda feed: _time(feed.lines[-1]))
    until = _time(first.lines[-1])
    taken: list[LogLine] = []
    for feed in feeds:
        count = len(feed.lines) if feed is first else bisect_right(feed.lines, until, key=_time)
        taken += feed.lines[:count]
        feed.lines = feed.lines[count:]
        feed.room.set()
    if len(feeds) > 1:
        taken.sort(key=_time)
    return taken
