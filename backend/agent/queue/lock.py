"""The keeper's lock: who holds the flock on `keeper.lock` keeps the queue.

A keeper that leaves lets go of the lock and then looks once more for work; who submits looks for the lock
after the job is stored. So one of them always sees the other.
"""

from __future__ import annotations

import fcntl
import os

from .place import Place
from .waiting import LOCK


def ensure(place: Place) -> bool:
    """See to it that somebody keeps the queue; whether a keeper had to be started. Costs next to nothing.

    Call it after a job was stored, and best after the database was closed: then the keeper is a fork of this
    process and there at once. Where it is open, or threads run, a new interpreter is started. Raises OSError.
    """
    lock = try_lock(place)
    if lock < 0:
        return False
    try:
        from . import standby  # all of the keeper: only whoever starts one needs it

        standby.start(place, lock)
    finally:
        os.close(lock)
    return True


def try_lock(place: Place) -> int:
    """A descriptor that holds the lock; -1 where somebody else has it. Raises OSError."""
    lock = place.open(LOCK)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return -1
    return lock


def held(place: Place) -> bool:
    """Whether somebody keeps the queue. Raises OSError."""
    lock = try_lock(place)
    if lock >= 0:
        os.close(lock)
    return lock < 0


def keeper_pid(place: Place) -> int:
    """The process that keeps the queue, 0 if none does."""
    if not held(place):
        return 0
    lock = place.open(LOCK, os.O_RDONLY)
    try:
        text = os.read(lock, 32).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(lock)


def sign(lock: int) -> None:
    """Write down whose it is; a full disk does not matter."""
    try:
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        pass
