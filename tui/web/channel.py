"""The pipes to the server, and the terminal that shells and editors get in a page.

A tab's process has no terminal of its own. It gets one here: a pseudo-terminal takes the place of standard
input, output and error, and whatever is printed there while it is lent goes to the page as it is. The page
has a whole terminal emulator (xterm.js), so a shell in it is what it is in any other terminal.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import secrets
import select
import struct
import termios
import threading

_CHUNK = 64 * 1024
_PATIENCE = 2.0
"""Seconds within which what was printed last has gone to the page."""
_PRELUDE = b"__GANGLION__\n"
"""What the server waits for: from here on there are packets."""

current: Channel | None = None
"""The one of this process: it has one terminal."""


class Channel:
    """Packets to and from the server; a terminal for others."""

    def __init__(self, columns: int, rows: int) -> None:
        global current  # noqa: PLW0603  # as standard input and output, it belongs to the process
        self.size = columns, rows
        """Columns and rows of the page."""
        self.lent = True
        """Whether the page shows what is printed: while the dashboard is not there."""
        self._input, self._output = os.dup(0), os.dup(1)
        self._woken, self._wake = os.pipe()
        self._lock = threading.Lock()
        self._mark = b""
        self._marked = threading.Event()
        self._terminal = _new_terminal()
        self.resize(columns, rows)
        self.send_raw(_PRELUDE)
        threading.Thread(target=self._show, name="terminal", daemon=True).start()
        current = self

    # ------------------------------------------------------------------------------------- to the server

    def send(self, kind: bytes, payload: bytes) -> None:
        """One packet: D is for the screen, M tells of something, P is a piece of a file."""
        self.send_raw(b"%s%s%s" % (kind, len(payload).to_bytes(4, "big"), payload))

    def send_raw(self, packet: bytes) -> None:
        """All of it, in one piece. A server that is gone is noticed by `receive`."""
        view = memoryview(packet)
        with self._lock, contextlib.suppress(OSError):
            while view:
                view = view[os.write(self._output, view) :]

    def receive(self, patience: float) -> bytes | None:
        """What came next; None: nothing for `patience` seconds; empty: nothing will."""
        ready, _, _ = select.select([self._input, self._woken], [], [], patience)
        if self._woken in ready:
            return b""
        try:
            return os.read(self._input, _CHUNK) if ready else None
        except OSError:
            return b""

    def stop_receiving(self) -> None:
        """End a `receive` that waits."""
        os.write(self._wake, b"x")

    # -------------------------------------------------------------------------------------- the terminal

    def resize(self, columns: int, rows: int) -> None:
        """Whoever has the terminal is told by SIGWINCH."""
        self.size = columns, rows
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, data: bytes) -> None:
        """Type this for whoever has the terminal, as fast as it reads. Called by the input thread."""
        view = memoryview(data)
        while view and self.lent:
            _, ready, _ = select.select([], [self._terminal], [], 0.1)
            if ready:
                with contextlib.suppress(BlockingIOError):
                    view = view[os.write(self._terminal, view) :]

    def lend(self) -> None:
        """From now on the page shows what is printed, and what is typed in it goes there."""
        self.settle()  # what was printed before is not for the page
        self.lent = True

    def take_back(self) -> None:
        """The dashboard's again, once all that was printed has gone to the page."""
        self.settle()
        with contextlib.suppress(termios.error):
            termios.tcflush(0, termios.TCIFLUSH)  # meant for whoever had it
        self.lent = False

    def settle(self) -> None:
        """Wait until what was printed has gone to the page: a mark goes after it through the terminal."""
        self._marked.clear()
        self._mark = mark = b"\x1b]berth;%s\x07" % secrets.token_hex(8).encode()
        with contextlib.suppress(OSError, termios.error):
            termios.tcflow(1, termios.TCOON)  # Ctrl+S of whoever had it
            os.write(1, mark)
            self._marked.wait(_PATIENCE)
        self._mark = b""

    def _show(self) -> None:
        """Thread: what is printed, to the page or to nowhere."""
        kept = b""
        while data := _read(self._terminal):
            kept += data
            mark = self._mark
            before, found, after = kept.partition(mark) if mark else (kept, b"", b"")
            begun = 0 if found or not mark else _overlap(before, mark)
            kept = before[len(before) - begun :] if begun else b""
            self._print(before[: len(before) - begun])
            if found:
                self._marked.set()
                self._print(after)

    def _print(self, data: bytes) -> None:
        if data and self.lent:
            self.send(b"D", data)

    def close(self) -> None:
        """The last words, then the server is told that this was all."""
        if not self.lent:
            self.lend()
        self.settle()
        self.send(b"M", json.dumps({"type": "exit"}).encode())


def _new_terminal() -> int:
    """Its outer end. The inner one is this process's terminal from now on."""
    with contextlib.suppress(OSError):  # the server has done it
        os.setsid()
    outer, inner = pty.openpty()
    os.set_blocking(outer, True)
    with contextlib.suppress(OSError):
        fcntl.ioctl(inner, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(inner, number)
    os.close(inner)
    return outer


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, _CHUNK)
    except OSError:
        return b""


def _overlap(data: bytes, mark: bytes) -> int:
    """How many bytes at the end of `data` begin `mark`."""
    most = min(len(data), len(mark))
    return next((size for size in range(most, 0, -1) if mark.startswith(data[-size:])), 0)
