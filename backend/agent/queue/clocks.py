"""The clocks of a run: its warning, its limit, and how long it may do nothing."""

from __future__ import annotations

from typing import Any, Callable, List, Optional

from ..loop import Timer
from .container import Found
from .idle import IdleWatch
from .jobs import Job
from .verdict import IDLE, TIME


class Clocks:
    """Monotonic ones, so that no change of the date ends a job."""

    def __init__(self, crew: Any, warn: Callable[[], Any], stop: Callable[[str], None]) -> None:
        """`crew` is the keeper's `Crew`."""
        self._crew, self._warn, self._stop = crew, warn, stop
        self._timers: List[Timer] = []
        self._idle: Optional[IdleWatch] = None

    @property
    def idle(self) -> bool:
        """Whether it is watched for doing nothing."""
        return self._idle is not None

    def arm(self, job: Job, elapsed: float) -> None:
        """Set its warning and its limit anew; `elapsed`: seconds since it started."""
        self._unset()
        spec, limit = job.spec, job.request.time_limit
        if limit is not None:
            left = limit - elapsed
            if spec.warn_signal and left > spec.warn_before:
                self._timers.append(self._crew.loop.later(left - spec.warn_before, self._warn))
            self._timers.append(self._crew.loop.later(max(0.0, left), lambda: self._stop(TIME)))

    def watch_idle(self, job: Job, limit: float, found: Found) -> None:
        """From the first moment of which it can be told whether it does anything."""
        self._idle = IdleWatch(
            self._crew.loop, limit, job.gpus, self._crew.utilisation, lambda: self._stop(IDLE)
        )
        self._idle.start(found.id, found.pid)

    def disarm(self) -> None:
        """None of them from now on."""
        if self._idle is not None:
            self._idle.stop()
            self._idle = None
        self._unset()

    def _unset(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []
