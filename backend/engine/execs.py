"""Commands inside a container: their output as it comes, their exit code, and no process left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import BufferedReader
from typing import Any

import msgspec
from msgspec import Struct

from backend import processes
from backend.engine import faults
from backend.engine.caller import Caller
from backend.engine.lane import Lane
from backend.errors import BerthError
from backend.link import Link

STDOUT = 1
STDERR = 2
KEPT = 1024 * 1024
"""Bytes of each stream that an `ExecResult` keeps, the last ones."""
_PIECE = 64 * 1024
_CLEAN_UP = 6.0
"""Seconds for ending a command that nobody waits for any more."""


class ExecResult(Struct, frozen=True):
    """A command that ended."""

    exit_code: int
    stdout: bytes = b""
    """Its last bytes; empty where the output went elsewhere."""
    stderr: bytes = b""


class _Created(Struct, frozen=True):
    Id: str


class _Exec(Struct, frozen=True):
    """What the engine says of a command."""

    Running: bool
    ExitCode: int | None = None
    Pid: int = 0
    """On the host."""
    ContainerID: str = ""


class Execs(Caller):
    """The part of the client that runs commands."""

    link: Link

    async def exec(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str = "",
        workdir: str | None = None,
        env: Mapping[str, str] | None = None,
        output: Callable[[int, bytes], None] | None = None,
    ) -> ExecResult:
        """Run a command in a running container to its end, without a terminal and without input.

        `output(stream, data)` is called for each piece as it comes (1 is stdout, 2 is stderr); without it the
        last megabyte of each is kept. A cancel ends the command: SIGTERM, then SIGKILL.
        """
        doing = f"run {argv[0]}" if argv else "run nothing"

        def create(lane: Lane) -> str:
            variables = dict(env) if env else None
            made = lane.exec_create(container, list(argv), user=user, workdir=workdir, environment=variables)
            return msgspec.convert(made, _Created).Id

        exec_id = await self.call(doing, create)
        kept = {STDOUT: bytearray(), STDERR: bytearray()}

        def keep(stream: int, data: bytes) -> None:
            held = kept.setdefault(stream, bytearray())
            held += data
            del held[:-KEPT]

        finished = False
        try:
            async for stream, data in self.stream(doing, lambda lane: _frames(lane, exec_id)):
                (output or keep)(stream, data)
            code = await self._exit_code(exec_id, doing)
            finished = True
        finally:
            if not finished:
                await self._end(container, exec_id)
        return ExecResult(code, bytes(kept[STDOUT]), bytes(kept[STDERR]))

    async def _exit_code(self, exec_id: str, doing: str) -> int:
        """The exit code, which the engine may know a moment later than the end of the output."""
        for pause in (0.0, 0.02, 0.1, 0.5, 1.0, 2.0):
            await asyncio.sleep(pause)
            state = await self._exec_state(exec_id)
            if state.ExitCode is not None and not state.Running:
                return state.ExitCode
        raise faults.lost(self.host, doing)

    async def _exec_state(self, exec_id: str) -> _Exec:
        def ask(lane: Lane) -> _Exec:
            return msgspec.convert(lane.exec_inspect(exec_id), _Exec)

        return await self.call("look at a command", ask, timeout=_CLEAN_UP)

    async def _end(self, container: str, exec_id: str) -> None:
        """End a command that still runs: it would outlive us otherwise."""

        async def end() -> None:
            with suppress(BerthError, TimeoutError):
                state = await self._exec_state(exec_id)
                if state.Running and state.Pid:
                    await processes.end_group(self.link, self, state.ContainerID or container, state.Pid)

        ending = asyncio.create_task(end())
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLEAN_UP):
                await asyncio.shield(ending)


def _frames(lane: Lane, exec_id: str) -> Iterator[tuple[int, bytes]]:
    """Pieces of output with the number of their stream.

    Read through what read the answer's head: output that came along with it waits there, not in the socket
    from which the SDK itself reads on. Frames: Docker Engine API, ContainerAttach, "Stream format".
    """
    socket: Any = lane.exec_start(exec_id, socket=True)
    reader: BufferedReader = socket._response.raw._fp.fp
    try:
        while len(head := reader.read(8)) == 8:
            left = int.from_bytes(head[4:], "big")
            while left and (data := reader.read1(min(left, _PIECE))):
                left -= len(data)
                yield head[0], data
    finally:
        socket._response.close()
        socket.close()
