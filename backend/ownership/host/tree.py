"""A folder tree that hostile people may change while we look at it, and we may be root.

Everything is reached from an open folder, one name after the other, never through a symbolic link; what is
changed is changed by its own descriptor, so that it is what was looked at, whatever its name means by then.
Another mount below the folder is another world, and so is a file with a second name somewhere else.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from backend.ownership.host.rules import PRIVATE, Right, mode_of, wrong

_O_PATH = 0o10000000
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_EMPTY_PATH = 0x1000
DEEPEST = 256
"""Folders within folders that are looked into."""
_libc = ctypes.CDLL(None, use_errno=True)


class Left(Exception):
    """Something is left as it is; says why."""


def mount_of(fd: int) -> int:
    """The number of the mount that something open is on (proc(5)); -1 where nobody says."""
    try:
        with open("/proc/self/fdinfo/%d" % fd, "rb") as file:
            for line in file:
                if line.startswith(b"mnt_id:"):
                    return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return -1


class Tree:
    """One folder, open."""

    def __init__(self, path: bytes, seen: tuple[int, int], right: Right) -> None:
        """`path` is absolute and without links; it has to be the folder that was `seen` (device, inode).

        Raises `OSError`, `Left`.
        """
        self.path, self.right = path, right
        fd = os.open(b"/", _FOLDER | os.O_RDONLY)
        for name in filter(None, path.split(b"/")):
            fd = _step(fd, name, _O_PATH)
        self.fd = _step(fd, b".", os.O_RDONLY)
        fd = self.fd
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != seen:
            raise Left("it is not the folder any more that was looked at")
        self.dev, self.mount = status.st_dev, mount_of(fd)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

    def open(self, rel: bytes) -> int:
        """A folder below it, to be read; empty: itself. Raises `OSError`, `Left`."""
        fd = os.dup(self.fd)
        parts = rel.split(b"/") if rel else []
        if len(parts) > DEEPEST:
            os.close(fd)
            raise Left("it is too deep")
        for name in parts:
            fd = _step(fd, name, _O_PATH)
        try:
            final = os.open(b".", os.O_RDONLY | _FOLDER, dir_fd=fd)
        finally:
            os.close(fd)
        if not self.holds(final):
            os.close(final)
            raise Left("it is on another mount")
        return final

    def holds(self, fd: int) -> bool:
        """Whether something open is on the mount of the folder."""
        return os.fstat(fd).st_dev == self.dev and mount_of(fd) == self.mount

    def still(self) -> bool:
        """Whether the folder has not been deleted."""
        return os.fstat(self.fd).st_nlink > 0

    def check(self, parent: int, rel: bytes, name: bytes, dry: bool) -> tuple[bool, bool]:
        """One thing in an open folder: whether it is a folder, and whether it was (or would be) changed.

        `name` empty: the open folder itself. Raises `Left`, `OSError`.
        """
        fd = os.open(name, _O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent) if name else os.dup(parent)
        try:
            status = os.fstat(fd)
            folder = stat.S_ISDIR(status.st_mode)
            private = any(part in PRIVATE for part in (*rel.split(b"/"), name))
            clauses = [] if private else self.right.clauses
            owner, group, bits = wrong(status, self.right, clauses)
            if (owner, group, bits) == (-1, -1, -1):
                return folder, False
            self._may(fd, status)
            if not dry:
                _set(fd, owner, group, clauses)
            return folder, True
        finally:
            os.close(fd)

    def _may(self, fd: int, status: os.stat_result) -> None:
        if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
            raise Left("it is a device")
        if not self.holds(fd):
            raise Left("it is on another mount")
        if not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1:
            raise Left("it has a second name, perhaps elsewhere")


def _step(fd: int, name: bytes, flags: int) -> int:
    """From an open folder to one in it; the first is closed, whatever happens."""
    try:
        return os.open(name, flags | _FOLDER, dir_fd=fd)
    finally:
        os.close(fd)


def _set(fd: int, owner: int, group: int, clauses: list[list[str]]) -> None:
    """By the descriptor alone: names may mean something else by now."""
    given = (owner, group) != (-1, -1)
    if given and _libc.fchownat(fd, b"", owner, group, _AT_EMPTY_PATH):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode) and not (stat.S_ISDIR(mode) and clauses):
        return
    now = stat.S_IMODE(mode)
    wanted = mode_of(mode, clauses)
    if stat.S_ISREG(mode) and (given or wanted & ~now & stat.S_IXGRP):
        # What somebody wrote must not run as the one it was given to. The system leaves set-group-id where
        # the group cannot run it (chown(2)): there it means nothing until the group may.
        wanted &= ~(stat.S_ISUID | stat.S_ISGID)
    if wanted != now:
        os.chmod("/proc/self/fd/%d" % fd, wanted)


def reason(error: OSError) -> str:
    """Why the system refused, so that equal reasons can be counted."""
    if error.errno in (errno.EPERM, errno.EACCES):
        return "you may not change it"
    return error.strerror or str(error)
