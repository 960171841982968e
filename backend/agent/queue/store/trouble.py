"""What SQLite or the system says, as errors for people."""

from __future__ import annotations

import errno
import os
import sqlite3

from ..errors import FailedError, QueueError

BUSY = 20.0
"""Seconds to wait for others that write."""


class StoreError(FailedError):
    """The database cannot be used now."""


class BrokenError(StoreError):
    """The database could not be read; it was set aside, or will be when it is opened next."""


def translated(error: Exception, folder: str) -> QueueError:
    """What SQLite or the system says, for people."""
    if isinstance(error, QueueError):
        return error
    text = str(error).lower()
    code = getattr(error, "errno", None)
    if code == errno.ENOSPC or "disk is full" in text or ("disk i/o" in text and _is_full(folder)):
        return StoreError(
            f"no room for the queue in {folder}: No space left on device.", "Free some space there."
        )
    if code == errno.EROFS or "readonly" in text or "read-only" in text:
        return StoreError(f"the queue in {folder} cannot be written.", "Is its file system read-only?")
    if "locked" in text or "busy" in text:
        return StoreError(
            f"another process has held the queue's database in {folder} for {BUSY:.0f} s.",
            "fuser -v there names it. Is one of them stopped (state T in ps)?",
        )
    if isinstance(error, sqlite3.OperationalError):
        broken = "malformed" in text
    else:
        broken = isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, (sqlite3.ProgrammingError, sqlite3.IntegrityError, sqlite3.NotSupportedError)
        )
    if broken:
        return BrokenError(f"the queue's database in {folder} is damaged ({error}).", "Try again.")
    if code in (errno.EACCES, errno.EPERM) or "unable to open" in text:
        return StoreError(f"the queue in {folder} cannot be opened: {error}.", "Do you have the right to it?")
    return StoreError(f"the queue in {folder}: {error}.", "Look at the disk's health (dmesg) there.")


def _is_full(folder: str) -> bool:
    """Whether nothing fits there: SQLite calls it an I/O error where its shared memory cannot grow."""
    try:
        return os.statvfs(folder).f_bavail == 0
    except OSError:
        return False
