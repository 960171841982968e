"""The standby while it waits: an interpreter with as little in it as can be, for it may wait for weeks.

Nothing is imported that the interpreter has not loaded anyway, `typing` included. What a keeper needs comes
once it is one, from the file that the one before it held open.
"""

from __future__ import annotations

import fcntl
import os

LOCK = "keeper.lock"
_COMM = "berth-standby"


def main(words: list[str]) -> None:
    """`PIPE PATH FOLDER ...`: wait behind the keeper of the queue in PATH, then be its keeper.

    PIPE tells the keeper by its end that we are gone, and FOLDER is the queue's folder: both are open.
    """
    try:
        with open("/proc/self/comm", "w") as file:
            file.write(_COMM)
    except OSError:
        pass
    pipe, path, folder = int(words[0]), words[1], int(words[2])
    lock = wait(path, folder)
    os.close(pipe)
    try:
        from . import standby
    except BaseException as error:
        _say(folder, f"the standby cannot be the keeper: {error!r}")
        raise
    standby.take_over(lock, words[1:])


def _say(folder: int, text: str) -> None:
    """In the words of `journal`, which may be just what cannot be loaded."""
    log = os.open("keeper.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o660, dir_fd=folder)
    os.write(log, f"{os.getpid()} {text}\n".encode("utf-8", "replace"))


def wait(path: str, folder: int) -> int:
    """A descriptor that holds the lock, once everybody before us is gone."""
    while True:
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660, dir_fd=folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if current(path, lock):
            return lock
        os.close(lock)


def current(path: str, lock: int) -> bool:
    """Whether the lock is still the one that others look at: not if somebody removed the folder's files."""
    try:
        return os.path.samestat(os.stat(f"{path}/{LOCK}"), os.fstat(lock))
    except OSError:
        return False
