"""Since when a GPU is held without being used.

Held: a process is on it, or its memory is more than 256 MiB above the least that this agent saw (but what
lies above 1 GiB never counts as that least: the agent may have started while it was held). Idle: each
sample shows at most 2 % utilisation, for a sample's window is short and a display or a health check is not
work. One sample above that, or letting go, starts anew. The clock starts at the first idle sample seen.
"""

from __future__ import annotations

_HELD = 256 << 20
_MOST_AT_REST = 1 << 30
"""What a driver itself may keep."""
_BUSY = 2.0


class IdleClock:
    """Of one GPU."""

    __slots__ = ("_least", "since")

    def __init__(self) -> None:
        self._least = _MOST_AT_REST
        self.since: float | None = None
        """Unix time, or None while it is busy, free or unknown."""

    def sample(self, now: float, util: float | None, mem_used: int | None, processes: bool) -> None:
        """Take one sample; unknown utilisation changes nothing."""
        if mem_used is not None:
            self._least = min(self._least, mem_used)
        held = processes or (mem_used is not None and mem_used > self._least + _HELD)
        if not held or (util is not None and util > _BUSY):
            self.since = None
        elif util is not None and self.since is None:
            self.since = now
