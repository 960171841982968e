"""The real rsync, over the connection that is already open: no second login, no second password."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import NamedTuple

from backend.errors import ActionFailed, BerthError, UsageError
from backend.link import Link, LinkProcess
from backend.link.sockets import make as private_folder
from backend.text import printable

REMOTE = "berth"
"""What stands for the host in rsync's arguments: `berth:PATH`."""
_PIECE = 1 << 18
_PACKET = 1 << 15
"""Bytes that OpenSSH takes in a packet."""
_TURN = 1 << 19
"""Bytes after which others get their turn: less than a millisecond's work."""
_PATIENCE = 10.0
"""Seconds that the program rsync starts has to say what it wants."""
_MISSING = {12, 127}
"""Exit codes that a missing rsync on the host gives."""


class Ended(NamedTuple):
    """An rsync that ended."""

    returncode: int
    stdout: bytes
    stderr: str


async def rsync(
    link: Link,
    arguments: Sequence[str | bytes],
    *,
    input: bytes = b"",
    folder: str | None = None,
    heard: Callable[[bytes], None] | None = None,
    after: asyncio.Event | None = None,
) -> Ended:
    """Run rsync with these arguments; `berth:PATH` is a path of the host, whatever is in it.

    `folder`: where it runs. `heard` is given what it writes to its standard output, piece by piece; else
    that is in the answer. `after`: nothing begins on the host before that is set.
    Raises `UsageError` where this machine has no rsync, `ActionFailed` where the host has none. Other
    failures are the caller's to judge, by rsync's exit code. A cancel ends it on both sides.
    """
    program = shutil.which("rsync")
    if program is None:
        raise UsageError("rsync is not installed on this machine.", hint="Install it: sudo apt install rsync")
    there = _There(after)
    async with _remote_shell(link, there) as shell:
        process = await asyncio.create_subprocess_exec(
            program,
            *("--rsh", shell, "-s", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
        )
        try:
            out, err = await _talk(process, input, heard)
            await there.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()  # it removes its temporary files then
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), 2.0)
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                await process.wait()
    said = _joined(err, there.stderr)
    code = process.returncode or there.code
    if code in _MISSING and ("not found" in said or "No such file" in said):
        raise ActionFailed(f"{link.name} has no rsync.", hint="Install it there: sudo apt install rsync")
    return Ended(code, out, said)


