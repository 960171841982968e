"""Work that may hang in the kernel or a driver, kept out of the loop.

A stuck GPU driver or a dead NFS server blocks the caller for minutes and cannot be interrupted. Each such
probe has one daemon thread; while it is stuck no further work is given to it, and the rest of the agent
goes on.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any, Callable

from .loop import Loop


class Worker:
    """One daemon thread that runs one job at a time and answers in the loop."""

    def __init__(self, loop: Loop, name: str) -> None:
        self._loop = loop
        self._name = name
        self._wanted = threading.Semaphore(0)
        self._job: Callable[[], Any] | None = None
        self._done: Callable[[Any, BaseException | None], Any] = lambda result, error: None
        self._thread: threading.Thread | None = None
        self._since = 0.0

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return self._job is not None

    @property
    def busy_for(self) -> float:
        """Seconds the running job has taken; 0 when none runs."""
        return time.monotonic() - self._since if self._job is not None else 0.0

    def run(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], Any]) -> bool:
        """Start `job` in the thread; `done(result, error)` follows in the loop. False while busy."""
        if self._job is not None:
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._done = done
        self._since = time.monotonic()
        self._job = job
        self._wanted.release()
        return True

    def _work(self) -> None:
        while True:
            self._wanted.acquire()
            result, error = None, None
            try:
                if self._job is not None:
                    result = self._job()
            except Exception as caught:
                error = caught
            self._loop.post(partial(self._finish, result, error))

    def _finish(self, result: Any, error: BaseException | None) -> None:
        self._job = None
        self._done(result, error)
