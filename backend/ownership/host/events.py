"""inotify(7), by the C library: which folders something was made in, moved into, or given to somebody."""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE, _ATTRIB, _MOVED_TO, _ONLYDIR, _EXCL_UNLINK = 0x100, 0x4, 0x80, 0x01000000, 0x04000000
_MASK = _CREATE | _ATTRIB | _MOVED_TO | _ONLYDIR | _EXCL_UNLINK
OVERFLOW, IGNORED = 0x4000, 0x8000
_ISDIR = 0x40000000
_EVENT = struct.Struct("iIII")
_BUFFER = 1 << 16


def brings_folder(mask: int) -> bool:
    """Whether a folder was made or moved there, with all that is in it."""
    return bool(mask & _ISDIR and mask & (_CREATE | _MOVED_TO))


class Inotify:
    """The kernel's side of it."""

    def __init__(self) -> None:
        """Raises `OSError` where there is none to be had."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def watch(self, folder: int) -> int:
        """Watch an open folder, whatever its name means by now; its number. Raises `OSError`."""
        number = self._libc.inotify_add_watch(self.fd, b"/proc/self/fd/%d" % folder, _MASK)
        if number < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return int(number)

    def forget(self, number: int) -> None:
        """Watch it no more."""
        self._libc.inotify_rm_watch(self.fd, number)

    def read(self) -> list[tuple[int, int, bytes]]:
        """What happened: number of the folder, what, and the name in it."""
        found = []
        try:
            data = os.read(self.fd, _BUFFER)
        except BlockingIOError:
            return []
        at = 0
        while at + _EVENT.size <= len(data):
            number, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            found.append((number, mask, data[at : at + length].rstrip(b"\0")))
            at += length
        return found

    def close(self) -> None:
        """The end."""
        os.close(self.fd)
