"""A command on a pty, over an open connection or on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from backend.errors import Unreachable
from backend.terminal.process import Size, TerminalProcess

if TYPE_CHECKING:
    import asyncssh

    from backend.link.api import Link
    from backend.link.ssh import SshLink

_CHUNK = 64 * 1024
_WINDOW = 256 * 1024
"""Bytes a host may send ahead: what still scrolls by after Ctrl+C, and what a slow screen costs in memory."""
_CLOSE_TIMEOUT = 2.0


async def open_terminal(
    link: Link, argv: Sequence[str], *, term: str, size: Size, env: Mapping[str, str]
) -> TerminalProcess:
    """Start a command on a pty of this size.

    `env` (locale, COLORTERM) is offered; an sshd takes what its AcceptEnv lists. Raises a `HostError`, or
    `ActionFailed` where a command of this machine cannot be started.
    """
    if link.local:
        from backend.link.pty import open_local

        return await open_local(argv, term=term, size=size, env=env)
    return await _open_remote(cast("SshLink", link), argv, term, size, env)


async def _open_remote(
    link: SshLink, argv: Sequence[str], term: str, size: Size, env: Mapping[str, str]
) -> TerminalProcess:
    process = await link.channel(
        shlex.join(argv),
        request_pty="force",
        term_type=term,
        term_size=(size.columns, size.rows),
        env=dict(env),
        window=_WINDOW,
    )
    return SshTerminal(link, process)


class SshTerminal:
    """A command on the pty of a session channel."""

    def __init__(self, link: SshLink, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._link = link
        self._process = process

    async def read(self) -> bytes:
        """What it printed next."""
        try:
            return await self._process.stdout.read(_CHUNK)
        except Exception as error:
            raise await self._why(error) from None

    async def write(self, data: bytes) -> None:
        """Send what was typed."""
        # The end of the command or of the connection is told by `read`.
        with contextlib.suppress(Exception):
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    def resize(self, size: Size) -> None:
        """Pass on the window's size."""
        with contextlib.suppress(Exception):
            self._process.change_terminal_size(size.columns, size.rows)

    async def wait(self) -> int:
        """Its exit code."""
        await self._process.wait_closed()
        if self._process.exit_status is not None and self._process.exit_status >= 0:
            return self._process.exit_status
        if self._process.exit_signal is not None:
            name = f"SIG{self._process.exit_signal[0]}"
            return 128 + (signal.Signals[name] if name in signal.Signals.__members__ else 0)
        raise await self._why(None)

    async def close(self) -> None:
        """Close the channel: sshd hangs up on the command."""
        self._process.close()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._process.wait_closed(), _CLOSE_TIMEOUT)

    async def _why(self, error: Exception | None) -> Unreachable:
        """The link knows best why it is gone; it learns of it a moment after its channels."""
        from backend.link import translate

        with contextlib.suppress(TimeoutError):
            lost = await asyncio.wait_for(self._link.closed, 0.5)
            if isinstance(lost, Unreachable):
                return lost
        return translate.of_loss(self._link.name, error)


def environment() -> dict[str, str]:
    """What of this machine's environment a terminal elsewhere should know: language and colours."""
    return {
        name: value
        for name, value in os.environ.items()
        if value and (name in ("LANG", "COLORTERM") or name.startswith("LC_"))
    }
