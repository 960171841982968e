"""Wakes the keeper: a datagram socket in the queue's folder. What is sent means nothing, only that it came.

Whoever changed the database rings; the keeper looks at the database. Nobody waits: a bell that nobody hears,
or that rings already, is left alone.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
import time

from .place import FILE_MODE, Place

NAME = "doorbell"
_AT_ONCE = 1000
"""Datagrams that are taken at a time; a system queues fewer."""


def ring(place: Place) -> None:
    """Ring. Never blocks, never raises."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.setblocking(False)
            bell.sendto(b"!", _address(place))
    except (OSError, ValueError):
        pass


class Doorbell:
    """The keeper's side. There is one keeper at a time: what an earlier one left is replaced."""

    def __init__(self, place: Place) -> None:
        """Raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            found = place.stat(NAME)
            if found is not None and stat.S_ISDIR(found.st_mode):
                place.rename(NAME, f"{NAME}.{time.time_ns()}")
            elif found is not None:
                place.remove(NAME)
            self._socket.bind(_address(place))
            place.chmod(NAME, FILE_MODE)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Readable when somebody rang."""
        return self._socket.fileno()

    def drain(self) -> bool:
        """Take what came; whether anything did."""
        for taken in range(_AT_ONCE):
            try:
                self._socket.recv(1)
            except BlockingIOError:
                return taken > 0
            except OSError:
                return True
        return True

    def close(self) -> None:
        """Hear nothing more. The name stays: the next keeper may have it by now."""
        self._socket.close()


def _address(place: Place) -> str:
    """The path through the open folder where there is /proc: it is never too long for a socket."""
    if sys.platform == "linux" and os.path.isdir("/proc/self/fd"):
        return f"/proc/self/fd/{place.fileno()}/{NAME}"
    return place.doorbell
