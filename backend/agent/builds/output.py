"""What a builder says, in a file of bounded size: its beginning, and its last lines."""

from __future__ import annotations

import collections
import os
import time
from typing import Deque, Iterator, List, Tuple

LIMIT = 16 * 1024 * 1024
"""Bytes that are kept; after that only the last lines."""
_TAIL = 400
_LINE = 4000
"""Characters of a line that are kept."""
_RAW_LINE = 4 * 1024 * 1024
"""Bytes of a line of progress in JSON, which is of no use when it is cut."""


class Output:
    """Written by the build's process."""

    def __init__(self, path: str, limit: int = LIMIT) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._limit = limit
        self._size = 0
        self._full = False
        self._left_out = 0
        self._tail: Deque[bytes] = collections.deque(maxlen=_TAIL)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Bytes as they came from the builder; `\\r` ends a line as `\\n` does."""
        pieces = (self._rest + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = pieces.pop()
        if len(self._rest) > _RAW_LINE:
            pieces.append(self._rest)
            self._rest = b""
        for piece in pieces:
            self.line(piece)

    def line(self, data: bytes) -> None:
        """One line. A disk that is full loses it, never the build."""
        if not data.startswith(b"{"):
            data = data[:_LINE]
        self._write(b"%.3f %s\n" % (time.time(), data.replace(b"\n", b" ")))

    def _write(self, line: bytes) -> None:
        if not self._full and self._size + len(line) <= self._limit:
            try:
                self._size += os.write(self._file, line)
                return
            except OSError:
                pass
        self._full = True  # from here on only the last lines
        self._left_out += len(self._tail) == self._tail.maxlen
        self._tail.append(line)

    def close(self) -> None:
        """Write what was kept back."""
        if self._rest:
            self.line(self._rest)
            self._rest = b""
        note = b"%.3f ... %d lines are left out ...\n" % (time.time(), self._left_out)
        try:
            for line in [*([note] if self._left_out else []), *self._tail]:
                os.write(self._file, line)
        except OSError:
            pass
        self._tail.clear()


class Reader:
    """Reads it while it grows."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._rest = b""

    def read(self) -> Iterator[List[Tuple[float, str]]]:
        """What is new, in pieces."""
        while True:
            data = os.read(self._file, 65536)
            if not data:
                return
            lines = (self._rest + data).split(b"\n")
            self._rest = lines.pop()
            if lines:
                yield [_timed(line) for line in lines]

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def _timed(line: bytes) -> Tuple[float, str]:
    stamp, _, text = line.partition(b" ")
    try:
        return float(stamp), text.decode("utf-8", "replace")
    except ValueError:
        return 0.0, line.decode("utf-8", "replace")
