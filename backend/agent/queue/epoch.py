"""Since when the engine has watched its containers: what it says of earlier ones, it may not have seen.

Told by the clock on the wall as it was then, which is the one in the engine's records; the keeper's own may
be another one by now.
"""

from __future__ import annotations

import json
import os
import time
from typing import NamedTuple, Optional

from ..times import seconds_from_engine
from .enginelink import EngineLink

_TICK = 0.02
"""Seconds by which times of processes and files are told too coarsely."""
_INIT = 1


class Since(NamedTuple):
    """A moment, and how well it is known. Unix times."""

    earliest: float
    latest: float


async def since(engine: EngineLink) -> Optional[Since]:
    """When the engine started; None where that cannot be told.

    Podman is no daemon: it knows the end of every container that it started since the machine did.
    """
    pid = _INIT if engine.podman else engine.pid()
    if not engine.podman:
        written = _written(engine.path, pid)
        if written is not None:
            return Since(written - _TICK, written + _TICK)
    before = age(pid)
    reply = await engine.ask("GET", "/info")
    after = age(pid)
    try:
        now = seconds_from_engine(json.loads(reply.body)["SystemTime"])
    except (ValueError, KeyError, TypeError):
        return None
    if now is None or before is None or after is None:
        return None
    # it told its time somewhere between the two, and a busy engine takes seconds to answer
    return Since(now - after - _TICK, now - before + _TICK)


def age(pid: int) -> Optional[float]:
    """Seconds since a process started; None where that cannot be told."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            ticks = int(file.read(2048).rpartition(b")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def _written(socket: str, pid: int) -> Optional[float]:
    """When Docker wrote down its pid, which is the first thing that it does."""
    try:
        with open(os.path.join(os.path.dirname(socket), "docker.pid"), "rb") as file:
            return os.fstat(file.fileno()).st_mtime if int(file.read(20)) == pid else None
    except (OSError, ValueError):
        return None