class _There:
    """How the command on the host ended, and what it wrote to its standard error.

    It does not come by the shell that rsync has started: that is gone at once, since rsync would look only
    every 20 ms whether it has ended.
    """

    def __init__(self, after: asyncio.Event | None) -> None:
        self.after = after
        self.stderr = b""
        self.code = 0
        self.ended = asyncio.Event()

    async def wait(self) -> None:
        """Until it has ended, if it does so soon."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), 2.0)


def _joined(here: bytes, there: bytes) -> str:
    """Both, what is the same only once."""
    lines = here.decode(errors="replace").splitlines()
    more = [line for line in there.decode(errors="replace").splitlines() if line not in lines]
    return "\n".join([*more, *lines]).strip()


async def _talk(
    process: asyncio.subprocess.Process, input: bytes, heard: Callable[[bytes], None] | None
) -> tuple[bytes, bytes]:
    """Its standard output, unless somebody hears it, and its standard error."""
    if heard is None:
        return await process.communicate(input)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None

    async def tell(stdin: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            stdin.write(input)
            await stdin.drain()
        stdin.close()

    async def hear(stdout: asyncio.StreamReader) -> None:
        while piece := await stdout.read(_PIECE):
            heard(piece)

    async with asyncio.TaskGroup() as group:
        group.create_task(tell(process.stdin))
        group.create_task(hear(process.stdout))
        errors = group.create_task(process.stderr.read())
    await process.wait()
    return b"", errors.result()


def explained(host: str, ended: Ended) -> ActionFailed:
    """The error of an rsync that failed."""
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("rsync error:")]
    why = printable("; ".join(lines[-3:]) or f"exit code {ended.returncode}", 400)
    hint = "Free some space there." if "No space left" in ended.stderr else ""
    return ActionFailed(f"{host}: rsync: {why}.", hint=hint)


@asynccontextmanager
async def _remote_shell(link: Link, there: _There) -> AsyncIterator[str]:
    """What rsync has to start; it comes back to us over a socket that only we can enter."""
    folder = private_folder()
    path = str(folder / "rsh")
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            listener.setblocking(False)
            task = asyncio.create_task(_accept(link, listener, there))
            try:
                with resources.as_file(resources.files("backend").joinpath("rsh.py")) as script:
                    yield shlex.join([sys.executable, "-I", "-S", str(script), path])
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


async def _accept(link: Link, listener: socket.socket, there: _There) -> None:
    """Serve the one that comes."""
    loop = asyncio.get_running_loop()
    connection, _ = await loop.sock_accept(listener)
    with connection:
        descriptors: list[int] = []
        try:
            argv = await asyncio.to_thread(_wanted, connection, descriptors)
            await _serve(link, argv, descriptors, there)
        finally:
            for each in descriptors:
                os.close(each)


def _wanted(connection: socket.socket, descriptors: list[int]) -> list[str]:
    """The command, and in `descriptors` the pipes of who wants it."""
    connection.settimeout(_PATIENCE)
    data, found, _, _ = socket.recv_fds(connection, 1 << 16, 2)
    descriptors += found
    while piece := connection.recv(1 << 16):
        data += piece
    if len(found) < 2 or not data.endswith(b"\0"):
        raise OSError("it went away")
    return [os.fsdecode(word) for word in data[1:-1].split(b"\0")]


async def _serve(link: Link, argv: list[str], pipes: list[int], there: _There) -> None:
    """One remote command between rsync's pipes and a channel."""
    loop = asyncio.get_running_loop()
    process: LinkProcess | None = None
    source, target = (os.fdopen(pipes.pop(0), mode, 0) for mode in ("rb", "wb"))
    outgoing, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, target)
    writer = asyncio.StreamWriter(outgoing, protocol, None, loop)
    try:
        if there.after is not None:
            await there.after.wait()
        process = await link.start(argv)
        sending = asyncio.create_task(_send(process, source.fileno()))
        try:
            while piece := await process.read(_PIECE):
                writer.write(piece)
                await writer.drain()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        there.code = await process.wait() & 0xFF  # 255 where the connection was lost, as ssh has it
        there.stderr = process.stderr
    except (BerthError, OSError, ValueError) as error:
        there.code, there.stderr = 255, f"{error}\n".encode()
    finally:
        there.ended.set()
        source.close()
        outgoing.close()
        if process is not None:
            await process.close()


async def _send(process: LinkProcess, pipe: int) -> None:
    """Give a command what rsync writes, in whole packets: rsync adds a few bytes to each block, and those
    in a packet of their own would cost as much as the block.
    """
    readable = _Readable(pipe)
    buffer = memoryview(bytearray(_PIECE))
    held = alone = 0
    try:
        while True:
            try:
                got = os.readv(pipe, [buffer[held:]])
            except BlockingIOError:
                if held:
                    await process.write(bytes(buffer[:held]))
                    held = 0
                await readable.wait()
                alone = 0
                continue
            if not got:
                break
            held += got
            whole = held - held % _PACKET
            if whole:
                await process.write(bytes(buffer[:whole]))
                buffer[: held - whole] = buffer[whole:held]
                held -= whole
                alone += whole
            if alone >= _TURN:  # a write that does not have to wait lets nobody else run
                await asyncio.sleep(0)
                alone = 0
        if held:
            await process.write(bytes(buffer[:held]))
        process.write_eof()
    except BerthError:
        pass  # what reads from it tells
    finally:
        readable.close()


class _Readable:
    """Waits for a pipe, which stays known to the loop between waits: to tell it costs more than a wait."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._loop = asyncio.get_running_loop()
        self._known = False
        self._waiting: asyncio.Future[None] | None = None
        os.set_blocking(pipe, False)

    async def wait(self) -> None:
        """Until it can be read, or has ended."""
        self._waiting = self._loop.create_future()
        if not self._known:
            self._loop.add_reader(self._pipe, self._ready)
            self._known = True
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _ready(self) -> None:
        if self._waiting is None:  # nobody reads for now: it would be told again at once, and again
            self.close()
        elif not self._waiting.done():
            self._waiting.set_result(None)

    def close(self) -> None:
        """The loop forgets it."""
        if self._known:
            self._loop.remove_reader(self._pipe)
            self._known = False
