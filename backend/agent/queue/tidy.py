"""After a job's end: its output is saved, then its container removed. Never before its end is recorded."""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Dict, Optional, Set, Tuple

from ..background import Worker
from ..loop import Loop
from . import savelog
from .enginelink import EngineLink, words
from .jobs import Job
from .place import Place
from .tasks import Task, sleep

_AGAIN = 30.0
"""Seconds until output is saved again that could not be."""
_OFTEN = 20
"""How often output is tried to be saved before it is left to the next keeper."""
_PAUSES = (0.5, 2.0, 10.0, 30.0)
"""Seconds between two attempts to remove a container."""
_SIDE_BY_SIDE = 2


class Tidy:
    """Saves in threads; long output holds up nobody."""

    def __init__(self, loop: Loop, engine: EngineLink, place: Place) -> None:
        self._loop = loop
        self._engine = engine
        self._place = place
        self._savers = [Worker(loop, "output") for _ in range(_SIDE_BY_SIDE)]
        self._waiting: Deque[Tuple[Job, str]] = deque()
        self._under_way: Set[str] = set()
        self._kept: Dict[str, int] = {}
        """Containers whose output could not be saved, and how often that was tried."""
        self.on_saved: Callable[[Job, str, str], Any] = lambda job, log, why: None
        """Told the file with an attempt's output, or why there is none."""
        self.on_kept: Callable[[Job, str], Any] = lambda job, why: None
        """Told why the output stays in the container."""
        self.on_done: Callable[[], Any] = lambda: None
        self.fault: Callable[[str, BaseException], Any] = lambda where, error: None

    @property
    def busy(self) -> bool:
        """Whether there is anything left to do."""
        trying = any(times < _OFTEN for times in self._kept.values())
        return bool(self._waiting or self._under_way or trying)

    def add(self, job: Job, container: str) -> None:
        """An attempt ended; `container` may be empty."""
        if container and container not in self._under_way:
            self._under_way.add(container)
            self._waiting.append((job, container))
            # what is waited for comes first: the next job's start
            self._loop.post(self._next)

    def suspend(self) -> None:
        """The engine is away; recovery adds what is left again."""
        self._kept.clear()
        for _, container in self._waiting:
            self._under_way.discard(container)
        self._waiting.clear()

    def _next(self) -> None:
        for saver in self._savers:
            if self._waiting and not saver.busy and self._engine.up:
                self._save(saver, *self._waiting.popleft())

    def _save(self, saver: Worker, job: Job, container: str) -> None:
        logs, path, tty = self._place.make_logs(), self._engine.path, job.spec.tty
        target = f"{logs}/{log_name(job)}"

        def done(why: Any, error: Optional[BaseException]) -> None:
            if error is not None:
                self._not_saved(job, container, error)
            else:
                self._kept.pop(container, None)
                outfile = f"its output is in {job.spec.outfile}" if why and job.spec.outfile else why
                self.on_saved(job, "" if why else target, outfile)
                Task(self.remove(container), lambda error: self.fault("remove", error))
            self._next()

        saver.run(lambda: savelog.save(path, container, target, tty), done)

    def _not_saved(self, job: Job, container: str, error: BaseException) -> None:
        """Its output is only in the container now, so that stays."""
        self._under_way.discard(container)
        self.fault(f"output of job {job.id}", error)
        if self._engine.up:  # else all is looked at anew when it is back
            times = self._kept[container] = self._kept.get(container, 0) + 1
            if times == 1:
                self.on_kept(job, f"its output is kept in container {container[:12]}: {error}")
            if times < _OFTEN:
                self._loop.later(_AGAIN, lambda: self.add(job, container))
        self.on_done()

    async def remove(self, container: str) -> None:
        """Remove a container with its own volumes; it may be gone already."""
        self._under_way.add(container)
        for pause in _PAUSES:
            reply = await self._engine.ask("DELETE", f"/containers/{container}?v=1&force=1")
            if reply.error is not None or reply.status < 500:
                break
            self.fault("remove", OSError(words(reply)))  # its folder is in use somewhere, mostly
            await sleep(self._loop, pause)
        self._under_way.discard(container)
        self.on_done()


def log_name(job: Job) -> str:
    """The file with the output of one attempt."""
    return f"{job.id}.log" if job.attempt <= 1 else f"{job.id}.{job.attempt}.log"
