"""The dashboard's connections, lent to actions: waited for, given up, made anew with a new connection."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from backend import engine as engines
from backend.errors import EngineError, HostError, NoSuchTarget
from backend.logs.plain import PlainEngine
from backend.model import Engine, EngineState, HostSnapshot, HostState
from tests.tui.fakes import FakeFleet, config_of, down, host, state_of
from tui import access
from tui.access import FleetAccess


class Fleet(FakeFleet):
    def __init__(self, *hosts: HostSnapshot) -> None:
        super().__init__(state_of(hosts))
        self.links: dict[str, object] = {}

    def link(self, name: str):
        return self.links.get(name)


def connecting(name: str) -> HostSnapshot:
    return HostSnapshot(name=name, address=name, state=HostState.CONNECTING)


async def sockets(path: str) -> str:
    return f"/here{path}"


def a_link() -> SimpleNamespace:
    return SimpleNamespace(forward_socket=sockets)


@pytest.fixture
def made(monkeypatch) -> list[SimpleNamespace]:
    """Engine clients that were made, in order."""
    clients: list[SimpleNamespace] = []

    async def connect(link, config, known):
        client = SimpleNamespace(link=link, closed=False)
        client.close = lambda: setattr(client, "closed", True)
        clients.append(client)
        if link is None:
            raise EngineError("no engine")
        return client

    monkeypatch.setattr(engines, "connect", connect)
    return clients


async def test_a_host_that_is_being_connected_is_waited_for(tmp_path):
    fleet = Fleet(connecting("a"))
    lent = FleetAccess(fleet, config_of(fleet.state, tmp_path))
    waiting = asyncio.create_task(lent.link("a"))
    await asyncio.sleep(0)
    assert not waiting.done()
    fleet.links["a"] = link = a_link()
    fleet.publish(state_of([host("a")], revision=2))
    assert await waiting is link


async def test_a_host_that_is_down_says_why_and_one_that_is_none_too(tmp_path, monkeypatch):
    fleet = Fleet(down("a", "Connection refused."), connecting("b"))
    lent = FleetAccess(fleet, config_of(fleet.state, tmp_path))
    with pytest.raises(HostError, match=r"Connection refused\."):
        await lent.link("a")
    monkeypatch.setattr(access, "PATIENCE", 0.01)
    with pytest.raises(HostError, match="not connected yet"):
        await lent.link("b")
    with pytest.raises(NoSuchTarget):
        await lent.link("nope")


async def test_one_client_per_connection_and_a_new_one_for_a_new_connection(tmp_path, made):
    fleet = Fleet(host("a"))
    fleet.links["a"] = a_link()
    lent = FleetAccess(fleet, config_of(fleet.state, tmp_path))
    first, again = await asyncio.gather(lent.engine("a"), lent.engine("a"))
    assert first is again and len(made) == 1
    fleet.links["a"] = a_link()
    assert await lent.engine("a") is made[1] and made[0].closed
    await lent.close()
    assert made[1].closed


async def test_a_client_that_could_not_be_made_is_tried_again(tmp_path, monkeypatch):
    tries = []

    async def connect(link, config, known):
        tries.append(1)
        if len(tries) == 1:
            raise EngineError("hung")
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(engines, "connect", connect)
    fleet = Fleet(host("a"))
    fleet.links["a"] = a_link()
    lent = FleetAccess(fleet, config_of(fleet.state, tmp_path))
    with pytest.raises(EngineError):
        await lent.engine("a")
    assert await lent.engine("a")


async def test_logs_go_without_the_sdk_where_the_socket_is_known(tmp_path, made):
    known = host("a", engine=Engine(state=EngineState.UP, kind="docker", socket="/run/docker.sock"))
    fleet = Fleet(known, host("b", engine=Engine(state=EngineState.HUNG)))
    fleet.links.update(a=a_link(), b=a_link())
    lent = FleetAccess(fleet, config_of(fleet.state, tmp_path))
    light = await lent.log_engine("a")
    assert isinstance(light, PlainEngine) and light.endpoint == ("/here/run/docker.sock", "")
    assert made == []
    assert await lent.log_engine("b") is made[0]
