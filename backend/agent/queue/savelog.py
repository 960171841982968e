"""The output of an ended job, from the engine into a file that stays when the container goes."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from ..http_parse import ResponseError
from . import enginelink

_SUFFIX = ".part"


class NotSavedError(Exception):
    """The output is still in the container, and why; the message is for people."""


NOTHING = "it wrote no output"
GONE = "its output went with its container, which somebody removed"


def save(socket_path: str, container: str, target: str, tty: bool) -> str:
    """Write all that the container said to `target`, which appears whole or not at all.

    Why there is no such file; empty where there is. Blocking, for a thread. Raises NotSavedError.
    """
    part = target + _SUFFIX
    try:
        # somebody else's unfinished one may be there: after a crash each keeper has its own user
        if os.path.lexists(part):
            os.unlink(part)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o640)
            status = _copy(socket_path, container, file, tty)
            file.flush()
            os.fsync(descriptor)
            size = file.tell()
        if status == 404 or not size:
            os.unlink(part)
            return GONE if status == 404 else NOTHING
        if status != 200:
            raise NotSavedError(f"the engine does not give it away (it answered {status})")
        os.replace(part, target)
    except OSError as error:
        _forget(part)
        raise NotSavedError(error.strerror or str(error)) from None
    except ResponseError as error:
        _forget(part)
        raise NotSavedError(str(error)) from None
    return ""


def _copy(socket_path: str, container: str, file: BinaryIO, tty: bool) -> int:
    target = f"/containers/{container}/logs?stdout=1&stderr=1&tail=all"
    return enginelink.stream(socket_path, target, file.write if tty else Demultiplexer(file).feed)


def _forget(part: str) -> None:
    try:
        os.unlink(part)
    except OSError:
        pass


class Demultiplexer:
    """Takes off the 8-byte heads (stream, three zeros, big-endian length) of an engine's log stream."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._head = b""
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Take more bytes."""
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                self._file.write(piece)
                self._left -= len(piece)
                at += len(piece)
                continue
            need = 8 - len(self._head)
            self._head += data[at : at + need]
            at += need
            if len(self._head) == 8:
                self._left = struct.unpack(">I", self._head[4:])[0]
                self._head = b""
