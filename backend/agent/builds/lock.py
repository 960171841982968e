"""One build of an image at a time on a host, whoever asks for it.

On Linux the lock is an abstract socket: it is gone with the last process that holds it, however that ended,
and it tells who holds it. Elsewhere, where nobody shares an engine, it is a file lock of the user.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import struct
import sys
from typing import Optional, Union

from ..queue.people import user

_HELD: "list[Union[socket.socket, int]]" = []
"""Locks live as long as the process, and as its children that inherit them."""


def name_of(engine: str, image: str) -> str:
    """A name for the lock on an image of the engine behind this socket."""
    text = f"{os.path.realpath(engine)}\0{image}"
    return "berth-build-" + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


def take(name: str, folder: str) -> bool:
    """Take the lock for this process and its children; whether it was free."""
    if sys.platform != "linux":
        return _take_file(os.path.join(folder, f"{name}.lock"))
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(f"\0{name}")
        held.listen(8)
    except OSError:
        held.close()
        return False
    held.set_inheritable(False)
    _HELD.append(held)
    return True


def drop() -> None:
    """Let go of all locks of this process; a child that inherited them keeps them."""
    while _HELD:
        held = _HELD.pop()
        if isinstance(held, int):
            os.close(held)
        else:
            held.close()


def descriptors() -> "list[int]":
    """The open descriptors of the locks."""
    return [held if isinstance(held, int) else held.fileno() for held in _HELD]


def holder(name: str) -> Optional[int]:
    """The uid of whoever holds the lock; None where nobody does, or nobody knows."""
    if sys.platform != "linux":
        return None
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        asking.settimeout(1.0)
        asking.connect(f"\0{name}")
        found = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", found)[1])
    except OSError:
        return None
    finally:
        asking.close()


def holder_name(name: str) -> str:
    """The name of whoever holds it, for people."""
    uid = holder(name)
    return "somebody" if uid is None else user(uid)


def _take_file(path: str) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return False
    _HELD.append(descriptor)
    return True
