"""Keys go first: what takes long and can wait is done in steps, and stops for a moment when a key comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

JUST = 0.06
"""Seconds after a key in which its effect is on its way to the screen."""
WAITS = 10
"""Times that one piece of work waits at most: numbers must also come while a key is held down."""
_WAIT = 0.025


class Courtesy:
    """For one piece of work, until `begin` is called for the next one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pressed_at = float("-inf")
        self._left = WAITS

    def key_pressed(self) -> None:
        """Somebody typed."""
        self._pressed_at = self._clock()

    @property
    def quiet(self) -> float:
        """Seconds since the last key."""
        return self._clock() - self._pressed_at

    async def begin(self) -> None:
        """Something new is to be done."""
        self._left = WAITS
        await self._give_way()

    async def steps(self, work: Iterable[object]) -> None:
        """Do `work` step by step; between two of them, everybody else has a turn."""
        for _ in work:
            await asyncio.sleep(0)
            await self._give_way()

    async def _give_way(self) -> None:
        while self._left and self.quiet < JUST:
            self._left -= 1
            await asyncio.sleep(_WAIT)
