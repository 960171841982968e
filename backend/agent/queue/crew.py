"""All attempts under way: what the engine's events mean for them, and what is written about them."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Tuple

from ..loop import Loop
from . import container, jobs
from .enginelink import EngineLink
from .errors import QueueError
from .idle import Utilisation
from .jobs import Job
from .machine import Gpu
from .runs import Run
from .store import Store
from .tasks import Task
from .tidy import Tidy

_AGAIN = 0.5
"""Seconds until something is written again that could not be (a full disk, a locked database)."""

Key = Tuple[int, int]


class Crew:
    """The runs by (job, attempt)."""

    def __init__(
        self, loop: Loop, engine: EngineLink, store: Store, tidy: Tidy, utilisation: Utilisation
    ) -> None:
        self.loop = loop
        self.engine = engine
        self.store = store
        self.queue_id = store.queue_id
        self.ids = frozenset({store.queue_id, *store.former})
        """Those of lost databases of this folder too: numbers of jobs are never given twice."""
        self.utilisation = utilisation
        self.tidy = tidy
        self.has_init = True
        """Whether the engine's host has an init for containers."""
        self.runs: Dict[Key, Run] = {}
        self.on_change: Callable[[], Any] = lambda: None
        """Something was written: others may start."""
        self.fault: Callable[[str, BaseException], Any] = lambda where, error: None
        self._early: Optional[Dict[str, Key]] = {}
        """Containers that came before recovery knew what is what; None afterwards."""
        self._unwritten: Deque[Callable[[], Any]] = deque()

    @property
    def settled(self) -> bool:
        """Whether the database tells all that happened."""
        return not self._unwritten

    @property
    def containers(self) -> List[str]:
        """Those of all attempts under way."""
        return [run.container for run in self.runs.values()]

    @property
    def busy(self) -> bool:
        """Whether anything is still to be done."""
        return bool(self.runs or self._unwritten or self.tidy.busy)

    def begin(self, job: Job, gpus: Sequence[Gpu]) -> None:
        """Start a job that was booked."""
        run = self.runs[job.id, job.attempt] = Run(self, job, gpus)
        run.begin()

    def adopt(self, job: Job) -> Run:
        """The run of an active job, which may be known already; its `resume` or `vanished` has to follow."""
        run = self.runs.get((job.id, job.attempt))
        if run is None:
            run = self.runs[job.id, job.attempt] = Run(self, job)
        run.edited(job)
        return run

    def drop(self, key: Key) -> None:
        """It is no attempt of ours any more; its container is left as it is."""
        run = self.runs.pop(key, None)
        if run is not None:
            run.close()

    def edited(self, active: Sequence[Job]) -> None:
        """Rows as they are now: limits that changed, ends that are asked for."""
        for job in active:
            run = self.runs.get((job.id, job.attempt))
            if run is not None and not run.over:
                run.edited(job)

    def check(self) -> None:
        """Look at all that run."""
        for run in list(self.runs.values()):
            run.check()

    def suspend(self) -> None:
        """The engine is away."""
        for run in self.runs.values():
            run.suspend()
        self.tidy.suspend()
        self._early = {}

    def recovered(self) -> None:
        """Database and engine agree: from now on a container that nobody knows is nobody's."""
        early, self._early = self._early or {}, None
        for container_id, key in early.items():
            if key not in self.runs:
                self._late(container_id)

    # -- what the engine tells

    def event(self, action: str, key: str, about: Dict[str, str]) -> bool:
        """Whether it was about one of ours."""
        run = next((run for run in self.runs.values() if run.container == key), None)
        if run is None and about.get(jobs.LABEL_QUEUE) in self.ids:
            number, attempt = container.numbers(about)
            run = self.runs.get((number, attempt))
            if run is not None and run.container and run.container != key:
                run = None
            if run is None and number and action in ("create", "die"):
                self._unknown(action, key, (number, attempt))
        if run is not None:
            run.event(action, about)
        return run is not None

    def _unknown(self, action: str, container_id: str, key: Key) -> None:
        """A container of ours came or ended, and no attempt under way has it."""
        if action == "create":
            if self._early is None:
                self._late(container_id)
            else:
                self._early[container_id] = key
        elif self._early is None:  # else recovery looks at it
            try:
                row = self.store.get(key[0])
            except (QueueError, sqlite3.Error) as error:
                self.fault("database", error)
                return
            if row is not None and (row.attempt > key[1] or row.state not in jobs.ACTIVE):
                self.tidy.add(row._replace(attempt=key[1]), container_id)

    def _late(self, key: str) -> None:
        """A container that a keeper asked for before it was killed, and that nobody waits for any more."""
        Task(self.tidy.remove(key), lambda error: self.fault("late container", error))

    # -- what runs report

    def started(self, run: Run, at: Optional[float]) -> None:
        """Its container runs."""
        job, key, now = run.job, run.container, at if at is not None else time.time()
        self.write(lambda: self.store.started(job.id, job.attempt, key, now))

    def ended(self, run: Run, state: str, code: Optional[int], error: str) -> None:
        """Its end, which is recorded before anything else starts on what it held."""
        job, now = run.job, time.time()

        def write() -> None:
            try:
                self.store.ended(job.id, job.attempt, state, code, error, now)
            except QueueError as failure:
                if isinstance(failure, OSError):
                    raise  # not now
                self.fault("record", failure)  # it is so already, or of a database that is lost
            self.drop(run.key)
            self.tidy.add(job, run.container)

        self.write(write)

    def write(self, change: Callable[[], Any]) -> None:
        """Change the database, now or as soon as that works; changes keep their order."""
        self._unwritten.append(change)
        if len(self._unwritten) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._unwritten:
            try:
                self._unwritten[0]()
            except (sqlite3.Error, OSError) as error:
                self.fault("database", error)
                self.loop.later(_AGAIN, self._flush)
                return
            except QueueError as error:
                self.fault("record", error)
            self._unwritten.popleft()
        self.on_change()
