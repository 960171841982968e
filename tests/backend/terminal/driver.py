"""A program on a pseudo terminal of its own, driven as a person would: type, look, resize."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence

_KEPT = 4_000_000


class Driven:
    """`with Driven(["berth", "enter", "h1/work"]) as it: it.expect(b"# ")`."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        size: tuple[int, int] = (80, 24),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.output = b""
        """What it printed since the last thing that was expected."""
        self.code: int | None = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
                kept = {k: v for k, v in os.environ.items() if k not in ("TMUX", "COLUMNS", "LINES")}
                kept |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", **(env or {})}
                os.execvpe(argv[0], argv, kept)
            finally:
                os._exit(127)

    def __enter__(self) -> Driven:
        return self

    def __exit__(self, *_: object) -> None:
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def resize(self, columns: int, rows: int) -> None:
        """Make the window that large; the kernel tells the program."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, keys: str | bytes) -> None:
        """Type."""
        os.write(self.fd, keys.encode() if isinstance(keys, str) else keys)

    def clear(self) -> None:
        """Forget what was printed until now."""
        while self._pump(0):
            pass
        self.output = b""

    def expect(self, text: bytes, *, timeout: float = 30) -> bytes:
        """Wait until this is printed; everything up to it."""
        deadline = time.monotonic() + timeout
        while text not in self.output:
            left = deadline - time.monotonic()
            if left <= 0 or not self._pump(left):
                raise AssertionError(
                    f"{text!r} was never printed; the end of what was: {self.output[-1500:]!r}"
                )
        before, _, self.output = self.output.partition(text)
        return before + text

    def wait(self, *, timeout: float = 30) -> int:
        """Wait for its end; its exit code, minus the signal's number."""
        deadline = time.monotonic() + timeout
        while self.code is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end; the end of its output: {self.output[-1500:]!r}")
            self._pump(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        while self._pump(0):
            pass
        return self.code

    def modes(self) -> list[int]:
        """The terminal's flags: input, output, control, local."""
        return termios.tcgetattr(self.fd)[:4]

    def _pump(self, seconds: float) -> bool:
        """Take what comes within `seconds`; False when there is nothing, or never will be."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return False
        self.output = (self.output + data)[-_KEPT:]
        return bool(data)
