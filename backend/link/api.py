"""What a connection to a host can do, however it is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from backend.errors import HostError

MAX_LINE = 16 * 1024 * 1024
"""Longest line in bytes a process may send; a longer one arrives as its first bytes only."""
STDERR_KEPT = 4096
"""Bytes of stderr that are kept, the last ones."""


class Completed(NamedTuple):
    """A command that ended."""

    returncode: int
    """Its exit status; minus the signal's number where a signal ended it."""
    stdout: bytes
    stderr: bytes


class LinkProcess(Protocol):
    """A running command with pipes. Iterate it for the lines of its stdout, without their newline."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def read(self, size: int) -> bytes:
        """The next bytes of its stdout, at most `size`, for what has no lines; none at its end.

        A connection that is lost ends it too: `wait` and `Link.closed` tell.
        """

    async def write(self, data: bytes) -> None:
        """Send to its stdin, waiting while the host is slower than we are.

        Raises `Unreachable` when nobody reads it any more.
        """

    def write_eof(self) -> None:
        """End its stdin."""

    @property
    def stderr(self) -> bytes:
        """The last 4 KB of what it complained about, so far."""

    async def wait(self) -> int:
        """Wait for its end; the exit status, minus the signal's number, or -1 where nobody knows."""

    async def close(self) -> None:
        """End it if it still runs, and release everything. Never raises; may be called twice."""


class Link(Protocol):
    """One connection to one host."""

    name: str
    """The host's nick."""
    local: bool
    """Whether it is this machine."""

    async def start(self, argv: Sequence[str]) -> LinkProcess:
        """Start a command. Each argument reaches it as it is, whatever the login shell."""

    async def start_script(self, script: str, argv: Sequence[str]) -> LinkProcess:
        """Start a script of `sh` with these arguments: in the login shell, where that can run it.

        Then `$_berth` is set, and a line of the user's needs no shell of its own.
        """

    async def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float) -> Completed:
        """Run a command to its end.

        Raises `Unreachable` when the connection is lost, and `TimeoutError` after `timeout` seconds; the
        command is ended then.
        """

    async def forward_socket(self, remote_path: str) -> str:
        """A unix socket here that reaches the unix socket `remote_path` there; its path.

        It lies in a folder only we can enter, and is gone when the link closes.
        """

    def forward_port(self, address: str, port: int, local_port: int = 0) -> AbstractAsyncContextManager[int]:
        """A port of 127.0.0.1 here that reaches `address:port` as the host sees it, while this is entered.

        Gives the port here: `local_port`, or a free one for 0. Raises `ActionFailed` where it is taken.
        """

    async def dial(self, make: Callable[[], asyncio.Protocol], address: str, port: int) -> asyncio.Transport:
        """Connect `make()` to `address:port` as the host sees it, like asyncio's `create_connection`.

        Raises `HostError` when the connection to the host is lost, `OSError` where nothing answers there.
        """

    @property
    def closed(self) -> Awaitable[HostError | None]:
        """Done when the connection is gone: why, or None if we closed it."""

    async def close(self) -> None:
        """End everything that runs over it. Never raises; may be called twice."""
