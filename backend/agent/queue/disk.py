"""What takes a disk its time, in a thread: a job that waits for freed GPUs does not wait for that too."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Any, Callable, Optional

from ..background import Worker
from ..loop import Loop
from .place import Place
from .store.base import escaped

_LONG = 1024 * 1024
"""Bytes of log that are worth being carried over."""
_SELDOM = 20.0
"""Seconds between two times."""


class Disk:
    """For the keeper."""

    def __init__(self, loop: Loop, place: Place, fault: Callable[[str, BaseException], Any]) -> None:
        self._path = place.database
        self._fault = fault
        self._syncs = Worker(loop, "sync")
        self._again = False
        self._checkpoints = Worker(loop, "checkpoint")
        self._last = -_SELDOM

    def sync(self) -> None:
        """See to it that all that was written is on the disk, soon."""
        self._again = not self._syncs.run(lambda: sync(self._path), self._synced)

    def _synced(self, _: Any, error: Optional[BaseException]) -> None:
        if error is not None:
            self._fault("sync", error)
        if self._again:
            self.sync()

    def quiet(self) -> None:
        """Carry the log over into the database, which would otherwise grow; for a moment without work."""
        now = time.monotonic()
        if now - self._last >= _SELDOM:
            self._last = now
            self._checkpoints.run(lambda: checkpoint(self._path), self._carried)

    def _carried(self, _: Any, error: Optional[BaseException]) -> None:
        if error is not None:
            self._fault("checkpoint", error)


def sync(path: str) -> None:
    """Wait until the log of the database is on the disk. Raises OSError.

    SQLite's locks are on the other two files: those of the log would be lost when it is closed here.
    """
    try:
        descriptor = os.open(f"{path}-wal", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # all of it is in the database
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checkpoint(path: str) -> None:
    """Carry the log over where it has grown long; nobody waits for it. Raises OSError, sqlite3.Error."""
    try:
        if os.stat(f"{path}-wal").st_size < _LONG:
            return
    except FileNotFoundError:
        return
    # never made here: it would have another mode
    connection = sqlite3.connect(f"file:{escaped(path)}?mode=rw", isolation_level=None, uri=True)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    finally:
        connection.close()
