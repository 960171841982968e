"""Interactive jobs that nobody uses: no CPU time, and no work on their GPUs, for as long as they may idle.

Only jobs with an idle limit are looked at. CPU time is read from the container's cgroup, not from the engine.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Optional, Sequence

from ..loop import Loop, Timer
from ..probe import cgroups

_EVERY = (1.0, 10.0)
"""Seconds between two looks; a sixth of the limit where that lies between."""
_WORK_NS = 1_000_000
"""CPU time between two looks that counts as work: a shell that waits takes none at all."""
_GPU_WORK = 2.0
"""Percent of utilisation up to which a GPU rests."""

Utilisation = Callable[[Callable[[Dict[str, float]], Any]], Any]
"""Reads the utilisation of all GPUs in percent, by UUID, and calls back with it."""


class IdleWatch:
    """Of one container. `on_idle` is called once, when its limit has passed without work."""

    def __init__(
        self,
        loop: Loop,
        limit: float,
        gpus: Sequence[str],
        utilisation: Utilisation,
        on_idle: Callable[[], Any],
    ) -> None:
        self._loop = loop
        self._limit = limit
        self._gpus = gpus
        self._utilisation = utilisation
        self._on_idle = on_idle
        self._every = min(_EVERY[1], max(_EVERY[0], limit / 6))
        self._cpu: Optional[CpuTime] = None
        self._last = -1
        self._worked = time.monotonic()
        self._timer: Optional[Timer] = None

    def start(self, container: str, pid: int) -> None:
        """Watch the container whose first process is `pid`."""
        self._cpu = CpuTime(container, pid)
        self._look()

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._cpu = None

    def _look(self) -> None:
        if self._cpu is None:
            return
        self._timer = self._loop.later(self._every, self._look)
        used = self._cpu.read()
        if used is None or used - self._last > _WORK_NS:  # what cannot be seen is not called idle
            self._worked = time.monotonic()
        self._last = -1 if used is None else used
        if self._gpus:
            self._utilisation(self._gpus_seen)
        else:
            self._judge()

    def _gpus_seen(self, percent: Dict[str, float]) -> None:
        if any(percent.get(gpu, 0.0) > _GPU_WORK for gpu in self._gpus):
            self._worked = time.monotonic()
        self._judge()

    def _judge(self) -> None:
        if self._cpu is not None and time.monotonic() - self._worked >= self._limit:
            self.stop()
            self._on_idle()


class CpuTime:
    """The CPU time that a container's processes have used."""

    def __init__(self, container: str, pid: int) -> None:
        self._path = ""
        self._unified = False
        try:
            with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
                found = cgroups.folders(file.read(65536), cgroups.Mounts.read(), container)
        except OSError:
            found = None
        if found is not None and found.cpu:
            self._unified = found.unified
            self._path = f"{found.cpu}/{'cpu.stat' if found.unified else 'cpuacct.usage'}"

    def read(self) -> Optional[int]:
        """Nanoseconds; None where it cannot be told."""
        try:
            with open(self._path, "rb") as file:
                text = file.read(4096)
            return int(text.split(None, 2)[1]) * 1000 if self._unified else int(text)
        except (OSError, ValueError, IndexError):
            return None
