"""One attempt of one job: from its booking, through its container, to its recorded end.

Every step can be the last one before a crash. What was done so far is in the engine (a container of that
name, created, running or ended), and `recover` goes on from there with a new Run.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Optional, Sequence, Tuple

from ..http_unix import Reply
from . import container, jobs, questions, remains, verdict
from .clocks import Clocks
from .container import Found, SpecError
from .enginelink import words
from .jobs import Job
from .machine import Gpu
from .remains import elapsed
from .tasks import Task, sleep
from .verdict import CANCELLED

_AGAIN = 5.0
"""Seconds between two SIGKILLs to a container that does not end (a process stuck in a driver)."""
_BY_HAND = 60.0
"""Seconds in which a container's end belongs to a signal that somebody sent it through the engine."""
_NO_END = frozenset({"SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH", "SIGCHLD", "10", "12", "17", "18", "28"})
"""Signals that are messages."""
_LOOK = 1.0
"""Seconds between two looks for processes that the engine knows nothing of."""


class Run:
    """Drives one attempt. All methods are called from the loop."""

    def __init__(self, crew: Any, job: Job, gpus: Sequence[Gpu] = ()) -> None:
        """`crew` is the keeper's `Crew`: engine, store, loop."""
        self._crew = crew
        self.job = job
        self._gpus = gpus
        self.container = job.container
        self.running = False
        self.begun = False
        """It was booked by this keeper, which knows what it was given."""
        self.over = False
        """Its end is recorded, or waits to be written."""
        self._ending = False
        """It has ended; how is being found out."""
        self._cause = ""
        self._task: Optional[Task] = None
        self._stopper: Optional[Task] = None
        self._clocks = Clocks(crew, self._warn, self.stop)
        self._died: Optional[int] = None
        self._oom = False
        self._unseen = False
        """The engine does not see its end."""
        self._outlives = False
        """Its processes run though the engine does not know it: no request reaches them."""
        self._killed: Dict[str, Any] = {}
        self._began = 0.0
        """When it started, on the monotonic clock."""

    @property
    def key(self) -> Tuple[int, int]:
        """(job, attempt)."""
        return (self.job.id, self.job.attempt)

    @property
    def elapsed(self) -> float:
        """Seconds since it started, whatever happened to the clock on the wall."""
        return time.monotonic() - self._began if self.running else 0.0

    # -- the beginning

    def begin(self) -> None:
        """Make its container and start it."""
        self.begun = True
        self._task = self._work(self._begin())

    def resume(self, found: Found, doubt: str = "", *, unseen: bool = False) -> None:
        """Go on from the container that is there.

        `doubt`: why the engine's record of it may be wrong. `unseen`: it was started by an engine that is
        gone, so that this one may not see its end.
        """
        self.container = found.id
        self._oom = found.oom
        if found.ended:
            self._task = self._work(self._end(None if doubt else found.exit_code, doubt))
        elif found.running:
            self._unseen = unseen and remains.gone(found.pid)
            self._is_running(found)
        elif doubt:
            self._record(*self._verdict(None, doubt))
        else:
            self._task = self._work(self._start())

    def outlive(self, found: Found) -> None:
        """It runs, and the engine knows nothing of it: what it was given is not free before it is over."""
        self.container = found.id
        self._outlives = True
        self._is_running(None)
        self._task = self._work(self._outlive())

    async def _outlive(self) -> None:
        while remains.processes(self.container):
            await sleep(self._crew.loop, _LOOK)
        self._record(*self._verdict(None, verdict.UNSEEN))

    def suspend(self) -> None:
        """The engine went away: nothing can be done before it is back. Its time runs on."""
        for task in (self._task, self._stopper):
            if task is not None:
                task.cancel()
        self._task = self._stopper = None
        self._outlives = False
        if self._ending:
            self._ending = False
            self._killed = {}  # it was the engine that ended, and took its containers along

    def close(self) -> None:
        """Forget everything; the container is left as it is."""
        self.suspend()
        self._clocks.disarm()

    async def _begin(self) -> None:
        engine, job = self._crew.engine, self.job
        image: Optional[Dict[str, Any]] = None
        if job.spec.outfile:
            image = await questions.config(engine, job.spec.image)
            if image is None:
                return
        try:
            wanted = container.body(job, self._crew.queue_id, self._gpus, image)
        except SpecError as error:
            self._record(jobs.FAILED, None, str(error))
            return
        wanted["HostConfig"]["Init"] = self._crew.has_init
        name = container.name(self._crew.queue_id, job)
        reply = await questions.create(engine, name, wanted, self._gpus)
        if self._lacks_init(reply):
            wanted["HostConfig"]["Init"] = False
            reply = await questions.create(engine, name, wanted, self._gpus)
        if reply.error is not None:
            return
        if reply.status == 201:
            self.container = str(questions.data(reply).get("Id") or name)
            await self._start()
        else:
            await self._not_made(name, words(reply))

    async def _not_made(self, name: str, said: str) -> None:
        """Its name may be taken, by a container that an earlier keeper asked for."""
        reply, found = await questions.look(self._crew.engine, name)
        if found is not None and (found.queue, found.job, found.attempt) == (self._crew.queue_id, *self.key):
            self.resume(found)
        elif reply.error is None:
            self._could_not(said, None)

    async def _start(self) -> None:
        if self._cause:  # somebody changed their mind meanwhile
            self._record(*self._verdict(None, ""))
            return
        reply = await self._crew.engine.ask("POST", f"/containers/{self.container}/start")
        if reply.error is not None:
            return
        if self._lacks_init(reply):
            await self._crew.engine.ask("DELETE", f"/containers/{self.container}?v=1")
            self.container = ""
            await self._begin()
            return
        if reply.status in (204, 304):
            self._is_running(None)
        else:
            said = f"the engine could not start it: {words(reply)}"
            look, found = await questions.look(self._crew.engine, self.container)
            if look.error is None and look.status == 404:  # else it is its network that is not there
                said = "its container was removed before it started"
            self._could_not(said, found.exit_code if found is not None and found.exit_code else None)

    def _lacks_init(self, reply: Reply) -> bool:
        """Whether it failed only because the engine's host has no init for containers (tini, catatonit).

        Without one a job's own shell is process 1, which heeds no signal that it does not catch.
        """
        lacks = self._crew.has_init and reply.status >= 400 and b"-init" in reply.body
        if lacks:
            self._crew.has_init = False
        return lacks

    def _could_not(self, said: str, code: Optional[int]) -> None:
        state, code, error = self._verdict(code, said)
        self._record(jobs.FAILED if state == jobs.COMPLETED else state, code, error)

    def _is_running(self, found: Optional[Found]) -> None:
        if not self.running:
            self._began = time.monotonic() - (elapsed(found) if found is not None else 0.0)
        self.running = True
        started = found.started_at if found is not None else None
        self._crew.started(self, started)
        self._clocks.arm(self.job, self.elapsed)
        if self._died is not None and not self._ending:
            self._task = self._work(self._end(self._died))  # it was told before it was known to run
        elif self._cause:
            self._pursue()
        elif self.job.spec.idle_limit and not self._clocks.idle:
            self._work(self._watch_idle(self.job.spec.idle_limit))

    # -- time

    async def _watch_idle(self, limit: float) -> None:
        _, found = await questions.look(self._crew.engine, self.container)
        if found is not None and found.running and not self.over and not self._clocks.idle:
            self._clocks.watch_idle(self.job, limit, found)

    def _warn(self) -> None:
        self._work(self._signal(self.job.spec.warn_signal))

    def edited(self, job: Job) -> None:
        """The job's row changed: its limits, or somebody asked for its end."""
        limit = self.job.request.time_limit
        self.job = job
        if self.running and limit != job.request.time_limit:
            self._clocks.arm(job, self.elapsed)
        if job.cancel_by:
            self.stop(CANCELLED)

    # -- the end

    def stop(self, cause: str) -> None:
        """End it: its stop signal, then SIGKILL after its grace. The first cause counts."""
        if not self._cause and not self.over:
            self._cause = cause
            if self.running:
                self._pursue()

    def _pursue(self) -> None:
        if self._stopper is None or self._stopper.done:
            self._stopper = self._work(self._stop())

    async def _stop(self) -> None:
        await self._signal(self.job.spec.stop_signal)
        await sleep(self._crew.loop, max(0.0, self.job.spec.grace))
        while not self.over:
            await self._signal("SIGKILL")
            await sleep(self._crew.loop, _AGAIN)

    async def _signal(self, signal: str) -> None:
        if self._outlives:
            remains.end(remains.processes(self.container), signal)
            return
        await questions.signal(self._crew.engine, self.container, signal)

    def event(self, action: str, about: Dict[str, str]) -> None:
        """The engine told something of its container."""
        if action == "oom":
            self._oom = True
        elif action == "kill" and not self._cause and about.get("signal") not in _NO_END:
            self._killed = {"signal": about.get("signal"), "at": time.monotonic()}
        elif action == "die" and not self.over and not self._ending:
            code = _number(about.get("exitCode", about.get("containerExitCode")))
            if not self.running:
                self._died = code
            else:
                self._task = self._work(self._end(code))
        elif action == "destroy" and self.running and not self.over and not self._ending:
            self.vanished()

    def check(self) -> None:
        """Look whether it still runs: the engine tells of each end, but once, and only to who listens."""
        if self.running and not (self.over or self._ending or self._outlives):
            self._work(self._check())

    async def _check(self) -> None:
        reply, found = await questions.look(self._crew.engine, self.container)
        if self.over or self._ending:
            return
        if reply.error is None and reply.status == 404:
            self.vanished()
        if found is None or not found.ended:
            return
        why = verdict.doubt(found, None, ran=True)
        self._task = self._work(self._end(None if why else found.exit_code, why))

    def vanished(self) -> None:
        """Its container is gone, and nobody saw how it ended."""
        self._record(*self._verdict(None, verdict.REMOVED))

    async def _end(self, code: Optional[int], said: str = "") -> None:
        """Record its end. What the event says is the engine's own word and comes at once; only an end by
        SIGKILL is looked at more closely, which takes as long as the engine tidies up."""
        self._ending = True
        if not said and (code is None or self._suspicious(code)):
            _, found = await questions.look(self._crew.engine, self.container)
            if found is not None and found.ended:
                code = found.exit_code
                self._oom = self._oom or found.oom
                said = found.error or verdict.doubt(found, None, ran=True)
        if self._unseen and code in verdict.MADE_UP:
            code, said = None, said or verdict.UNSEEN
        self._record(*self._verdict(code, said))

    def _suspicious(self, code: int) -> bool:
        """Whether somebody, or the kernel, may have ended it."""
        return not self._cause and bool(self._killed or (code == 137 and not self._oom))

    def _verdict(self, code: Optional[int], said: str) -> Tuple[str, Optional[int], str]:
        """State, exit code and error of its end."""
        recent = bool(self._killed) and time.monotonic() - self._killed["at"] < _BY_HAND
        by_hand = str(self._killed.get("signal") or "?") if recent else ""
        return verdict.verdict(self.job, self._cause, code, said, oom=self._oom, by_hand=by_hand)

    def _record(self, state: str, code: Optional[int], error: str) -> None:
        self.over = True
        self._clocks.disarm()
        if self._stopper is not None:
            self._stopper.cancel()
        self._crew.ended(self, state, code, error)

    def _work(self, coroutine: Any) -> Task:
        return Task(coroutine, lambda error: self._crew.fault(f"job {self.job.id}", error))


def _number(text: Any) -> Optional[int]:
    try:
        return int(text)
    except (TypeError, ValueError):
        return None
