"""When Python looks for garbage: with ten thousand containers a full search takes 0.1 s: a key would feel it.

Most of what berth makes is freed at once by its reference count. What is left, cycles of widgets and tasks,
is searched for while nobody is typing, and never more than a small share of the time.
"""

from __future__ import annotations

import gc
import time

QUIET = 3.0
"""Seconds without a key after which a search cannot be felt."""
EVERY = 30.0
"""Seconds between two searches, at least."""
SHARE = 200
"""A search that took `t` is not repeated within `SHARE * t`: half a percent of the time."""
PATIENCE = 300.0
"""Seconds after which a search is made even while keys are pressed."""


class Garbage:
    """Searches the old generation only when `tidy` says so."""

    def __init__(self) -> None:
        self._next = 0.0
        self._last = 0.0
        self._thresholds = gc.get_threshold()

    def start(self) -> None:
        """From now on. What exists already (modules, classes) is never searched again."""
        gc.collect()
        gc.freeze()
        young, middle, _ = self._thresholds
        gc.set_threshold(max(young, 10_000), middle, 1_000_000)
        self._last = time.monotonic()
        self._next = self._last + EVERY

    def stop(self) -> None:
        """As it was before."""
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    def tidy(self, quiet: float) -> None:
        """Search if it is time; `quiet` is how many seconds ago the last key was pressed."""
        now = time.monotonic()
        if now >= self._next and (quiet >= QUIET or now - self._last >= PATIENCE):
            gc.collect()
            took = time.monotonic() - now
            self._last = now
            self._next = now + max(EVERY, SHARE * took)
