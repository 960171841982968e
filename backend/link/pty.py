"""A command on a pty of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Callable, Mapping, Sequence

from backend.errors import ActionFailed
from backend.terminal.process import Size

_CHUNK = 64 * 1024
_GRACE = 2.0
"""Seconds a command has to end after it was hung up on."""
_TAKE_TERMINAL = 'exec "$@" <>"$0" >&0 2>&1'
"""For `sh -c`: a session leader that opens a terminal gets it as its own. No code of ours between fork and
exec, where a thread may hold a lock."""


async def open_local(argv: Sequence[str], *, term: str, size: Size, env: Mapping[str, str]) -> LocalTerminal:
    """Start it in a session of its own."""
    master, slave = os.openpty()
    try:
        os.set_blocking(master, False)
        _resize(slave, size)
        child = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            _TAKE_TERMINAL,
            os.ttyname(slave),
            *argv,
            env={**os.environ, **env, "TERM": term},
            start_new_session=True,
        )
    except OSError as error:
        os.close(master)
        raise ActionFailed(f"no terminal can be made here: {error.strerror or error}.") from None
    except BaseException:
        os.close(master)
        raise
    # Our own hold on the other end stays: the child opens it by its name, and its end is told by waiting.
    return LocalTerminal(master, slave, child)


class LocalTerminal:
    """A child process on a pty that we hold the other end of."""

    def __init__(self, master: int, slave: int, child: asyncio.subprocess.Process) -> None:
        self._master = master
        self._slave = slave
        self._child = child
        self._ended = asyncio.create_task(child.wait())

    async def read(self) -> bytes:
        """What it printed next. What its own children print after its end is not waited for."""
        loop = asyncio.get_running_loop()
        while self._master >= 0:
            try:
                data = os.read(self._master, _CHUNK)
            except BlockingIOError:
                if self._ended.done():
                    break
                await self._ready(loop.add_reader, loop.remove_reader)
            except OSError:  # EIO: nobody has it open any more
                break
            else:
                return data
        return b""

    async def write(self, data: bytes) -> None:
        """Send what was typed."""
        loop = asyncio.get_running_loop()
        view = memoryview(data)
        while view and self._master >= 0 and not self._ended.done():
            try:
                view = view[os.write(self._master, view) :]
            except BlockingIOError:
                await self._ready(loop.add_writer, loop.remove_writer)
            except OSError:
                return

    def resize(self, size: Size) -> None:
        """The kernel tells the command with SIGWINCH."""
        if self._master >= 0:
            with contextlib.suppress(OSError):
                _resize(self._master, size)

    async def wait(self) -> int:
        """Its exit code."""
        code = await asyncio.shield(self._ended)
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        """Hang up, then SIGKILL."""
        try:
            for wish in (signal.SIGHUP, signal.SIGKILL):
                if self._ended.done():
                    break
                self._release()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._child.pid, wish)
                await asyncio.wait([self._ended], timeout=_GRACE)
        finally:
            self._release()

    def _release(self) -> None:
        for fd in (self._master, self._slave):
            if fd >= 0:
                os.close(fd)
        self._master = self._slave = -1

    async def _ready(self, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
        """Wait until the pty has, or takes, bytes, or the command ended."""
        fd = self._master
        waiting = asyncio.get_running_loop().create_future()

        def ready(*_: object) -> None:
            if not waiting.done():
                waiting.set_result(None)

        add(fd, ready)
        self._ended.add_done_callback(ready)
        try:
            await waiting
        finally:
            remove(fd)
            self._ended.remove_done_callback(ready)


def _resize(fd: int, size: Size) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))
