"""A connection that plays what an agent says: the one stand-in of these tests, put where the network is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from backend.config import HostConfig
from backend.errors import HostError, Unreachable
from backend.link import Completed

HELLO = {
    "protocol": 1,
    "hostname": "fake",
    "os": "Fake OS",
    "kernel": "6.0",
    "arch": "x86_64",
    "python": "3.11",
    "cpus": 4,
    "numa_nodes": 1,
    "user": "alice",
    "uid": 1000,
    "pid": 42,
}
STATS = {"cpu_percent": 12.5, "load1": 0.5, "mem_used": 10, "mem_total": 100}
ENGINE = {"state": "up", "kind": "docker", "version": "27.0", "socket": "/run/docker.sock"}


def line(section: str, data: Any, at: float = 1_750_000_000.0) -> bytes:
    """One line of an agent."""
    return json.dumps({"s": section, "t": at, "d": data}).encode()


def container(name: str, **fields: Any) -> dict[str, Any]:
    """One container as an agent tells of it."""
    return {"id": name.ljust(64, "0"), "name": name, "image": "busybox", "state": "running", **fields}


def picture(*containers: dict[str, Any]) -> list[bytes]:
    """The first lines of a healthy host."""
    return [
        line("hello", HELLO),
        line("host", STATS),
        line("disk", [{"mount": "/", "role": "root", "used": 10, "total": 100, "free": 90}]),
        line("engine", ENGINE),
        line("gpus", {"gpus": []}),
        line("containers", list(containers)),
    ]


class FakeAgent:
    """A process: says what is `say`-ed, remembers what it is told, answers pings unless it is `deaf`."""

    def __init__(self, lines: Sequence[bytes] = (), *, deaf: bool = False) -> None:
        self.told: list[dict[str, Any]] = []
        self.stderr = b""
        self.closed = False
        self.deaf = deaf
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.say(b'{"berth":"run"}', *lines)

    def say(self, *lines: bytes) -> None:
        """The next lines."""
        for each in lines:
            self._lines.put_nowait(each)

    def end(self, code: int = -9, stderr: bytes = b"") -> None:
        """It ends."""
        self.stderr = stderr
        if not self._code.done():
            self._code.set_result(code)
        self._lines.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (each := await self._lines.get()) is not None:
            yield each

    async def read(self, size: int) -> bytes:
        """Nobody reads an agent but by lines."""
        raise NotImplementedError

    async def write(self, data: bytes) -> None:
        if self._code.done():
            raise Unreachable("ended")
        for each in data.splitlines():
            command = json.loads(each)
            if isinstance(command, dict):
                self.told.append(command)
                if command.get("cmd") == "ping" and not self.deaf:
                    self.say(line("pong", {"id": command["id"]}))

    def write_eof(self) -> None:
        self.end(0)

    async def wait(self) -> int:
        return await self._code

    async def close(self) -> None:
        self.closed = True
        self.end(-15)


class FakeLink:
    """A connection to one fake host; each start of a command is a new agent, made by `agents`."""

    local = False

    def __init__(self, name: str, agents: Callable[[], FakeAgent]) -> None:
        self.name = name
        self.agents: list[FakeAgent] = []
        self.shut = False
        self._make = agents
        self._closed: asyncio.Future[HostError | None] = asyncio.get_running_loop().create_future()

    async def start(self, argv: Sequence[str]) -> FakeAgent:
        self.agents.append(self._make())
        return self.agents[-1]

    async def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float) -> Completed:
        return Completed(127, b"", b"not found")

    async def forward_socket(self, remote_path: str) -> str:
        return remote_path

    @property
    def closed(self) -> Awaitable[HostError | None]:
        return asyncio.shield(self._closed)

    def cut(self, error: HostError | None = None) -> None:
        """The connection is lost."""
        if not self._closed.done():
            self._closed.set_result(error or Unreachable("cut"))
        for agent in self.agents:
            agent.end()

    async def close(self) -> None:
        self.shut = True
        if not self._closed.done():
            self._closed.set_result(None)


class FakeNetwork:
    """An opener for fleets: hosts by name, each healthy unless told otherwise."""

    def __init__(self) -> None:
        self.links: dict[str, list[FakeLink]] = {}
        self.failures: dict[str, HostError] = {}
        """Hosts that cannot be reached, and why."""
        self.attempts: dict[str, int] = {}
        self.agents: dict[str, Callable[[], FakeAgent]] = {}
        """How a host's next agent is; default: a healthy one."""
        self.hang: set[str] = set()
        """Hosts whose connection never comes about."""

    async def open(self, host: HostConfig) -> FakeLink:
        self.attempts[host.name] = self.attempts.get(host.name, 0) + 1
        if host.name in self.hang:
            await asyncio.get_running_loop().create_future()
        if (error := self.failures.get(host.name)) is not None:
            raise error
        make = self.agents.get(host.name, lambda: FakeAgent(picture(container(f"{host.name}-c"))))
        made = FakeLink(host.name, make)
        self.links.setdefault(host.name, []).append(made)
        return made

    def link(self, name: str) -> FakeLink:
        """The newest connection to a host."""
        return self.links[name][-1]

    def agent(self, name: str) -> FakeAgent:
        """The newest agent on a host."""
        return self.link(name).agents[-1]
