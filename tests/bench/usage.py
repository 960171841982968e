"""What processes cost, from /proc: CPU time and memory of a process, with or without its children."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """What some processes cost over a while."""

    cpu_percent: float
    """Of one core."""
    rss_mb: float
    """At the end, with what they share."""


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(int(path.parent.name))
        if fields:
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found.extend(parents.get(one, ()))
    return found


def measure(
    groups: dict[str, list[int]], seconds: float, wait: Callable[[float], None] = time.sleep
) -> dict[str, Cost]:
    """Costs of named groups of processes over `seconds`, during which `wait` is called."""
    before = {name: cpu_seconds(pids) for name, pids in groups.items()}
    began = time.perf_counter()
    wait(seconds)
    passed = time.perf_counter() - began
    return {
        name: Cost(100 * (cpu_seconds(pids) - before[name]) / passed, rss(pids) / 1e6)
        for name, pids in groups.items()
    }


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of these processes, and of their children that have ended."""
    total = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            total += sum(int(fields[place]) for place in (11, 12, 13, 14))
    return total / _TICK


def rss(pids: Iterable[int]) -> int:
    """Bytes of memory they hold; what is shared between them is counted once for each."""
    total = 0
    for pid in pids:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
        total += pages * os.sysconf("SC_PAGE_SIZE")
    return total


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the command's name; the first is the state."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
