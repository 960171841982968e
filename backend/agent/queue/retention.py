"""Ended jobs are forgotten after a while, with their events and their output: a queue fills no disk.

What is not over, what others wait for, and output that is still in a container are never touched.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Iterable, List, Optional

from ..loop import Loop
from .place import Place
from .store import Store
from .store.outside import log_number

DAY = 86400.0
_MARK = "retention"
"""What the database remembers: when it was gone through last."""
_AT_ONCE = 100
"""Jobs in one step: some milliseconds, in which nothing else is done."""
_PAUSE = 0.2
"""Seconds between two steps."""


class Retention:
    """For the keeper: `quiet` is called whenever it has nothing better to do."""

    def __init__(self, loop: Loop, place: Place, fault: Callable[[str, BaseException], Any]) -> None:
        self._loop = loop
        self._place = place
        self._fault = fault
        self._under_way = False

    def quiet(self, get: Callable[[], Optional[Store]]) -> None:
        """Look whether a day has passed, and forget what is old, a little at a time. `get`: the database."""
        store = get()
        if store is None or self._under_way:
            return
        now = time.time()
        before = due(store, now)
        if before is not None:
            self._under_way = True
            self._step(get, before, now)

    def _step(self, get: Callable[[], Optional[Store]], before: float, now: float) -> None:
        try:
            store = get()
            more = store is not None and step(store, self._place, before)
            if more:
                self._loop.later(_PAUSE, lambda: self._step(get, before, now))
                return
            if store is not None:
                store.remember(_MARK, repr(now))
                sweep(self._place, store, before)
        except Exception as error:  # tried again at the next quiet moment
            self._fault("retention", error)
        self._under_way = False


def due(store: Store, now: float) -> Optional[float]:
    """Jobs that ended before this time may go; None while it is not yet time to look.

    A clock that was set forward would make everything old. So ages count only if the clock said something
    sensible when they were looked at before: otherwise today's time is noted, and the number of jobs alone
    decides.
    """
    days = store.limits().keep_days
    try:
        last = float(store.remembered(_MARK))
    except ValueError:
        last = now + DAY
    if 0.0 <= now - last < DAY:
        return None
    trusted = 0.0 <= now - last <= max(2.0, days / 2) * DAY
    return now - days * DAY if days and trusted else 0.0


def step(store: Store, place: Place, before: float) -> bool:
    """Forget some of the jobs that ended before, or that are too many; whether there may be more."""
    numbers, logs = store.forget(before, keep=store.limits().keep_jobs, most=_AT_ONCE)
    remove(place, logs)
    return len(numbers) == _AT_ONCE


def remove(place: Place, paths: Iterable[str]) -> None:
    """Remove files of the queue's own folder of logs, and no others, whatever the database says."""
    for path in paths:
        if os.path.dirname(path) == place.logs:
            try:
                os.unlink(path)
            except OSError:
                pass  # gone, or not ours to remove: the next sweep sees it


def sweep(place: Place, store: Store, before: float) -> None:
    """Remove old output of jobs that nobody knows: of a lost database, or left by a crash."""
    old: List[str] = []
    try:
        for entry in os.scandir(place.logs):
            if log_number(entry.name) and entry.stat(follow_symlinks=False).st_mtime < before:
                old.append(entry.path)
    except OSError:
        return
    known = store.owners(log_number(os.path.basename(path)) for path in old)
    remove(place, (path for path in old if log_number(os.path.basename(path)) not in known))
