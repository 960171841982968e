"""This machine as a link: child processes instead of channels."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from backend.child import started
from backend.errors import ActionFailed, HostError, Unreachable
from backend.link.api import STDERR_KEPT, Completed
from backend.link.lines import split_lines

_GRACE = 2.0
"""Seconds a child has to end after its stdin ended and SIGTERM came."""


class LocalProcess:
    """A child process of ours, in a process group of its own so that Ctrl-C is ours alone."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._stderr = bytearray()
        self._reader = asyncio.create_task(self._keep_stderr())

    def __aiter__(self) -> AsyncIterator[bytes]:
        assert self._process.stdout is not None
        return split_lines(self._process.stdout.read)

    async def read(self, size: int) -> bytes:
        """The next bytes of its stdout."""
        assert self._process.stdout is not None
        return await self._process.stdout.read(size)

    async def write(self, data: bytes) -> None:
        """Send to its stdin."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (OSError, RuntimeError):
            raise Unreachable("the process has ended.") from None

    def write_eof(self) -> None:
        """End its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    @property
    def stderr(self) -> bytes:
        """The last 4 KB it wrote there."""
        return bytes(self._stderr)

    async def wait(self) -> int:
        """Wait for its end; its exit status, or minus the signal's number."""
        code = await self._process.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reader), 0.5)  # a grandchild may hold the pipe
        return code

    async def close(self) -> None:
        """End of input, SIGTERM, then SIGKILL."""
        self.write_eof()
        try:
            for wish in (signal.SIGTERM, signal.SIGKILL):
                if self._process.returncode is not None:
                    break
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(wish)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), _GRACE)
        finally:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
            self._reader.cancel()
            self._process._transport.close()  # type: ignore[attr-defined]  # pipes a grandchild still holds

    async def _keep_stderr(self) -> None:
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(STDERR_KEPT):
            self._stderr += chunk
            del self._stderr[:-STDERR_KEPT]


class LocalLink:
    """The machine berth runs on."""

    local = True

    def __init__(self, name: str) -> None:
        self.name = name
        self._processes: set[LocalProcess] = set()
        self._closed: asyncio.Future[HostError | None] = asyncio.get_running_loop().create_future()

    async def start(self, argv: Sequence[str]) -> LocalProcess:
        """Start a child process."""
        if self._closed.done():
            raise Unreachable(f"{self.name}: the link is closed.")
        try:
            child = await _started(argv)
        except OSError as error:
            raise ActionFailed(f"{argv[0]} cannot be started: {error.strerror}.") from None
        process = LocalProcess(child)
        self._processes = {each for each in self._processes if each._process.returncode is None}
        self._processes.add(process)
        return process

    async def start_script(self, script: str, argv: Sequence[str]) -> LocalProcess:
        """Start a script: there is no login shell here."""
        return await self.start(["sh", "-c", script, "berth", *argv])

    async def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float) -> Completed:
        """Run a command to its end."""
        try:
            child = await _started(argv)
        except FileNotFoundError:
            return Completed(127, b"", f"{argv[0]}: not found".encode())
        except OSError as error:
            return Completed(126, b"", f"{argv[0]}: {error.strerror}".encode())
        try:
            async with asyncio.timeout(timeout):
                out, err = await child.communicate(input)
        except BaseException:
            await _end_group(child)
            raise
        assert child.returncode is not None
        return Completed(child.returncode, out, err)

    async def forward_socket(self, remote_path: str) -> str:
        """The socket itself: it is on this machine."""
        return remote_path

    @contextlib.asynccontextmanager
    async def forward_port(self, address: str, port: int, local_port: int = 0) -> AsyncIterator[int]:
        """A port here that leads to another address of this machine."""

        relays: set[asyncio.Task[None]] = set()

        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            relay = asyncio.create_task(_relay(reader, writer, address, port))
            relays.add(relay)
            relay.add_done_callback(relays.discard)

        try:
            server = await asyncio.start_server(serve, "127.0.0.1", local_port)
        except OSError as error:
            raise ActionFailed(
                f"port {local_port} of this machine cannot be used: {error.strerror or error}.",
                hint="Leave it out to have a free one chosen.",
            ) from None
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for relay in relays:
                relay.cancel()
            await asyncio.gather(*relays, return_exceptions=True)

    async def dial(self, make: Callable[[], asyncio.Protocol], address: str, port: int) -> asyncio.Transport:
        """Connect a protocol to an address of this machine."""
        if self._closed.done():
            raise Unreachable(f"{self.name}: the link is closed.")
        transport, _ = await asyncio.get_running_loop().create_connection(make, address, port)
        return transport

    @property
    def closed(self) -> Awaitable[HostError | None]:
        """Done once `close` was called."""
        return asyncio.shield(self._closed)

    async def close(self) -> None:
        """End all children."""
        if not self._closed.done():
            self._closed.set_result(None)
        children, self._processes = self._processes, set()
        await asyncio.gather(*(each.close() for each in children), return_exceptions=True)


async def _started(argv: Sequence[str]) -> Process:
    """A child that leads a session of its own."""
    return await started(_end_group, *argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True)


async def _end_group(child: Process) -> None:
    """SIGKILL a child that leads a session of its own, with its group; never wait long for what left it."""
    try:
        if child.returncode is None or not _exists(child.pid):  # a pid that is back is somebody else's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), _GRACE)
    finally:
        child._transport.close()  # type: ignore[attr-defined]  # pipes that a daemon still holds


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, port: int) -> None:
    """Join one connection to another address until both sides have ended, or one broke off."""
    with contextlib.closing(writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(address, port)
        except OSError:
            return
        with contextlib.closing(far_writer):
            try:
                async with asyncio.TaskGroup() as group:  # an error on one side ends both
                    group.create_task(_pump(reader, far_writer))
                    group.create_task(_pump(far_reader, writer))
            except* OSError:
                pass


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the reader ends; then say so to the writer. Raises `OSError` where one of them breaks."""
    while data := await reader.read(64 * 1024):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
