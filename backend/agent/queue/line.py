"""The line of waiting jobs: its order, and who may not start yet for another reason than resources."""

from __future__ import annotations

from operator import attrgetter
from typing import Dict, Iterable, List, Sequence, Set

from . import why
from .jobs import ENDED, HELD, QUEUED, Job


def in_order(jobs: Iterable[Job]) -> List[Job]:
    """The waiting ones: higher priority first, then by position, then by number."""
    line = [job for job in jobs if job.state in (QUEUED, HELD)]
    line.sort(key=attrgetter("id"))
    line.sort(key=attrgetter("position"))
    line.sort(key=attrgetter("priority"), reverse=True)  # stable: equals stay in order
    return line


class Shares:
    """What each person, and each array, has of what they may have.

    Jobs that things are kept for count like running ones: what a later job of the same person took could
    not be had by the one that is ahead of it.
    """

    def __init__(self, running: int, gpus: int) -> None:
        """The limits for one person; 0 is none."""
        self._max_running = running
        self._max_gpus = gpus
        self._running: Dict[str, int] = {}
        self._gpus: Dict[str, int] = {}
        self._arrays: Dict[int, int] = {}
        self._ahead: Dict[str, List[Job]] = {}
        """Those of each person that things are kept for."""

    def add(self, job: Job, kept: bool = False) -> None:
        """It runs, or is going to before those behind it."""
        self._running[job.owner] = self._running.get(job.owner, 0) + 1
        self._gpus[job.owner] = self._gpus.get(job.owner, 0) + max(len(job.gpus), job.request.gpus)
        if job.array:
            self._arrays[job.array] = self._arrays.get(job.array, 0) + 1
        if kept:
            self._ahead.setdefault(job.owner, []).append(job)

    def over(self, job: Job) -> str:
        """The sentence where it would be too many; empty if it may start."""
        ahead = self._ahead.get(job.owner, [])
        text = self._array_full(job, ahead) if job.array_limit and job.array else ""
        if text:
            return text
        running, gpus = self._running.get(job.owner, 0), self._gpus.get(job.owner, 0)
        if not self._over(job, running, gpus):
            return ""
        text = self._over(job, running - len(ahead), gpus - _gpus(ahead))
        return text or f"job {ahead[0].id} of {job.owner} goes first"

    def _array_full(self, job: Job, ahead: Sequence[Job]) -> str:
        all_ = self._arrays.get(job.array, 0)
        if all_ < job.array_limit:
            return ""
        same = [one.id for one in ahead if one.array == job.array]
        running = all_ - len(same)
        if not same or running >= job.array_limit:
            run = "runs" if running == 1 else "run"
            return f"{why.number(running, 'job')} of its array {run}, {job.array_limit} may at a time"
        return f"job {same[0]} of its array goes first, {job.array_limit} may at a time"

    def _over(self, job: Job, running: int, gpus: int) -> str:
        if 0 < self._max_running <= running:
            return f"{job.owner} runs {why.number(running, 'job')}, as many as one person may"
        if 0 < self._max_gpus < gpus + job.request.gpus and job.request.gpus:
            return (
                f"{job.owner} uses {why.number(gpus, 'GPU')}, one person may use {self._max_gpus}"
                if gpus
                else f"asks for {why.number(job.request.gpus, 'GPU')}; one person may use {self._max_gpus}"
            )
        return ""


class Gate:
    """Holds back what waits for a person, a time, other jobs or a limit, and says why."""

    def __init__(
        self, line: Sequence[Job], by_id: Dict[int, Job], shares: Shares, paused: str, now: float
    ) -> None:
        self._by_id = by_id
        self._shares = shares
        self._paused = paused
        self._now = now
        self._circles = circles(line, by_id)
        self.reasons: Dict[int, str] = {}
        self.doomed: Dict[int, str] = {}
        self.foreseeable: Set[int] = set()
        """Those of `reasons` that wait for a time or for jobs only: their turn may be told."""
        self.times: List[float] = []
        """Begin times to come."""

    def holds(self, job: Job) -> bool:
        """Whether it may not start even where there is enough of everything."""
        reason = self._person(job)
        if not reason and job.after:
            if self._in_vain(job):
                return True
            reason = why.waits_for(job, self._by_id)
            if reason:
                self.foreseeable.add(job.id)
        if not reason and job.begin_at is not None and job.begin_at > self._now:
            reason = "waits for its start time"
            self.times.append(job.begin_at)
            self.foreseeable.add(job.id)
        if not reason:
            reason = f"paused by {self._paused}" if self._paused else self._shares.over(job)
        if reason:
            self.reasons[job.id] = reason
        return bool(reason)

    def _person(self, job: Job) -> str:
        if job.cancel_by:
            return f"is being cancelled by {job.cancel_by}"
        return "held" if job.state == HELD else ""

    def _in_vain(self, job: Job) -> bool:
        text = why.in_vain(job, self._by_id)
        if not text and job.id in self._circles:
            text = f"it was to wait for itself, by way of {why.jobs(sorted(self._circles - {job.id}))}"
        if text:
            self.doomed[job.id] = text
        return bool(text)


def open_after(job: Job, by_id: Dict[int, Job]) -> List[int]:
    """The jobs it waits for that have not ended."""
    return [one for one, _ in job.after if one in by_id and by_id[one].state not in ENDED]


def circles(line: Sequence[Job], by_id: Dict[int, Job]) -> Set[int]:
    """Jobs that wait for each other in a circle (and those between two circles)."""
    waits = {job.id: open_after(job, by_id) for job in line if job.after}
    waits = {one: [other for other in others if other in waits] for one, others in waits.items()}
    left = _peeled(waits)  # circles, and who waits for them
    awaits: Dict[int, List[int]] = {one: [] for one in left}
    for one in left:
        for other in waits[one]:
            if other in left:
                awaits[other].append(one)
    return _peeled(awaits)


def _peeled(edges: Dict[int, List[int]]) -> Set[int]:
    """What is left when those without an edge to any that is left are taken away, again and again."""
    back: Dict[int, List[int]] = {one: [] for one in edges}
    count = {one: len(others) for one, others in edges.items()}
    for one, others in edges.items():
        for other in others:
            back[other].append(one)
    loose = [one for one, others in count.items() if not others]
    left = set(edges)
    while loose:
        gone = loose.pop()
        left.discard(gone)
        for one in back[gone]:
            count[one] -= 1
            if not count[one]:
                loose.append(one)
    return left


def _gpus(jobs: Iterable[Job]) -> int:
    return sum(job.request.gpus for job in jobs)
