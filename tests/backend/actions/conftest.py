"""Real engines, containers in them, and a context in which actions run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backend import actions
from backend.actions.context import ActionContext
from backend.actions.runner import Result, run_one
from backend.agent.containers import inspected
from backend.config import Config, HostConfig
from backend.containerrows import container_row
from backend.engine import EngineClient, connect
from backend.link.local import LocalLink
from backend.model import Container, ContainerRow, HostSnapshot, HostState
from tests.backend import engined
from tests.backend.engined import IMAGE, Engined


def _need(program: str) -> None:
    if why := engined.missing(program):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)


@pytest.fixture(scope="package")
def dockerd() -> Iterator[Engined]:
    _need("dockerd")
    with engined.dockerd() as running:
        yield running


@pytest.fixture(scope="package")
def podman() -> Iterator[Engined]:
    _need("podman")
    with engined.podman() as running:
        yield running


def host_of(running: Engined) -> HostConfig:
    return HostConfig(name="h1", host="local", local=True, socket=running.socket)


async def _client(running: Engined) -> AsyncIterator[EngineClient]:
    link = LocalLink("h1")
    client = await connect(link, host_of(running))
    yield client
    for found in await client.containers():
        await client.remove(found["Id"], force=True, volumes=True)
    for image in await client.images():
        for name in image.get("RepoTags") or ("<none>:<none>",):
            if not name.endswith(IMAGE):
                nameless = name == "<none>:<none>"
                await client.remove_image(image["Id"] if nameless else name, force=True)
    client.close()
    await link.close()


@pytest.fixture
async def docker(dockerd: Engined) -> AsyncIterator[EngineClient]:
    """A client of a Docker engine that is empty again afterwards."""
    async for client in _client(dockerd):
        yield client


@pytest.fixture(params=["docker", "podman"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[EngineClient]:
    """The same for both kinds of engine."""
    running = request.getfixturevalue("dockerd" if request.param == "docker" else "podman")
    async for client in _client(running):
        yield client


async def new(engine: EngineClient, name: str = "web", *command: str, start: bool = True, **host: Any) -> str:
    """A container; sleeps unless told otherwise. Its id."""
    body = {
        "Image": IMAGE,
        "Cmd": list(command) or ["sleep", "1000"],
        "HostConfig": {"NetworkMode": "host", **host},
    }
    made = await engine.create(body, name)
    if start:
        await engine.start(made)
    return made


async def row_of(engine: EngineClient, container: str) -> ContainerRow:
    """The row that lists would show of it now."""
    entry = inspected(await engine.inspect(container))
    assert entry is not None
    wire = msgspec.convert(entry.wire, Container)
    host = HostSnapshot(name="h1", address="local", state=HostState.UP)
    return container_row(host, wire, gpus={}, gpu_mem=None, context=None, now=datetime.now(UTC))


class Answers:
    """A person: hears reports, answers questions by the part of them that is known."""

    def __init__(self, *yes: str) -> None:
        self.yes = yes
        self.lines: list[str] = []
        self.asked: list[str] = []
        self.moves: list[tuple[int, int | None]] = []
        self.on_move: Callable[[int], None] = lambda done: None

    def report(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, done: int, total: int | None) -> None:
        self.moves.append((done, total))
        self.on_move(done)

    async def confirm(self, question: str) -> bool:
        self.asked.append(question)
        return any(part in question for part in self.yes)


class OneEngine:
    """Access to one engine and its link."""

    state = None

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    async def link(self, host: str) -> Any:
        return self._engine.link

    async def engine(self, host: str) -> EngineClient:
        return self._engine


Act = Callable[..., Awaitable[Result]]


@pytest.fixture
def act(tmp_path: Path) -> Act:
    """Runs an action by name on a container, as front ends do: `await act(engine, "stop", id, grace=0)`."""

    async def go(
        engine: EngineClient,
        name: str,
        container: str | ContainerRow,
        voice: Answers | None = None,
        /,
        **options: Any,
    ) -> Result:
        row = await row_of(engine, container) if isinstance(container, str) else container
        host = HostConfig(name="h1", host="local", local=True, socket=engine.socket)
        config = Config(directory=tmp_path, hosts=(host,))
        ctx = ActionContext(config, OneEngine(engine), voice or Answers())
        return await run_one(actions.load()[name], row, options, ctx)

    return go


def children(word: str) -> list[str]:
    """Command lines of this machine's processes that hold `word`."""
    done = subprocess.run(["ps", "-eo", "stat=,args="], capture_output=True, text=True, check=True)
    lines = [line.split(None, 1) for line in done.stdout.splitlines()]
    return [args for stat, args in lines if word in args and not stat.startswith("Z")]
