"""Engine sockets are found by `sh` alone: for hosts without python3, and before anything else is there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import enginefallback, link
from backend.config import HostConfig
from backend.enginesockets import find_sockets
from backend.errors import AgentFailed


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "an engine.sock"))
        yield str(tmp_path / "an engine.sock")


def here(path: str, engine: str = "auto") -> HostConfig:
    return HostConfig(name="local", host="local", local=True, socket=path, engine=engine)


async def test_the_configured_socket_is_the_only_one(path: str) -> None:
    found = await find_sockets(await link.open(here(path)), here(path))
    assert (found.use, found.denied) == ((path,), ()) and found.user
    gone = here(f"{path}.gone")
    assert (await find_sockets(await link.open(gone), gone)).use == ()


async def test_a_host_without_python_takes_the_same_one_or_says_why_not(path: str) -> None:
    for host, expected in ((here(path), path), (here(path, "none"), ""), (here(f"{path}.gone"), "")):
        connection = await link.open(host)
        if expected:
            assert await enginefallback.find_socket(connection, host) == expected
        else:
            with pytest.raises(AgentFailed, match="no engine socket"):
                await enginefallback.find_socket(connection, host)
