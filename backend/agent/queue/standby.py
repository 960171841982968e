"""Who keeps the queue: one keeper, one standby behind it, and whoever starts them when both are gone.

The keeper is the process that holds the flock on `keeper.lock`. The standby (see `waiting`) waits for the
same flock, so it has it the moment that the keeper is gone, however it went. It is an interpreter of its own
with nothing loaded: a fork of the keeper would hold a copy of all that the keeper ever writes to.
"""

from __future__ import annotations

import os
import signal
import time
from typing import List

from . import detached, lock, waiting
from .journal import Journal
from .keeper import Keeper
from .place import Place

_KEEPER = "berth-keeper"
_PAUSE = 1.0
"""Seconds between the end of a keeper that could not go on and its standby's turn."""


def start(place: Place, held: int) -> None:
    """Start a keeper that has the lock `held` as its own; the caller's is closed by the caller."""
    forkable = _forkable(place)
    if detached.detach():
        _in_child(place, held, forkable)


def _forkable(place: Place) -> bool:
    """Whether a fork of this process can go on as keeper: SQLite and threads do not survive one."""
    try:
        if len(os.listdir("/proc/self/task")) != 1:
            return False
        ours = os.path.realpath(place.path) + "/"
        links = []
        for number in os.listdir("/proc/self/fd"):
            try:
                links.append(os.readlink(f"/proc/self/fd/{number}"))
            except OSError:
                continue
        return not any(link.startswith(ours) and not link.endswith(waiting.LOCK) for link in links)
    except OSError:
        return False


def _in_child(place: Place, held: int, forkable: bool) -> None:
    """Never returns: what is above on the stack belongs to another process."""
    try:
        detached.settle(_KEEPER, [held, place.fileno()])
        if forkable:
            keep(place, held)
        else:
            _become(place, "standby", held)
    except BaseException as error:
        Journal(place).fault("the keeper could not start", error)
    finally:
        os._exit(1)


def _become(place: Place, module: str, handed: int) -> None:
    """Go on in a new interpreter, with the folder as it is open here."""
    for descriptor in (handed, place.fileno()):
        os.set_inheritable(descriptor, True)
    words = [handed, place.path, place.fileno(), place.gid, place.socket]
    program = [*detached.program(module), *map(str, words)]
    os.execv(program[0], program)


def keep(place: Place, held: int) -> None:
    """Be the keeper until nothing is left to do. Does not return."""
    detached.rename(_KEEPER)
    code = 0
    try:
        lock.sign(held)
        Keeper(place, held, Standby(place, held)).run()
    except BaseException as error:
        Journal(place).fault("the keeper ended", error)
        code = 1
        time.sleep(_PAUSE)  # the standby would have the same trouble, and the one after it
    os._exit(code)  # no finalizers: a thread may be stuck in a driver


class Standby:
    """The process that waits behind the keeper, seen from the keeper."""

    def __init__(self, place: Place, held: int) -> None:
        self._place = place
        self._lock = held
        self.pid = 0
        self.pipe = -1
        """Readable once the standby is gone: it alone holds the other end."""
        self.renew()

    def renew(self) -> None:
        """Start one, or another one after the last was lost."""
        self._reap()
        self.pipe, theirs = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                _become(self._place, "waiting", theirs)
            finally:
                os._exit(1)
        os.close(theirs)

    def end(self) -> None:
        """It is not needed any more."""
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        self._reap()

    def _reap(self) -> None:
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1
        pid, self.pid = self.pid, 0
        if pid:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass


def main(words: List[str]) -> None:
    """What `_become` started: `LOCK PATH FOLDER GROUP SOCKET`. Does not return."""
    take_over(int(words[0]), words[1:])


def take_over(held: int, words: List[str]) -> None:
    """Be the keeper in a new interpreter that has the lock. `words`: the folder, as `_become` tells it."""
    path, descriptor, gid, socket = words
    place = Place(path, int(descriptor), int(gid), socket)
    kept = [held, place.fileno()]
    for one in kept:
        os.set_inheritable(one, False)
    detached.settle(_KEEPER, kept)
    keep(place, held)
