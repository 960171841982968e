"""The real rsync, over the connection that is already open: no second login, no second password."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import shutil
import struct
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import NamedTuple

from backend.errors import ActionFailed, BerthError, UsageError
from backend.link import Link, LinkProcess
from backend.link.sockets import make as private_folder
from backend.text import printable

REMOTE = "berth"
"""What stands for the host in rsync's arguments: `berth:PATH`."""
_PIECE = 1 << 16
_MISSING = {12, 127}
"""Exit codes that a missing rsync on the host gives."""


class Ended(NamedTuple):
    """An rsync that ended."""

    returncode: int
    stdout: bytes
    stderr: str


async def rsync(link: Link, arguments: Sequence[str], *, input: bytes = b"") -> Ended:
    """Run rsync with these arguments; `berth:PATH` is a path of the host, whatever is in it.

    Raises `UsageError` where this machine has no rsync, `ActionFailed` where the host has none. Other
    failures are the caller's to judge, by rsync's exit code. A cancel ends it on both sides.
    """
    program = shutil.which("rsync")
    if program is None:
        raise UsageError("rsync is not installed on this machine.", hint="Install it: sudo apt install rsync")
    async with _remote_shell(link) as shell:
        process = await asyncio.create_subprocess_exec(
            program,
            *("--rsh", shell, "-s", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate(input)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
    said = err.decode(errors="replace").strip()
    if process.returncode in _MISSING and ("not found" in said or "No such file" in said):
        raise ActionFailed(f"{link.name} has no rsync.", hint="Install it there: sudo apt install rsync")
    return Ended(process.returncode or 0, out, said)


def explained(host: str, ended: Ended) -> ActionFailed:
    """The error of an rsync that failed."""
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("rsync error:")]
    why = printable("; ".join(lines[-3:]) or f"exit code {ended.returncode}", 400)
    hint = "Free some space there." if "No space left" in ended.stderr else ""
    return ActionFailed(f"{host}: rsync: {why}.", hint=hint)


@asynccontextmanager
async def _remote_shell(link: Link) -> AsyncIterator[str]:
    """What rsync has to start; it comes back to us over a socket that only we can enter."""
    folder = private_folder()
    tasks: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_serve(link, reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    path = str(folder / "rsh")
    try:
        server = await asyncio.start_unix_server(serve, path, limit=_PIECE)
        try:
            with resources.as_file(resources.files("backend").joinpath("rsh.py")) as script:
                yield shlex.join([sys.executable, "-I", "-S", str(script), path])
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


async def _serve(link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One remote command."""
    process: LinkProcess | None = None
    try:
        argv = json.loads(await reader.readline())
        process = await link.start([str(word) for word in argv])
        sending = asyncio.create_task(_send(process, reader))
        try:
            while piece := await process.read(_PIECE):
                await _frame(writer, 1, piece)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        code = await process.wait()
        if process.stderr:
            await _frame(writer, 2, process.stderr)
        await _frame(writer, 3, struct.pack(">i", code))
    except (BerthError, OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            await _frame(writer, 2, f"{error}\n".encode())
    finally:
        if process is not None:
            await process.close()
        writer.close()


async def _send(process: LinkProcess, reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(BerthError):
        while piece := await reader.read(_PIECE):
            await process.write(piece)
        process.write_eof()


async def _frame(writer: asyncio.StreamWriter, kind: int, data: bytes) -> None:
    writer.write(struct.pack(">BI", kind, len(data)) + data)
    await writer.drain()
