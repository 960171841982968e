"""Which jobs start now, on what, and why the others wait. Pure: the same input gives the same answer.

The line: higher priority first, then by position, then by number. Who may start is asked in that order.
A job that lacks resources has them kept (see `room`): what is free stays free for it, and jobs behind it
start only on what is left, or if their time limit proves that they are over before it can start. So small
jobs never hold up a large one that is ahead of them. A job that waits for anything else (a person, a time,
another job, a limit) keeps nothing. The first in line has everything kept that it needs; up to `_KEEPERS`
jobs, the first included, that do not need the same things have them kept, so that none starves behind
another.
"""

from __future__ import annotations

import time
from operator import attrgetter
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from . import why
from .forecast import FIRST, Forecast, limit_end
from .jobs import ACTIVE, HELD, Job
from .line import Gate, Shares, in_order, open_after
from .machine import Machine
from .room import NEVER, Kept, Room

_KEEPERS = 16
"""Jobs that things are kept for at a time."""
LOOK_AGAIN = 5.0
"""Seconds until the machine is read again where a job waits for GPUs that the queue does not hold: no event
tells when such a GPU is free."""


class Limits(NamedTuple):
    """What the queue's people agreed on. Stored in the queue's settings."""

    paused: str = ""
    """Who paused the queue and why; empty is not paused. Nothing starts while it is."""
    draining: str = ""
    """Who drains it: running and queued jobs go on, new ones are refused."""
    max_running_per_user: int = 0
    """Jobs; 0 is no limit."""
    max_gpus_per_user: int = 0
    reserved_cpus: int = 0
    """Logical CPUs left for the system, the lowest ids first."""
    reserved_memory: int = 0
    """Bytes left for the system."""
    keep_days: int = 30
    """Days until an ended job is forgotten; 0 is never."""
    keep_jobs: int = 10_000
    """Ended jobs that are kept; older ones are forgotten. 0 is all."""
    paused_at: float = 0.0
    """When it was paused, Unix time."""
    draining_at: float = 0.0


CLOSED_HINT = "Ask them, or open it again for everybody: berth queue resume HOST"


def closed(limits: Limits) -> str:
    """Who lets the queue take no new jobs, since when and why; empty while it takes them."""
    if not limits.draining:
        return ""
    who, _, why_so = limits.draining.partition(": ")
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(limits.draining_at)) if limits.draining_at else ""
    since = f" since {at}" if at else ""
    return f"the queue takes no new jobs: {who} drains it{since}{f' ({why_so})' if why_so else ''}"


class Start(NamedTuple):
    """A job to start now, and what it gets."""

    job: int
    gpus: Tuple[str, ...]
    cpus: Tuple[int, ...]
    memory: int


class Plan(NamedTuple):
    """The answer."""

    starts: Tuple[Start, ...]
    reasons: Dict[int, str]
    """For each job that waits."""
    expected: Dict[int, Optional[float]]
    """Expected start of each job that waits, where running jobs' limits allow to tell; None: unknown.
    Told for the first `forecast.FIRST` in line."""
    doomed: Dict[int, str]
    """Jobs that can never run (a dependency failed or is gone, the machine shrank): why."""
    wake_at: Optional[float] = None
    """When the plan has to be made again though nothing happened (a begin time, a limit)."""


def plan(jobs: Sequence[Job], machine: Machine, limits: Limits, now: float) -> Plan:
    """`jobs`: all unfinished ones and those ended ones that others wait for, in any order."""
    return _Planner(jobs, machine, limits, now).plan()


def impossible(job: Job, machine: Machine, limits: Limits) -> str:
    """Why this machine can never run it, for people (names the limit); empty if it can."""
    unmet = why.unmet(job.request, Room(machine, limits.reserved_cpus, limits.reserved_memory, 0.0))
    if not unmet and 0 < limits.max_gpus_per_user < job.request.gpus:
        return Shares(0, limits.max_gpus_per_user).over(job)
    return unmet


class _Alike:
    """Waiting jobs that ask for the same: what holds for one holds for those behind it."""

    __slots__ = ("ids", "kept", "reach", "request", "text")

    def __init__(self, job: Job, reach: float, kept: List[Kept], text: str) -> None:
        self.request = job.request
        self.ids = [job.id]
        self.reach = reach
        """Seconds. Who runs as long as this, or longer, cannot start now."""
        self.kept = kept
        """What bars them; empty where the machine itself lacks something."""
        self.text = text
        """Why it cannot be met at all."""


