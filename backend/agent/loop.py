"""The event loop: file descriptors, timers, and answers of background threads.

Smaller than asyncio by 9 MB of memory and 60 ms of start, which is most of what the agent may cost.
"""

from __future__ import annotations

import heapq
import os
import selectors
import threading
import time
from collections import deque
from typing import Any, Callable, Deque

Call = Callable[[], Any]


class Timer:
    """A call that is due at a time; `cancel()` makes it never happen."""

    __slots__ = ("call", "when")

    def __init__(self, when: float, call: Call | None) -> None:
        self.when = when
        self.call = call

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        """Forget the call."""
        self.call = None


class Loop:
    """Runs callbacks until `stop()`. An exception in one goes to `on_error` and ends nothing else."""

    def __init__(self, on_error: Callable[[str, BaseException], Any]) -> None:
        # poll, not epoll: it takes regular files and /dev/null too, and there are few descriptors
        self._selector = getattr(selectors, "PollSelector", selectors.SelectSelector)()
        self._timers: list[Timer] = []
        self._posted: Deque[Call] = deque()
        self._on_error = on_error
        self._running = True
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        self._open = threading.RLock()
        """Held while the wake pipe is written or closed: its number belongs to another file after that.

        A signal may come while it is held, and its handler posts: the same thread may take it twice."""
        self.closed = False
        self.watch(self._wake_r, read=self._drain)

    def watch(self, fd: int, read: Call | None = None, write: Call | None = None) -> None:
        """Call `read` / `write` whenever `fd` is ready; both None forgets it."""
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        known = fd in self._selector.get_map()
        if not events:
            if known:
                self._selector.unregister(fd)
        elif known:
            self._selector.modify(fd, events, (read, write))
        else:
            self._selector.register(fd, events, (read, write))

    def later(self, delay: float, call: Call) -> Timer:
        """Call once, in `delay` seconds."""
        timer = Timer(time.monotonic() + delay, call)
        heapq.heappush(self._timers, timer)
        return timer

    def post(self, call: Call) -> None:
        """Call soon, from the loop; the only method that other threads may use."""
        self._posted.append(call)
        with self._open:
            if self.closed:
                return
            try:
                os.write(self._wake_w, b"x")
            except BlockingIOError:
                pass  # full: the loop is about to wake anyway

    def stop(self) -> None:
        """End `run` after the callbacks that are due now."""
        self._running = False

    def run(self) -> None:
        """Run until stopped."""
        while self._running:
            self.turn()

    def turn(self, longest: float | None = None) -> None:
        """Wait for the next thing and do it."""
        wait = longest
        while self._timers and self._timers[0].call is None:
            heapq.heappop(self._timers)
        if self._timers:
            due = max(0.0, self._timers[0].when - time.monotonic())
            wait = due if wait is None else min(wait, due)
        for key, mask in self._selector.select(wait):
            read, write = key.data
            if mask & selectors.EVENT_READ and read:
                self._do(read)
            if mask & selectors.EVENT_WRITE and write:
                self._do(write)
        now = time.monotonic()
        while self._timers and self._timers[0].when <= now:
            call = heapq.heappop(self._timers).call
            if call is not None:
                self._do(call)

    def close(self) -> None:
        """Release the loop's own descriptors."""
        with self._open:
            if self.closed:
                return
            self.closed = True
            self._selector.close()
            os.close(self._wake_r)
            os.close(self._wake_w)

    def _drain(self) -> None:
        try:
            while os.read(self._wake_r, 512):
                pass
        except BlockingIOError:
            pass
        while self._posted:
            self._do(self._posted.popleft())

    def _do(self, call: Call) -> None:
        try:
            call()
        except Exception as error:
            self._on_error(getattr(call, "__qualname__", "loop"), error)
