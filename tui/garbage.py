"""When Python looks for garbage: with ten thousand containers a full search takes 0.1 s: a key would feel it.

Most of what berth makes is freed at once by its reference count. What is left, cycles of widgets and tasks,
is searched for while nobody is typing, and never more than a small share of the time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

YOUNG, MIDDLE = 2_000, 5
"""New objects after which the youngest are searched, and such searches after which the middle ones are too.

One frame makes thousands of objects and frees most of them. Searches are small and many: saved up for long,
they would be one of 20 ms, and the next key would wait for it.
"""
HELD = 10
"""Times `YOUNG` before Python itself searches: where a key is held down there is no better moment."""
QUIET = 3.0
"""Seconds without a key after which a search cannot be felt."""
EVERY = 30.0
"""Seconds between two searches, at least."""
SHARE = 200
"""A search that took `t` is not repeated within `SHARE * t`: half a percent of the time."""
PATIENCE = 300.0
"""Seconds after which a search is made even while keys are pressed."""


class Garbage:
    """Searches when `tidy` and `sweep` say so."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, collect: Callable[[], object] = gc.collect
    ) -> None:
        """`collect` searches everything."""
        self._clock, self._collect = clock, collect
        self._next = 0.0
        self._last = 0.0
        self._thresholds = gc.get_threshold()

    def start(self) -> None:
        """From now on. What exists already (modules, classes) is never searched again."""
        self._collect()
        gc.freeze()
        gc.set_threshold(HELD * YOUNG, MIDDLE, 1_000_000)
        gc.enable()
        self._last = self._clock()
        self._next = self._last + EVERY

    def stop(self) -> None:
        """As it was before."""
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    def sweep(self) -> None:
        """Search what is new, if there is much: no key is on its way to the screen."""
        young, middle, _ = gc.get_count()
        if young >= YOUNG:
            gc.collect(1 if middle >= MIDDLE else 0)

    def tidy(self, quiet: float) -> None:
        """Search if it is time; `quiet` is how many seconds ago the last key was pressed."""
        now = self._clock()
        if now >= self._next and (quiet >= QUIET or now - self._last >= PATIENCE):
            self._collect()
            took = self._clock() - now
            self._last = now
            self._next = now + max(EVERY, SHARE * took)


@contextmanager
def unsearched() -> Iterator[None]:
    """No search in here: for what makes thousands of objects and frees them again before it ends."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
