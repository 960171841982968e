"""A logged-in SSH connection as a link."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncssh

from backend.errors import ActionFailed, HostError, Unreachable
from backend.link import sockets, translate
from backend.link.api import STDERR_KEPT, Completed
from backend.link.dial import dial
from backend.link.lines import split_lines
from backend.link.quote import command_line, script_line

_CLOSE_TIMEOUT = 2.0
"""Seconds that saying goodbye may take; a dead line never answers."""
_TROUBLE = (asyncssh.Error, OSError)
_FIRST = 16
"""Times that something comes before the first channel is open, at most."""
_EMPTY = bytes(4)
"""An empty string, as SSH writes it."""


class SshProcess:
    """A command on a session channel."""

    def __init__(self, name: str, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._name = name
        self._process = process
        self._stderr = bytearray()
        self._reader = asyncio.create_task(self._keep_stderr())

    def __aiter__(self) -> AsyncIterator[bytes]:
        return split_lines(self.read)

    async def read(self, size: int) -> bytes:
        """The next bytes of its stdout."""
        try:
            return await self._process.stdout.read(size)
        except _TROUBLE:
            return b""  # the connection is gone, which `Link.closed` tells

    async def write(self, data: bytes) -> None:
        """Send to its stdin."""
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except _TROUBLE:
            raise Unreachable(f"the command on {self._name} has ended.") from None

    def write_eof(self) -> None:
        """End its stdin."""
        with contextlib.suppress(*_TROUBLE):
            self._process.stdin.write_eof()

    @property
    def stderr(self) -> bytes:
        """The last 4 KB it wrote there."""
        return bytes(self._stderr)

    async def wait(self) -> int:
        """Wait for its end; its exit status, minus the signal's number, or -1 where the line went dead."""
        await self._process.wait_closed()
        await asyncio.gather(self._reader, return_exceptions=True)
        code = self._process.returncode
        return -1 if code is None else code

    async def close(self) -> None:
        """Close the channel: its stdin ends, and SIGTERM comes."""
        _end(self._process, "TERM")
        with contextlib.suppress(TimeoutError, *_TROUBLE):
            await asyncio.wait_for(self._process.wait_closed(), _CLOSE_TIMEOUT)
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _keep_stderr(self) -> None:
        with contextlib.suppress(*_TROUBLE):
            while chunk := await self._process.stderr.read(STDERR_KEPT):
                self._stderr += chunk
                del self._stderr[:-STDERR_KEPT]


