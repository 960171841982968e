"""When waiting jobs will start, as far as time limits tell: each in turn on what is free first.

Every job is taken to run to its limit, and none to overtake another: the answer is the latest moment, as long
as nobody goes ahead of the line.
"""

from __future__ import annotations

from bisect import insort
from heapq import nsmallest
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from .jobs import Job
from .room import NEVER, Room

FIRST = 200
"""Jobs in the line whose start is told. Further on it would mean little: jobs rarely run to their limit."""


class Forecast:
    """A timetable of one machine, filled job by job."""

    def __init__(self, room: Room, ends: Dict[int, float]) -> None:
        """`ends`: when each active job is over at the latest."""
        self._room = room
        self._gpus: Dict[str, float] = {
            gpu.id: room.free_at(gpu) for gpu in room.machine.gpus if not room.lost(gpu)
        }
        self._cpus = _pieces(room.now, len(room.free_cpus), ((end, cpus) for end, cpus, _ in room.releases))
        self._memory = _pieces(room.now, room.free_memory, ((end, size) for end, _, size in room.releases))
        self._ends = dict(ends)

    def add(self, job: Job, after: Sequence[int], in_line: bool) -> Optional[float]:
        """Its start, or None where that cannot be told. `after`: jobs it waits for that have not ended.

        A job that is not `in_line` yet takes nothing from those behind it.
        """
        start = max([self._room.now, job.begin_at or 0.0] + [self._ends.get(one, NEVER) for one in after])
        request = job.request
        gpus = self._earliest_gpus(job)
        if gpus is None or _total(self._cpus) < request.cpus or _total(self._memory) < request.memory:
            return None
        start = max([start] + [when for when, _ in gpus])
        start = max(start, _ready(self._cpus, request.cpus), _ready(self._memory, request.memory))
        end = start + request.time_limit if request.time_limit is not None else NEVER
        self._ends[job.id] = end
        if in_line:
            for _, gpu in gpus:
                self._gpus[gpu] = end
            _use(self._cpus, request.cpus, end)
            _use(self._memory, request.memory, end)
        return None if start == NEVER else start

    def _earliest_gpus(self, job: Job) -> Optional[List[Tuple[float, str]]]:
        request = job.request
        if not request.gpus:
            return []
        times = [
            (self._gpus[gpu.id], gpu.number, gpu.id)
            for gpu in self._room.candidates(request)
            if gpu.id in self._gpus
        ]
        if len(times) < request.gpus:
            return None
        return [(when, gpu) for when, _, gpu in nsmallest(request.gpus, times)]


def limit_end(job: Job, now: float) -> float:
    """When an active job is over at the latest; one past its limit is about to be."""
    limit = job.request.time_limit
    if limit is None:
        return NEVER
    return max(now, (now if job.started_at is None else job.started_at) + limit)


def _pieces(now: float, free: int, releases: Iterable[Tuple[float, int]]) -> List[Tuple[float, int]]:
    """(time, amount), by time."""
    return sorted([(now, free)] + [piece for piece in releases if piece[1]])


def _total(pieces: List[Tuple[float, int]]) -> int:
    return sum(size for _, size in pieces)


def _ready(pieces: List[Tuple[float, int]], amount: int) -> float:
    """When `amount` is free; the pieces are taken in the order of time."""
    found = 0
    for when, size in pieces if amount else ():
        found += size
        if found >= amount:
            return when
    return NEVER if amount else 0.0


def _use(pieces: List[Tuple[float, int]], amount: int, end: float) -> None:
    """Take `amount` of what is free first, and give it back at `end`."""
    missing = amount
    while missing > 0 and pieces:
        when, size = pieces.pop(0)
        if size > missing:
            pieces.insert(0, (when, size - missing))
        missing -= size
    if amount:
        insort(pieces, (end, amount))
