"""The machine as the keeper reads it: in a thread, for a GPU driver may hang."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Set

from ..background import Worker
from ..loop import Loop
from .enginelink import EngineLink
from .machine import MAX_AGE, Machine, MachineWatch
from .others import Others
from .tasks import Answer, Wait

_SLOW = 2.0
"""Seconds that a plan waits for what the engine says of other containers."""
_NEVER = float("inf")


class Machines:
    """Reads the machine together with what runs on it beside the queue's own jobs."""

    def __init__(self, loop: Loop, engine: EngineLink, fault: Callable[[str, BaseException], Any]) -> None:
        self._loop = loop
        self._fault = fault
        self._watch = MachineWatch()
        self._worker = Worker(loop, "machine")
        self._others = Others(engine, fault)
        self._others.on_change = self._others_known
        self._known: List[Callable[[], Any]] = []
        self._last = Machine(cpus=())
        self.on_change: Callable[[], Any] = lambda: None
        """Somebody else took a GPU, or let it go."""

    def listed(self, listed: List[Any], ours: Set[str]) -> None:
        """The engine's list of all containers."""
        self._others.replace(listed, ours)

    def event(self, action: str, key: str) -> None:
        """Something happened to a container that is not the queue's."""
        if self._others.event(action, key):
            self.on_change()

    def read(self, gpus: bool, ours: Iterable[str]) -> Wait:
        """The Machine now. Without `gpus` no driver is asked. `ours` are the queue's own containers."""
        mine = [key for key in ours if key]

        def start(answer: Answer) -> None:
            asked = False

            def known() -> None:
                nonlocal asked
                if asked:
                    return
                asked = True
                timer.cancel()
                others = list(self._others.entries.values())
                age = MAX_AGE if gpus else _NEVER
                self._work(
                    lambda: self._watch.read(others, age, mine), lambda found: self._have(found, answer)
                )

            timer = self._loop.later(_SLOW, known)
            if gpus and self._others.unseen:
                self._known.append(known)
                self._others.look()
            else:
                known()

        return Wait(start)

    def utilisation(self, answer: Callable[[Dict[str, float]], Any]) -> None:
        """The GPUs' utilisation in percent, by UUID; nothing where it cannot be told."""
        self._work(self._watch.utilisation, lambda found: answer(found or {}))

    def _others_known(self) -> None:
        waiting, self._known = self._known, []
        for known in waiting:
            known()

    def _have(self, found: Optional[Machine], answer: Answer) -> None:
        if found is None:
            found = self._last._replace(error="the machine cannot be read")
        self._last = found
        answer(found)

    def _work(self, work: Callable[[], Any], done: Callable[[Any], Any]) -> None:
        """In the thread, one after the other."""

        def finished(result: Any, error: Optional[BaseException]) -> None:
            if error is not None:
                self._fault("machine", error)
            done(result)

        if not self._worker.run(work, finished):
            self._loop.later(0.01, lambda: self._work(work, done))
