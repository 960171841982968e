"""The terminal this process sits in: raw while something else has it, as it was afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import Callable
from typing import Any

from backend.errors import UsageError
from backend.terminal.process import Size

_CHUNK = 16 * 1024
_FALLBACK = Size(80, 24)


class Gone(Exception):
    """Our own terminal went away: its window was closed."""


def require(stdin: int = 0, stdout: int = 1) -> None:
    """Raises `UsageError` where we have no terminal."""
    if not (os.isatty(stdin) and os.isatty(stdout)):
        raise UsageError(
            "this needs a terminal, and input or output is not one.",
            hint="Run it in a terminal, or run one command: berth exec.",
        )


class Tty:
    """Our terminal, opened anew.

    A file description of its own can be non-blocking without the shell that started us noticing. Bytes are
    read on the event loop alone, when asked for: no thread is left that could take the next key.
    """

    def __init__(self, stdin: int = 0, stdout: int = 1) -> None:
        require(stdin, stdout)
        self._fd = _reopen(stdin)
        self._before: list[Any] = []

    def raw(self) -> None:
        """From now on every byte and every key comes to us as it is. How it was is kept the first time."""
        self._before = self._before or termios.tcgetattr(self._fd)
        tty.setraw(self._fd, termios.TCSADRAIN)

    def restore(self, *, flush: bool = False) -> None:
        """As it was. `flush`: forget what was typed and not read yet: it was meant for a lost host."""
        if not self._before:
            return
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._fd, termios.TCSAFLUSH if flush else termios.TCSADRAIN, self._before)

    def size(self) -> Size:
        """Its size now; 80x24 where it does not know."""
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(self._fd)
            if columns and rows:
                return Size(columns, rows)
        return _FALLBACK

    async def read(self) -> bytes:
        """What was typed next. Raises `Gone` when there will be nothing more."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = os.read(self._fd, _CHUNK)
            except BlockingIOError:
                await _ready(loop.add_reader, loop.remove_reader, self._fd)
                continue
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            return data

    async def write(self, data: bytes) -> None:
        """Show this, as fast as the terminal takes it."""
        loop = asyncio.get_running_loop()
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view[:_CHUNK]) :]
            except BlockingIOError:
                await _ready(loop.add_writer, loop.remove_writer, self._fd)
            except OSError as error:
                raise Gone from error

    def write_now(self, data: bytes) -> None:
        """Show these few bytes even while everything ends; a terminal that is stuck or gone goes without."""
        with contextlib.suppress(OSError):
            os.write(self._fd, data)

    def close(self) -> None:
        """Let go of it. `restore` comes first."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _reopen(fd: int) -> int:
    for path in (_name(fd), "/dev/tty"):
        with contextlib.suppress(OSError):
            return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    raise UsageError(
        "this terminal cannot be opened.", hint="Is it another user's (su)? Log in as that user."
    )


def _name(fd: int) -> str:
    try:
        return os.ttyname(fd)
    except OSError:  # its device is not in this mount namespace
        return f"/dev/fd/{fd}"


async def _ready(add: Callable[..., None], remove: Callable[[int], bool], fd: int) -> None:
    """Wait until the terminal has, or takes, bytes."""
    waiting = asyncio.get_running_loop().create_future()

    def ready() -> None:
        if not waiting.done():
            waiting.set_result(None)

    add(fd, ready)
    try:
        await waiting
    finally:
        remove(fd)
