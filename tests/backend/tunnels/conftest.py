"""Tunnels over links of this machine, which can be lost and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backend.actions.context import ActionContext
from backend.config import Config, HostConfig
from backend.errors import HostError, Unreachable
from backend.link.local import LocalLink
from backend.tunnels.keeping import Keeper
from backend.tunnels.tunnel import Far, Tunnel


class Wire(LocalLink):
    """A link to a host that happens to be this machine."""

    local = False

    def cut(self) -> None:
        """It is lost."""
        if not self._closed.done():
            self._closed.set_result(Unreachable(f"{self.name} is away."))


class Network:
    """Lends links to one host, as long as it is there."""

    state = None

    def __init__(self) -> None:
        self.there = True
        self.wire = Wire("h1")
        self.asked = 0

    async def link(self, host: str) -> Wire:
        self.asked += 1
        if not self.there:
            raise Unreachable(f"{host} does not answer.")
        if self.wire._closed.done():
            self.wire = Wire(host)
        return self.wire

    async def engine(self, host: str) -> Any:
        raise HostError("there is no engine.")

    def lose(self) -> None:
        self.there = False
        self.wire.cut()


class Said:
    """What a tunnel says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def report(self, line: str) -> None:
        self.lines.append(line)


class Bed:
    """A tunnel that is held, and what is around it."""

    def __init__(self, tmp_path: Path) -> None:
        self.network, self.said = Network(), Said()
        config = Config(directory=tmp_path, hosts=(HostConfig(name="h1", host="h1"),))
        self.ctx = ActionContext(config, self.network, self.said)  # type: ignore[arg-type]

    @asynccontextmanager
    async def held(self, port: int, *, local: int = 0, exact: bool = False) -> AsyncIterator[Tunnel]:
        """A tunnel to a port of the host, once it is open."""
        opened: asyncio.Future[Tunnel] = asyncio.get_running_loop().create_future()
        keeper = Keeper(self.ctx, Far(host="h1", service=str(port)), port)
        task = asyncio.create_task(
            keeper.keep(local=local, exact=exact, told=lambda it: opened.done() or opened.set_result(it))
        )
        try:
            await asyncio.wait({task, opened}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            yield await opened
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    return Bed(tmp_path)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    """Its port."""
    running = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    try:
        yield running.sockets[0].getsockname()[1]
    finally:
        running.close()


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with capitals once the question is over."""
    writer.write((await reader.read()).upper())
    writer.close()


async def ask(port: int, text: bytes) -> bytes:
    """One connection: the answer to `text`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def until(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not (found := true()):
            await asyncio.sleep(0.01)
        return found
