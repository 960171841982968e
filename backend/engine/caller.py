"""Calls of the SDK in threads: each with a time limit, each cancellable, none able to hold up another."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from backend.engine import faults
from backend.engine.lane import Lane

T = TypeVar("T")

CALL_TIMEOUT = 30.0
"""Seconds a call may take where nothing else is said."""
IDLE_TIMEOUT = 120.0
"""Seconds without a byte after which a stream of data counts as hung."""
_CONNECT_TIMEOUT = 10.0
_SPARE_LANES = 4
"""Open connections kept for the next call."""
_AHEAD = 64
"""Items a stream may be ahead of its reader."""
SETTLE = 5.0
"""Seconds that are waited for a thread which was told to end."""


class Caller:
    """Runs functions over lanes to one engine socket."""

    def __init__(self, host: str, path: str, version: str) -> None:
        """`path`: of the socket here. `version`: of the API; `auto` asks on each new connection."""
        self.host = host
        """The host's nick, for messages."""
        self._path = path
        self._version = version
        self._spare: list[Lane] = []
        self._busy: set[Lane] = set()
        self._closed = False

    @property
    def endpoint(self) -> tuple[str, str]:
        """Path of the socket here and version of the API, for streams that are read without the SDK."""
        return self._path, self._version

    async def call(
        self,
        doing: str,
        work: Callable[[Lane], T],
        *,
        timeout: float | None = CALL_TIMEOUT,
        idle: float | None = None,
        settle: bool = False,
    ) -> T:
        """Run `work` in a thread. Raises only `BerthError`s; a cancel returns at once.

        `idle`: instead of a limit for the whole, seconds without `lane.moved()`. `settle`: after a cancel or
        a time-out wait until the thread has ended, for work that holds more than a connection.
        """
        lane = self._take(doing)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        ended = asyncio.Event()

        def body() -> None:
            try:
                result = work(lane)
            except BaseException as error:
                _tell(loop, done, ended, error=error)
            else:
                _tell(loop, done, ended, result=result)

        threading.Thread(target=body, name=f"engine {self.host}", daemon=True).start()
        try:
            result = await _within(done, lane, timeout, idle)
        except BaseException as error:
            self._drop(lane)
            done.cancel()
            if settle:
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), SETTLE)
            if isinstance(error, TimeoutError):
                raise faults.hung(self.host, doing, idle or timeout) from None
            if isinstance(error, faults.FOREIGN):
                raise faults.translate(error, self.host, doing) from None
            raise
        self._give_back(lane)
        return result

    async def stream(self, doing: str, work: Callable[[Lane], Iterator[T]]) -> AsyncIterator[T]:
        """What `work` yields, as it comes; at most a few items ahead of the reader. Close it to end it."""
        items: deque[T] = deque()
        room = threading.Semaphore(_AHEAD)
        news = asyncio.Event()
        loop = asyncio.get_running_loop()

        def pump(lane: Lane) -> None:
            for item in work(lane):
                room.acquire()
                lane.moved()
                items.append(item)
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(news.set)

        running = asyncio.create_task(self.call(doing, pump, timeout=None))
        running.add_done_callback(lambda _: news.set())
        try:
            while True:
                ended = running.done()
                news.clear()
                while items:
                    item = items.popleft()
                    room.release()
                    yield item
                if ended:
                    break
                if not items and not running.done():
                    await news.wait()
            await running
        finally:
            running.cancel()
            await asyncio.wait({running})
            room.release()  # a pump that waits for room finds out that nobody reads
            if not running.cancelled():
                running.exception()

    def close(self) -> None:
        """End all calls and connections. May be called twice."""
        self._closed = True
        for lane in (*self._busy, *self._spare):
            lane.abort()
        for lane in self._spare:
            lane.close()
        self._spare.clear()

    def _take(self, doing: str) -> Lane:
        if self._closed:
            raise faults.lost(self.host, doing)
        if self._spare:
            lane = self._spare.pop()
        else:
            try:
                lane = Lane(self._path, version=self._version, connect_timeout=_CONNECT_TIMEOUT)
            except faults.FOREIGN as error:  # the user's own ~/.docker/config.json is broken
                raise faults.translate(error, self.host, doing) from None
        self._busy.add(lane)
        return lane

    def _give_back(self, lane: Lane) -> None:
        self._busy.discard(lane)
        if self._closed or lane.aborted or len(self._spare) >= _SPARE_LANES:
            lane.close()
        else:
            self._spare.append(lane)

    def _drop(self, lane: Lane) -> None:
        self._busy.discard(lane)
        lane.abort()


def _tell(
    loop: asyncio.AbstractEventLoop,
    done: asyncio.Future[T],
    ended: asyncio.Event,
    *,
    result: T | None = None,
    error: BaseException | None = None,
) -> None:
    """Hand a thread's outcome to its waiter, if there still is one."""

    def tell() -> None:
        ended.set()
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # T may be None

    with suppress(RuntimeError):  # the loop is closed: nobody waits
        loop.call_soon_threadsafe(tell)


async def _within(done: asyncio.Future[T], lane: Lane, timeout: float | None, idle: float | None) -> T:
    """The outcome, or `TimeoutError` when it takes longer, or stands still for longer, than allowed."""
    if idle is None:
        async with asyncio.timeout(timeout):
            return await done
    seen = -1.0
    while not done.done():
        if lane.moved_at == seen:
            raise TimeoutError
        seen = lane.moved_at
        await asyncio.wait({done}, timeout=idle)
    return done.result()
