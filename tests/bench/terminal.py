"""A program on a pseudo terminal: what it paints and when, and keys for it.

The terminal answers the few questions a Textual app asks at its start; above all that it takes synchronised
output, so that each frame ends with a mark and its end can be timed.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

FRAME_END = b"\x1b[?2026l"
_ANSWERS = {
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",  # synchronised output: there, off
    b"\x1b[c": b"\x1b[?62;22c",
    b"\x1b[?u": b"\x1b[?0u",
}
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>])")
_KEPT = 2_000_000
"""Bytes painted that are remembered, at least."""
_OVERLAP = 4096
"""Bytes looked at again with what comes: a text may come in two parts."""


def _plain(painted: bytes | bytearray) -> str:
    return _ESCAPES.sub(b"", painted).decode(errors="replace")


class Gone(Exception):
    """The program ended, or did not paint in time what was waited for."""


class Terminal:
    """One program on a terminal of its own."""

    def __init__(
        self, argv: Sequence[str], size: tuple[int, int] = (200, 50), env: Mapping[str, str] | None = None
    ) -> None:
        self._painted = bytearray()
        self.frames = 0
        self.starved = 0.0
        """Seconds of the last `press` in which the program waited for a free CPU: more than a few ms of that
        say that the machine was busy with other things."""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            self._become(argv, size, env or {})
        self.started = time.perf_counter()
        columns, lines = size
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _become(self, argv: Sequence[str], size: tuple[int, int], env: Mapping[str, str]) -> None:
        """In the child: be the program, on a terminal of that size."""
        try:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            dropped = {"NO_COLOR", "TMUX", "COLUMNS", "LINES", "TEXTUAL"}
            kept = {name: value for name, value in os.environ.items() if name not in dropped}
            os.execvpe(argv[0], argv, {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", **env})
        finally:
            os._exit(127)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pump(self, seconds: float) -> bytes:
        """Take what comes within `seconds`, at most until something came."""
        if not select.select([self._fd], [], [], max(0.0, seconds))[0]:
            return b""
        try:
            data = os.read(self._fd, 1 << 20)
        except OSError:
            raise Gone(f"the program ended: {self.text[-400:]!r}") from None
        for question, answer in _ANSWERS.items():
            if question in data:
                self.write(answer)
        self._painted += data
        if len(self._painted) > 2 * _KEPT:
            del self._painted[:-_KEPT]
        self.frames += data.count(FRAME_END)
        return data

    @property
    def output(self) -> bytes:
        """What it painted so far; of much, the end."""
        return bytes(self._painted)

    @property
    def text(self) -> str:
        """Everything painted so far, without escape sequences."""
        return _plain(self._painted)

    def write(self, data: bytes) -> None:
        """Type."""
        os.write(self._fd, data)

    def wait_for(self, *texts: str, timeout: float = 30.0) -> float:
        """Seconds from the program's start until all `texts` have been painted."""
        wanted = list(texts)
        plain = self.text
        while True:
            wanted = [text for text in wanted if text not in plain]
            if not wanted:
                return time.perf_counter() - self.started
            data = self._pump_until(self.started + timeout, f"{wanted[0]!r} was never painted")
            plain = _plain(self._painted[-len(data) - _OVERLAP :])

    def run(self, seconds: float) -> None:
        """Let it run, reading what it paints."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self.pump(left)

    def settle(self, quiet: float = 0.4, timeout: float = 10.0) -> None:
        """Wait until it has painted nothing for a while."""
        until = time.perf_counter() + timeout
        while time.perf_counter() < until:
            if not self.pump(quiet):
                return

    def press(self, key: bytes, answered: Callable[[bytes], bool], timeout: float = 3.0) -> float:
        """Seconds from writing `key` to the end of the frame whose bytes are the answer to it."""
        while self.pump(0):
            pass
        mark, starved = b"", self._starved()
        began = time.perf_counter()
        self.write(key)
        while True:
            mark += self._pump_until(began + timeout, f"no answer to {key!r}")
            took = time.perf_counter() - began
            end = mark.rfind(FRAME_END)
            if end >= 0 and answered(mark[: end + len(FRAME_END)]):
                self.starved = self._starved() - starved
                return took

    def _starved(self) -> float:
        """Seconds so far in which the program could have run but no CPU was free."""
        with suppress(OSError, IndexError), open(f"/proc/{self.pid}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
        return 0.0

    def _pump_until(self, deadline: float, problem: str) -> bytes:
        left = deadline - time.perf_counter()
        if left <= 0:
            raise Gone(f"{problem}; the end of what was: {self.text[-600:]!r}")
        return self.pump(left)

    def close(self) -> None:
        """Ask it to end, make it end, and wait until it has."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(self.pid, sign)
            until = time.monotonic() + 3
            while time.monotonic() < until:
                with suppress(Gone):
                    self.pump(0.05)
                try:
                    if os.waitpid(self.pid, os.WNOHANG)[0]:
                        os.close(self._fd)
                        return
                except ChildProcessError:
                    return
