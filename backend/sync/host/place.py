"""Where a side keeps what a sync needs, and the right to write below a folder."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import zlib

from backend.sync.host.walk import decoded, encoded

BESIDE = b".berth-sync"
"""Folder for all this in the target, where the home cannot be written."""


class Trouble(Exception):
    """Something that people have to be told."""

    def __init__(self, text: str, kind: str = "failed") -> None:
        super().__init__(text)
        self.kind = kind


def home() -> bytes:
    """Our home."""
    return os.path.expanduser(b"~")


def resolved(path: str) -> bytes:
    """A path as people write it, `~` and links resolved; a relative one starts at the home."""
    return os.path.realpath(os.path.join(home(), os.path.expanduser(encoded(path))))


def states(target: bytes) -> list[bytes]:
    """Where the folder of `state` may be, likeliest first."""
    base = os.environb.get(b"XDG_STATE_HOME") or os.path.join(home(), b".local", b"state")
    own = os.environb.get(b"BERTH_STATE_DIR")
    return [os.path.join(own or os.path.join(base, b"berth"), b"sync"), os.path.join(target, BESIDE)]


def state(target: bytes) -> bytes:
    """The folder for locks and runs: ours alone, made if need be.

    In the home, or in the target where the home is read-only. Raises `Trouble`.
    """
    error: OSError | None = None
    for place in states(target):
        try:
            os.makedirs(place, mode=0o700, exist_ok=True)
            status = os.lstat(place)
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                raise PermissionError(errno.EPERM, "belongs to somebody else")
            probe = os.path.join(place, b"probe-%d" % os.getpid())
            os.close(os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600))
            os.unlink(probe)
            return place
        except OSError as found:
            error = found
    raise Trouble(f"{decoded(target)} cannot be written: {error.strerror if error else 'unknown'}.")


class Lock:
    """The right to write below one folder. Gone with its process, however that ends."""

    def __init__(self, place: bytes, target: bytes, owner: str) -> None:
        """Raises `Trouble` that names who has it."""
        folder = os.path.join(place, b"locks")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.path = os.path.join(folder, key(target))
        while True:
            self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                said = os.read(self.handle, 1000).decode("utf-8", "replace").strip()
                os.close(self.handle)
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise Trouble(f"no lock can be had in {decoded(folder)}: {error.strerror}.") from None
                raise Trouble(said or "another berth", "locked") from None
            if _same(self.handle, self.path):
                break
            os.close(self.handle)  # removed by its owner in between
        os.ftruncate(self.handle, 0)
        os.write(self.handle, owner.encode("utf-8", "replace"))

    def release(self) -> None:
        """Give it back."""
        if self.handle >= 0:
            try:
                os.unlink(self.path)
            except OSError:
                pass
            os.close(self.handle)
            self.handle = -1


def locked(place: bytes, targets: list[bytes], owner: str) -> list[Lock]:
    """The right to write below all these folders, or below none: then it raises `Trouble`."""
    found: list[Lock] = []
    try:
        for target in targets:
            found.append(Lock(place, target, owner))
    except BaseException:
        for lock in found:
            lock.release()
        raise
    return found


def key(target: bytes) -> bytes:
    """A folder's path as a file's name."""
    return b"%08x-%s" % (zlib.crc32(target), re.sub(rb"[^0-9A-Za-z]", b"-", target[-40:]))


def _same(handle: int, path: bytes) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False