class SshLink:
    """One SSH connection."""

    local = False

    def __init__(
        self,
        name: str,
        connection: asyncssh.SSHClientConnection,
        lost: asyncio.Future[BaseException | None],
        release: Callable[[], Awaitable[None]],
    ) -> None:
        """`lost` is done when the connection is gone; `release` lets go of what it went through."""
        self.name = name
        self._connection = connection
        _spare_ignored_packets(connection)
        _answer_at_once(connection)
        self._release = release
        self._ours = False
        self._folder: Path | None = None
        self._sockets: dict[str, str] = {}
        self._opening: set[asyncio.Future[Any]] = set()
        self._closed: asyncio.Future[HostError | None] = asyncio.get_running_loop().create_future()
        lost.add_done_callback(self._gone)

    async def start(self, argv: Sequence[str]) -> SshProcess:
        """Start a command."""
        return SshProcess(self.name, await self._open(command_line(argv)))

    async def start_script(self, script: str, argv: Sequence[str]) -> SshProcess:
        """Start a script, in the login shell where that can run it."""
        return SshProcess(self.name, await self._open(script_line(script, argv)))

    async def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float) -> Completed:
        """Run a command to its end."""
        async with asyncio.timeout(timeout):  # also for the opening: a host that stands still says nothing
            process = await self._open(command_line(argv))
            try:
                out, err = await process.communicate(input)
            except _TROUBLE as error:
                raise translate.of_channel(self.name, error) from None
            finally:
                _end(process, "KILL")
        if process.returncode is None:
            raise translate.of_loss(self.name, None)
        return Completed(process.returncode, out or b"", err or b"")

    async def _open(self, line: str) -> asyncssh.SSHClientProcess[bytes]:
        return await self.channel(line, request_pty=False)

    async def channel(self, command: str, **options: Any) -> asyncssh.SSHClientProcess[bytes]:
        """Start a command on a channel of its own; `options` are those of asyncssh's `create_process`.

        asyncssh forgets a channel whose opening is cancelled, while sshd counts it among the few it allows:
        such an opening goes on to its end, and is closed then.
        """
        opening = asyncio.ensure_future(self._connection.create_process(command, encoding=None, **options))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        try:
            opened = await asyncio.shield(opening)
            _answer_as_usual(self._connection)
            return opened
        except asyncio.CancelledError:
            opening.add_done_callback(_hang_up)
            raise
        except _TROUBLE as error:
            raise translate.of_channel(self.name, error) from None

    async def forward_socket(self, remote_path: str) -> str:
        """A unix socket here that reaches `remote_path` there."""
        if remote_path in self._sockets:
            return self._sockets[remote_path]
        if self._closed.done():
            raise Unreachable(f"the connection to {self.name} is closed.")
        if self._folder is None:
            self._folder = sockets.make()
        local = str(self._folder / f"{len(self._sockets)}.sock")
        try:
            await self._connection.forward_local_path(local, remote_path)
        except OSError as error:
            raise ActionFailed(
                f"no socket can be made in {self._folder}: {error.strerror or error}."
            ) from None
        except asyncssh.Error as error:
            raise translate.of_channel(self.name, error) from None
        self._sockets[remote_path] = local
        return local

    @contextlib.asynccontextmanager
    async def forward_port(self, address: str, port: int, local_port: int = 0) -> AsyncIterator[int]:
        """A port here that reaches `address:port` as the host sees it."""
        if self._closed.done():
            raise Unreachable(f"the connection to {self.name} is closed.")
        try:
            listener = await self._connection.forward_local_port("127.0.0.1", local_port, address, port)
        except OSError as error:
            raise ActionFailed(
                f"port {local_port} of this machine cannot be used: {error.strerror or error}.",
                hint="Leave it out to have a free one chosen.",
            ) from None
        try:
            yield listener.get_port()
        finally:
            listener.close()

    async def dial(self, make: Callable[[], asyncio.Protocol], address: str, port: int) -> asyncio.Transport:
        """Connect a protocol to `address:port` as the host sees it."""
        if self._closed.done():
            raise Unreachable(f"the connection to {self.name} is closed.")
        transport = await dial(self.name, self._connection, make, (address, port), self._opening)
        _answer_as_usual(self._connection)
        return transport

    @property
    def closed(self) -> Awaitable[HostError | None]:
        """Done when the connection is gone."""
        return asyncio.shield(self._closed)

    async def close(self) -> None:
        """Say goodbye, or hang up where nobody listens."""
        self._ours = True
        try:
            self._connection.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._connection.wait_closed(), _CLOSE_TIMEOUT)
        finally:
            self._connection.abort()
            self._clean()
            if not self._closed.done():
                self._closed.set_result(None)
            await self._release()

    def _gone(self, lost: asyncio.Future[BaseException | None]) -> None:
        self._clean()
        if not self._closed.done():
            reason = None if lost.cancelled() else lost.result()
            self._closed.set_result(None if self._ours else translate.of_loss(self.name, reason))

    def _clean(self) -> None:
        self._sockets.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _spare_ignored_packets(connection: asyncssh.SSHClientConnection) -> None:
    """Send no empty packet before each packet, as asyncssh does: a fifth of what sending costs.

    They are a defence for ciphers in CBC mode (RFC 4251, 9.3.1) and of no use where the cipher is AEAD.
    """
    cipher = str(connection.get_extra_info("send_cipher"))
    if "gcm" not in cipher and "chacha20" not in cipher:
        return
    send = connection.send_packet

    def send_packet(kind: int, *parts: bytes, **more: Any) -> None:
        if kind != asyncssh.constants.MSG_IGNORE or parts != (_EMPTY,):
            send(kind, *parts, **more)

    setattr(connection, "send_packet", send_packet)  # noqa: B010  # a method, on this one connection


def _answer_at_once(connection: asyncssh.SSHClientConnection) -> None:
    """Acknowledge what comes before the first channel is open, without the 40 ms that a kernel waits for it.

    Until then sshd sends no packet while one before it is not acknowledged (Nagle), and tells of its host
    keys just before it confirms the channel. Who opens channels for a forward does not tell us: so it also
    ends once something came a few times.
    """
    sock = connection.get_extra_info("socket")
    if sock is None or not hasattr(socket, "TCP_QUICKACK"):
        return
    receive = connection.data_received
    left = _FIRST

    def data_received(data: bytes, datatype: int | None = None) -> None:
        nonlocal left
        left -= 1
        if not left:
            _answer_as_usual(connection)
        receive(data, datatype)
        with contextlib.suppress(OSError):  # it may be closed by now, or be no socket of TCP
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    setattr(connection, "data_received", data_received)  # noqa: B010  # a method, on this one connection


def _answer_as_usual(connection: asyncssh.SSHClientConnection) -> None:
    vars(connection).pop("data_received", None)


def _hang_up(opened: asyncio.Future[asyncssh.SSHClientProcess[bytes]]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        _end(opened.result(), "KILL")


def _end(process: asyncssh.SSHClientProcess[bytes], wish: str) -> None:
    """Close a channel. Without a pty sshd tells a command nothing of that, and counts it among the sessions
    that a connection may have for as long as it runs: so it gets a signal, with its group. (OpenSSH passes
    signals on from 7.9, and never to what runs as root.)
    """
    if process.exit_status is None and process.exit_signal is None:
        with contextlib.suppress(*_TROUBLE):
            process.send_signal(wish)
    process.close()