class _Planner:
    def __init__(self, jobs: Sequence[Job], machine: Machine, limits: Limits, now: float) -> None:
        self.now = now
        self.by_id = {job.id: job for job in jobs}
        self.active = sorted((job for job in jobs if job.state in ACTIVE), key=attrgetter("id"))
        self.line = in_order(jobs)
        self.room = Room(machine, limits.reserved_cpus, limits.reserved_memory, now)
        self.shares = Shares(limits.max_running_per_user, limits.max_gpus_per_user)
        self.gate = Gate(self.line, self.by_id, self.shares, limits.paused, now)
        self.all_gated = bool(limits.paused or limits.max_running_per_user or limits.max_gpus_per_user)
        for job in self.active:
            self.room.take(job, job.gpus, job.cpus, job.memory, limit_end(job, now))
            self.shares.add(job)
        self.starts: List[Start] = []
        self.ends: Dict[int, float] = {job.id: limit_end(job, now) for job in self.active}
        self.gated: FrozenSet[int] = frozenset()
        self.groups: List[_Alike] = []
        self.latest: Dict[Tuple[object, ...], _Alike] = {}
        """By request without its time limit: those that the jobs behind them are like."""

    def plan(self) -> Plan:
        all_gated, holds, latest = self.all_gated, self.gate.holds, self.latest
        for job in self.line:
            # thousands pass here: what few have is asked first
            if (
                all_gated
                or job.after
                or job.begin_at
                or job.array_limit
                or job.cancel_by
                or job.state == HELD
            ) and holds(job):
                continue
            alike = latest.get(job.request[:4])
            if alike is not None and _reach(job) >= alike.reach:
                alike.ids.append(job.id)
            else:
                self._consider(job)
        self.gated = frozenset(self.gate.reasons)
        doomed, reasons = self._reasons()
        expected: Dict[int, Optional[float]] = dict.fromkeys(reasons)
        expected.update(self._expected(reasons))
        return Plan(tuple(self.starts), reasons, expected, doomed, self._wake_at())

    def _consider(self, job: Job) -> None:
        """Start it, or keep things for it, or let it wait with those that ask for the same."""
        request, room, reach, kept = job.request, self.room, 0.0, []
        text = why.unmet(request, room)
        if not text and room.fits(request, ()):
            reach = _reach(job)
            kept = [one for one in room.kept if one.bars(self.now + reach)]
            if room.fits(request, kept):
                self._start(job, kept)
                return
        alike = _Alike(job, reach, kept, text)
        self.groups.append(alike)
        if not text and len(room.kept) < _KEEPERS and room.keep(job):
            self.shares.add(job, kept=True)
        else:
            self.latest[request[:4]] = alike

    def _start(self, job: Job, kept: Sequence[Kept]) -> None:
        gpus, cpus = self.room.place(job.request, kept)
        self.starts.append(Start(job.id, gpus, cpus, job.request.memory))
        self.ends[job.id] = self.now + _limit(job)
        self.room.take(job, gpus, cpus, job.request.memory, self.ends[job.id])
        self.shares.add(job)

    def _reasons(self) -> Tuple[Dict[int, str], Dict[int, str]]:
        """(of the doomed, of those that wait)."""
        room, doomed, reasons = self.room, self.gate.doomed, self.gate.reasons
        gpus: Dict[Tuple[object, ...], str] = {}
        for alike in self.groups:
            request = alike.request
            key = request[:2]
            if key not in gpus:
                gpus[key] = why.lacking_gpus(room, request)
            text = alike.text or gpus[key] or why.lacking_rest(room, request)
            text = text or why.behind(room, request, alike.kept)
            over = bool(alike.text) and why.shrunk(request, room)
            (doomed if over else reasons).update(dict.fromkeys(alike.ids, text))
        if room.kept:
            ahead = room.kept[0]
            reasons[ahead.job.id] += f"; {why.first(room, ahead)}"
        return doomed, reasons

    def _expected(self, reasons: Dict[int, str]) -> Dict[int, Optional[float]]:
        """For the first in the line."""
        expected: Dict[int, Optional[float]] = {}
        told, forecast = self.gate.foreseeable, Forecast(self.room, self.ends)
        gated = self.gated
        for job in self.line:
            if job.id not in reasons or (job.id in gated and job.id not in told):
                continue
            expected[job.id] = forecast.add(job, open_after(job, self.by_id), job.id not in gated)
            if len(expected) == FIRST:
                break
        return expected

    def _wake_at(self) -> Optional[float]:
        """The next begin time or limit; soon where GPUs that nothing tells of are waited for."""
        wakes = self.gate.times + [job.ends_at for job in self.active if job.ends_at is not None]
        outside = self.room.machine.error or any(self.room.outside(gpu) for gpu in self.room.machine.gpus)
        if outside and any(alike.request.gpus for alike in self.groups):
            wakes.append(self.now + LOOK_AGAIN)
        return min((when for when in wakes if when > self.now), default=None)


def _limit(job: Job) -> float:
    return NEVER if job.request.time_limit is None else job.request.time_limit


def _reach(job: Job) -> float:
    """Seconds after which it is surely gone: its limit, and what it may take to heed the signal."""
    limit = job.request.time_limit
    return NEVER if limit is None else limit + job.spec.grace
