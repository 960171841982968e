"""The keeper: plans, books, starts and records, as long as there is anything to do.

It does nothing by itself. What wakes it: the engine's events, the doorbell that everybody rings who changed
the database, the plan's own time, and the end of the standby.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import time
from typing import TYPE_CHECKING, Dict, Optional, Sequence, Tuple

from ..loop import Loop, Timer
from . import waiting as standing
from .crew import Crew
from .disk import Disk
from .doorbell import Doorbell
from .enginelink import EngineLink, words
from .errors import FailedError, QueueError
from .jobs import ACTIVE, QUEUED, WAITING, Job
from .journal import Journal
from .machines import Machines
from .memory import Memory
from .place import Place
from .plan import Plan, plan
from .recover import ours, recover
from .retention import Retention
from .store import Store
from .store.outside import RECOVERED
from .tasks import Task
from .tidy import Tidy

if TYPE_CHECKING:
    from .standby import Standby

_LINGER = 2.0
"""Seconds without a job until the keeper leaves: bursts find it there."""
_PATIENCE = 15.0
"""Seconds that a keeper without a job waits for an engine: an earlier one may have left containers."""
_AGAIN = 1.0
"""Seconds until the database is tried again."""
_DEAF = 2.0
"""Seconds between two looks at the database while nobody can ring."""
_QUIET = 1.0
"""Seconds after a look until memory that it took is given back."""
_NOISY = 30.0
"""Seconds for which that waits where there is always something to look at."""
_CHECK = 300.0
"""Seconds between two looks whether what runs still does, in case its end was told and not heard."""
_LONGEST = 60.0
"""Seconds until the clock on the wall is looked at again where something waits for a time: it may be set."""
_RESTLESS = 5.0
"""Seconds between two new standbys where they do not live."""


class Keeper:
    """One at a time on a host: it has the lock."""

    def __init__(self, place: Place, lock: int, behind: "Standby") -> None:
        self._place = place
        self._lock = lock
        self._standby = behind
        self._journal = Journal(place)
        self._loop = Loop(self._fault)
        self._engine = EngineLink(self._loop, place.socket)
        self._store: Optional[Store] = None
        self._crew: Optional[Crew] = None
        self._checked = False
        self._whole = False
        """Database and engine agree, and events tell of every change."""
        self._machines = Machines(self._loop, self._engine, self._fault)
        self._machines.on_change = self.changed
        self._tidy = self._make_tidy()
        self._bell: Optional[Doorbell] = None
        self._dirty = False
        self._cycle: Optional[Task] = None
        self._wake: Optional[Timer] = None
        self._retry: Optional[Timer] = None
        self._leaving: Optional[Timer] = None
        self._renewed = time.monotonic()
        self._memory = Memory()
        self._retention = Retention(self._loop, place, self._fault)
        self._disk = Disk(self._loop, place, self._fault)
        self._quiet: Optional[Timer] = None
        self._noisy_since = 0.0

    def run(self) -> None:
        """Keep the queue until nothing is left to do. The lock is free afterwards, or somebody else's."""
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the standby takes over
        self._journal.write("keeps the queue")
        self._hang_bell()
        self._loop.watch(self._standby.pipe, read=self._standby_gone)
        self._engine.on_up = self._engine_up
        self._engine.on_down = self._engine_down
        self._engine.on_event = self._event
        self._engine.start()
        self._loop.later(_CHECK, self._check)
        self.changed()
        self._loop.run()
        self._journal.write("leaves")

    def _make_tidy(self) -> Tidy:
        def saved(job: Job, log: str, why: str) -> None:
            if self._crew is not None and self._store is not None:
                store = self._store
                self._crew.write(lambda: store.saved(job.id, job.attempt, log, why))

        def kept(job: Job, why: str) -> None:
            if self._crew is not None and self._store is not None:
                store = self._store
                self._crew.write(lambda: store.unsaved(job.id, job.attempt, why))

        tidy = Tidy(self._loop, self._engine, self._place)
        tidy.on_saved, tidy.on_kept, tidy.on_done, tidy.fault = saved, kept, self.changed, self._fault
        return tidy

    # -- what wakes it

    def changed(self) -> None:
        """Something may start, or has to end: look at everything, once, soon."""
        if not self._dirty:
            self._dirty = True
            self._loop.post(self._look)

    def _written(self) -> None:
        """What the engine told is in the database."""
        self._disk.sync()
        self.changed()

    def _hang_bell(self) -> None:
        """Listen; where that does not work (a full disk), look by ourselves until it does."""
        try:
            bell = self._bell = Doorbell(self._place)
        except OSError as error:
            self._fault("doorbell", error)
            self._loop.later(_DEAF, self._hang_bell)
        else:
            self._loop.watch(bell.fileno(), read=lambda: self._rung(bell))
        self.changed()

    def _rung(self, bell: Doorbell) -> None:
        bell.drain()
        self.changed()

    def _standby_gone(self) -> None:
        self._loop.watch(self._standby.pipe)
        wait = max(0.0, self._renewed + _RESTLESS - time.monotonic())
        self._loop.later(wait, self._renew_standby)

    def _renew_standby(self) -> None:
        self._renewed = time.monotonic()
        self._standby.renew()
        self._loop.watch(self._standby.pipe, read=self._standby_gone)

    def _engine_up(self) -> None:
        self._journal.write(f"the engine answers at {self._engine.path}")
        self._whole = False
        self.changed()

    def _engine_down(self, why: str) -> None:
        self._journal.write(f"the engine is gone: {why}")
        self._whole = False
        if self._crew is not None:
            self._crew.suspend()
        self.changed()

    def _event(self, action: str, key: str, about: Dict[str, str]) -> None:
        if self._crew is None or not self._crew.event(action, key, about):
            self._machines.event(action, key)

    # -- one look at everything

    def _look(self) -> None:
        if self._cycle is None or self._cycle.done:
            self._cycle = Task(self._looks(), self._failed)

    async def _looks(self) -> None:
        while self._dirty:
            self._dirty = False
            await self._one_look()
        now = time.monotonic()
        if self._quiet is None:
            self._noisy_since = now
        elif now - self._noisy_since > _NOISY:
            return
        else:
            self._quiet.cancel()
        self._quiet = self._loop.later(_QUIET, self._give_back)

    def _check(self) -> None:
        self._loop.later(_CHECK, self._check)
        if self._crew is not None and self._whole and self._engine.up:
            self._crew.check()

    def _give_back(self) -> None:
        self._quiet = None
        try:
            self._disk.quiet()
            if self._whole:
                self._retention.quiet(lambda: self._store)
        except (QueueError, sqlite3.Error) as error:
            self._fault("database", error)
        self._memory.give_back()

    def _failed(self, error: BaseException) -> None:
        """The database, mostly: try again."""
        self._fault("keeper", error)
        self._dirty = False  # what was told meanwhile is seen then; as long as it is set, nothing looks again
        self._later()

    def _later(self) -> None:
        """Look again by ourselves; once, however many looks have failed."""
        if self._retry is None:

            def again() -> None:
                self._retry = None
                self.changed()

            self._retry = self._loop.later(_AGAIN, again)

    async def _one_look(self) -> None:
        if not standing.current(self._place.path, self._lock):
            self._journal.write("the lock was taken away: somebody removed it")
            self._loop.stop()
            return
        store, crew = self._opened()
        unfinished = store.unfinished()
        if store.queue_id != crew.queue_id:  # another file has the name now
            self._forget()
            self.changed()
            return
        if not unfinished and not crew.busy and (self._whole or not self._engine.up):
            self._rest()
            return
        self._stay()
        if not self._engine.up:
            self._away(unfinished)
            return
        if not self._whole:
            await self._recover(crew)
            unfinished = store.unfinished()
        crew.edited([job for job in unfinished if job.state in ACTIVE])
        waiting = [job for job in unfinished if job.state in WAITING]
        if waiting and crew.settled and self._whole:
            await self._plan(store, crew, waiting)

    def _opened(self) -> Tuple[Store, Crew]:
        """The database, and who works with it. Raises QueueError and what SQLite does."""
        if self._store is None:
            self._store = Store.open(self._place, check=not self._checked)
            self._checked = True
        if self._crew is None:
            crew = self._crew = Crew(
                self._loop, self._engine, self._store, self._tidy, self._machines.utilisation
            )
            crew.fault = self._fault
            crew.on_change = self._written
            self._store.leave_checkpoints()
            self._whole = False
        return self._store, self._crew

    def _forget(self) -> None:
        """The database is another one: what is running is taken into it as if this keeper were new."""
        self._journal.write("another database")
        if self._crew is not None:
            for key in list(self._crew.runs):
                self._crew.drop(key)
        self._crew = None

    async def _recover(self, crew: Crew) -> None:
        version = await self._engine.ask("GET", "/version")
        self._engine.podman = b"odman" in version.body
        reply = await self._engine.ask("GET", "/containers/json?all=1")
        if reply.error is None and reply.status != 200:  # nothing else would wake us
            self._fault("engine", FailedError(f"it cannot list its containers: {words(reply)}"))
            self._later()
            return
        if reply.error is not None or crew is not self._crew:
            return
        listed = json.loads(reply.body)
        found = ours(listed, crew.ids)
        self._machines.listed(listed, {one.id for one in found})
        self._whole = True  # a container that comes from now on is told by an event
        try:
            await recover(crew, found)
            if not crew.store.remembered(RECOVERED):
                crew.store.remember(RECOVERED, "1")
        except BaseException:
            self._whole = False
            raise

    def _away(self, unfinished: Sequence[Job]) -> None:
        """Nothing starts while the engine is not there; people are told why."""
        if self._store is not None and self._engine.why:
            text = f"the container engine does not answer: {self._engine.why}"
            self._store.set_waiting({job.id: text for job in unfinished if job.state == QUEUED})

    # -- planning

    async def _plan(self, store: Store, crew: Crew, waiting: Sequence[Job]) -> None:
        machine = await self._machines.read(any(job.request.gpus for job in waiting), crew.containers)
        now = time.time()
        unfinished = [self._timed(crew, job, now) for job in store.unfinished()]
        wanted = {number for job in unfinished if job.state in WAITING for number, _ in job.after}
        found = plan([*unfinished, *store.needed(wanted)], machine, store.limits(), now)
        if not self._engine.up or not self._whole:
            return
        if found.starts:
            booked = store.book(found.starts, now, machine.memory)
            gpus = {gpu.id: gpu for gpu in machine.gpus}
            for job in booked:
                crew.begin(job, [gpus[one] for one in job.gpus if one in gpus])
        if found.doomed:
            store.doom(found.doomed, now)
            self.changed()
        self._loop.post(lambda: self._tell(found))
        self._wake_at(found.wake_at)

    @staticmethod
    def _timed(crew: Crew, job: Job, now: float) -> Job:
        """The job as if the clock on the wall had never been set: what is left of its time decides."""
        run = crew.runs.get((job.id, job.attempt))
        if job.state in ACTIVE and run is not None and run.running:
            return job._replace(started_at=now - run.elapsed)
        return job

    def _tell(self, found: Plan) -> None:
        """What the plan says of those that wait; after the others were started."""
        try:
            if self._store is not None:
                self._store.set_waiting(found.reasons, found.expected)
        except (QueueError, sqlite3.Error) as error:
            self._fault("database", error)

    def _wake_at(self, when: Optional[float]) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if when is not None:
            delay = min(_LONGEST, max(0.05, when - time.time()))
            self._wake = self._loop.later(delay, self.changed)

    # -- leaving

    def _rest(self) -> None:
        """Nothing is left to do: leave soon, unless something comes."""
        if self._wake is not None:
            self._wake.cancel()
        if self._leaving is None:
            self._leaving = self._loop.later(_LINGER if self._whole else _PATIENCE, self._leave)

    def _stay(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def _leave(self) -> None:
        """Let go of the lock, and look once more: a job that came meanwhile saw the lock held."""
        self._leaving = None
        self._loop.watch(self._standby.pipe)
        self._standby.end()
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        try:
            idle = self._store is None or not self._store.unfinished()
            if not idle:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            idle = True  # somebody else keeps it by now
        except (QueueError, sqlite3.Error) as error:
            self._fault("database", error)
            idle = True
        if idle:
            self._loop.stop()
            return
        self._renew_standby()
        self.changed()

    def _fault(self, where: str, error: BaseException) -> None:
        self._journal.fault(where, error)
