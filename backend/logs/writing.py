"""Standard output that may be read slowly, while links are kept alive."""

from __future__ import annotations

import asyncio
import os
import queue
import threading

_TRIES = 4
"""Batches that wait for whoever reads standard output."""


class Writer:
    """Standard output, written by a thread: whoever reads it may be slow, and links have to be kept alive.

    The thread is not waited for when berth is interrupted: it may be stuck in a pipe that nobody reads.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[None]] = []
        threading.Thread(target=self._run, name="standard output", daemon=True).start()

    async def write(self, data: bytes) -> None:
        """Write soon. Raises `OSError` (also `BrokenPipeError`) of an earlier piece, if not of this one."""
        done = self._loop.create_future()
        self._waiting.append(done)
        self._data.put((data, done))
        while len(self._waiting) > _TRIES or (self._waiting and self._waiting[0].done()):
            await self._waiting[0]
            del self._waiting[0]

    async def flush(self) -> None:
        """Wait until all is written."""
        while self._waiting:
            await self._waiting.pop(0)

    def _run(self) -> None:
        while True:
            data, done = self._data.get()
            error: OSError | None = None
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError as failed:
                error = failed
            try:
                self._loop.call_soon_threadsafe(_finish, done, error)
            except RuntimeError:  # the loop is closed: nobody waits
                return


def _finish(done: asyncio.Future[None], error: OSError | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
        done.exception()  # one of several is told, the others need no mention
