"""The fleet over fake connections: what a reader of its states sees, whatever hosts do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import backoff, picture, reader
from backend.config import Config, HostConfig
from backend.errors import HostKeyChanged, HostKeyUnknown, LoginRefused, NoSuchTarget, Refused, Unreachable
from backend.fleet import PUBLISH_EVERY, Fleet
from backend.model import FleetState, HostSnapshot, HostState
from tests.backend import fakes
from tests.backend.fakes import FakeAgent, FakeNetwork, container, line

IN_TIME = 10.0


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries at once: how long they wait is a test of its own."""
    monkeypatch.setattr(backoff, "delay", lambda error, attempt: 0.02)


def config(*names: str, **fields: Any) -> Config:
    hosts = tuple(HostConfig(name=name, host=f"{name}.example", **fields) for name in names)
    return Config(directory=Path("/nowhere"), hosts=hosts)


async def until(fleet: Fleet, wish: Callable[[FleetState], object]) -> FleetState:
    """The first state for which `wish` holds."""
    async with asyncio.timeout(IN_TIME):
        async for state in fleet.updates():
            if wish(state):
                return state
    raise AssertionError("the fleet ended")


async def until_host(fleet: Fleet, name: str, wish: Callable[[HostSnapshot], object]) -> HostSnapshot:
    return (await until(fleet, lambda state: wish(state.hosts[name]))).hosts[name]


def titles(host: HostSnapshot) -> list[str]:
    return [warning.title for warning in host.warnings]


# ------------------------------------------------------------------------------------------ reading


async def test_hosts_come_up_with_all_they_have(network: FakeNetwork) -> None:
    async with Fleet(config("a", "b"), opener=network.open) as fleet:
        assert list(fleet.state.hosts) == ["a", "b"]
        assert fleet.state.hosts["a"].state is HostState.CONNECTING
        assert await fleet.settle(IN_TIME)
        host = fleet.state.hosts["b"]
        assert host.state is HostState.UP and host.error is None and host.warnings == ()
        assert host.hello and host.hello.hostname == "fake"
        assert [each.name for each in host.containers or ()] == ["b-c"]
        assert host.seen_at is not None
        assert fleet.link("b") is network.link("b")


async def test_each_section_replaces_its_part_and_latency_comes_from_pings(network: FakeNetwork) -> None:
    async with Fleet(config("a"), opener=network.open) as fleet:
        await fleet.settle(IN_TIME)
        first = fleet.state.hosts["a"]
        network.agent("a").say(line("usage", [{"id": "x", "cpu_percent": 5.0}]), line("containers", []))
        host = await until_host(
            fleet, "a", lambda host: host.containers == () and host.latency_ms is not None
        )
        assert host.usage["x"].cpu_percent == 5.0
        assert host.hello == first.hello and host.revision > first.revision
        assert first.containers, "a published snapshot never changes"


async def test_only_and_skip(network: FakeNetwork) -> None:
    with pytest.raises(NoSuchTarget):
        Fleet(config("a"), only=["b"], opener=network.open)
    async with Fleet(config("a", "b", skip=True), only=["b"], opener=network.open) as fleet:
        assert await fleet.settle(IN_TIME)
        assert {name: host.state for name, host in fleet.state.hosts.items()} == {"b": HostState.SKIPPED}
    assert not network.attempts


async def test_a_slow_reader_skips_states_and_several_may_read(network: FakeNetwork) -> None:
    async with Fleet(config("a"), opener=network.open) as fleet:
        await fleet.settle(IN_TIME)
        slow = fleet.updates()
        before = await anext(slow)
        for number in range(5):
            network.agent("a").say(line("containers", [container(f"c{number}")]))
            await until_host(
                fleet, "a", lambda host, n=number: host.containers and host.containers[0].name == f"c{n}"
            )
        after = await anext(slow)
        assert after.revision >= before.revision + 5
        assert (after.hosts["a"].containers or ())[0].name == "c4"


async def test_a_hundred_hosts_are_published_together(network: FakeNetwork) -> None:
    names = [f"h{number}" for number in range(100)]
    async with Fleet(config(*names), opener=network.open) as fleet:
        await fleet.settle(IN_TIME)
        start, began = fleet.state.revision, time.monotonic()
        for round_ in range(10):
            for name in names:
                network.agent(name).say(line("host", {"load1": float(round_)}))
            await until(
                fleet, lambda s, r=round_: all(h.stats and h.stats.load1 == r for h in s.hosts.values())
            )
        most = (time.monotonic() - began) / PUBLISH_EVERY + 2
        assert fleet.state.revision - start <= most, "1,000 lines, but no more than 20 states a second"


# ------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Unreachable("a does not answer.", hint="Is it on?"), HostState.DOWN),
        (LoginRefused("a does not let us in.", hint="ssh-add"), HostState.AUTH),
        (HostKeyUnknown("unknown", key="a ssh-ed25519 AAAA", fingerprint="SHA256:x"), HostState.HOST_KEY),
        (HostKeyChanged("changed"), HostState.HOST_KEY),
    ],
)
async def test_why_a_host_is_not_up_is_said_and_it_heals_by_itself(
    network: FakeNetwork, error: Any, state: HostState
) -> None:
    network.failures["a"] = error
    async with Fleet(config("a", "b"), opener=network.open) as fleet:
        assert await fleet.settle(IN_TIME), "a host that is not to be had is settled too"
        host = await until_host(fleet, "a", lambda host: host.state is state)
        assert host.error is not None and host.retry_at is not None
        assert (host.error.message, host.error.hint) == (error.message, error.hint)
        assert host.error.fingerprint == getattr(error, "fingerprint", "")
        assert fleet.state.hosts["b"].state is HostState.UP
        del network.failures["a"]
        host = await until_host(fleet, "a", lambda host: host.state is HostState.UP)
        assert host.error is None and host.retry_at is None


async def test_a_host_that_hangs_delays_nobody(network: FakeNetwork) -> None:
    network.hang.update({f"dead{number}" for number in range(50)})
    names = [*sorted(network.hang), "alive"]
    async with Fleet(config(*names), opener=network.open) as fleet:
        state = await until(fleet, lambda state: state.hosts["alive"].state is HostState.UP)
        assert all(state.hosts[name].state is HostState.CONNECTING for name in network.hang)
        assert not await fleet.settle(0.01), "50 hosts still connect"


async def test_a_lost_connection_keeps_the_data_as_stale_and_comes_back(network: FakeNetwork) -> None:
    async with Fleet(config("a"), opener=network.open) as fleet:
        await fleet.settle(IN_TIME)
        network.failures["a"] = Unreachable("still away")
        network.link("a").cut(Unreachable("the line is dead"))
        host = await until_host(fleet, "a", lambda host: host.state is HostState.DOWN)
        assert host.stale and host.error and host.containers and host.seen_at and host.retry_at
        assert fleet.link("a") is None
        del network.failures["a"]
        host = await until_host(fleet, "a", lambda host: host.state is HostState.UP)
        assert len(network.links["a"]) == 2 and not host.stale
        assert network.links["a"][0].shut


async def test_a_killed_agent_is_started_again_while_the_host_stays_up(network: FakeNetwork) -> None:
    async with Fleet(config("a"), opener=network.open) as fleet:
        await fleet.settle(IN_TIME)
        states: list[HostSnapshot] = []

        async def watch() -> None:
            async for state in fleet.updates():
                states.append(state.hosts["a"])

        watcher = asyncio.create_task(watch())
        network.agents["a"] = lambda: FakeAgent([], deaf=True)
        network.agent("a").end(-9)
        host = await until_host(fleet, "a", lambda host: "Agent failed" in titles(host))
        assert "signal 9" in host.warnings[-1].message and host.containers
        await until(fleet, lambda _: len(network.link("a").agents) == 2)
        network.agent("a").say(*fakes.picture(container("new")))
        host = await until_host(fleet, "a", lambda host: not host.warnings)
        watcher.cancel()
        assert len(network.links["a"]) == 1, "the connection was not given up"
        assert all(each.state is HostState.UP for each in states)


async def test_garbage_is_counted_and_harms_nothing(network: FakeNetwork) -> None:
    async with Fleet(config("a"), opener=network.open) as fleet:
        await fleet.settle(IN_TIME)
        junk = [b"\x00\xff\x1b[31m", b'{"s":"containers","t":1,"d":[{', b"", b"[" * 50_000]
        network.agent("a").say(*junk, line("host", {"load1": 7.0}))
        host = await until_host(fleet, "a", lambda host: host.stats and host.stats.load1 == 7.0)
        assert titles(host) == ["Garbage from the agent"]
        assert host.state is HostState.UP and host.containers


async def test_an_agent_of_another_protocol_is_named(network: FakeNetwork) -> None:
    network.agents["a"] = lambda: FakeAgent([line("hello", {**fakes.HELLO, "protocol": 99})])
    async with Fleet(config("a"), opener=network.open) as fleet:
        host = await until_host(fleet, "a", lambda host: host.warnings)
        assert "version 99" in host.warnings[0].message


async def test_a_silent_agent_is_replaced(network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SILENCE", 0.5)
    monkeypatch.setattr(reader, "PING_EVERY", 0.1)
    network.agents["a"] = lambda: FakeAgent(fakes.picture(), deaf=True)
    async with Fleet(config("a"), opener=network.open) as fleet:
        await fleet.settle(IN_TIME)
        host = await until_host(fleet, "a", lambda host: "Agent failed" in titles(host))
        assert "said nothing" in host.warnings[-1].message
        network.agents.clear()
        await until_host(fleet, "a", lambda host: not host.warnings)
        assert network.link("a").agents[0].closed


async def test_faults_of_probes_are_shown_until_they_are_over(network: FakeNetwork) -> None:
    async with Fleet(config("a"), opener=network.open) as fleet:
        await fleet.settle(IN_TIME)
        network.agent("a").say(line("fault", {"where": "gpus", "message": "NVML: lost"}))
        host = await until_host(fleet, "a", lambda host: host.warnings)
        assert "NVML: lost" in host.warnings[0].message
        network.agent("a").say(line("gpus", {"gpus": []}))
        await until_host(fleet, "a", lambda host: not host.warnings)


async def test_a_bug_in_one_host_is_that_hosts_error(
    network: FakeNetwork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = picture.add

    def buggy(snapshot: HostSnapshot, section: Any) -> HostSnapshot:
        if snapshot.name == "a":
            raise ZeroDivisionError("oops")
        return real(snapshot, section)

    monkeypatch.setattr(picture, "add", buggy)
    async with Fleet(config("a", "b"), opener=network.open) as fleet:
        host = await until_host(fleet, "a", lambda host: host.error)
        assert host.error and host.error.title == "Internal error" and "oops" in host.error.message
        await until_host(fleet, "b", lambda host: host.state is HostState.UP)
        monkeypatch.setattr(picture, "add", real)
        fleet.retry("a")
        await until_host(fleet, "a", lambda host: host.state is HostState.UP)


# ------------------------------------------------------------------------------------------- asking


async def test_retry_does_not_wait(network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "delay", lambda error, attempt: 3600.0)
    network.failures["a"] = Unreachable("away")
    async with Fleet(config("a", "b"), opener=network.open) as fleet:
        await until_host(fleet, "a", lambda host: host.state is HostState.DOWN)
        del network.failures["a"]
        fleet.retry()
        await until_host(fleet, "a", lambda host: host.state is HostState.UP)
        assert network.attempts == {"a": 2, "b": 1}, "hosts that are up are left alone"


async def test_commands_reach_the_agent(network: FakeNetwork) -> None:
    async with Fleet(config("a"), opener=network.open, interval=3.0) as fleet:
        await fleet.settle(IN_TIME)
        agent = network.agent("a")
        assert "3" in agent.told[0]["args"]
        fleet.refresh("a")
        fleet.set_interval(1.5)
        async with asyncio.timeout(IN_TIME):
            while {"cmd": "interval", "seconds": 1.5} not in agent.told:
                await asyncio.sleep(0)
        assert {"cmd": "refresh"} in agent.told


async def test_a_host_key_is_accepted_only_while_it_is_on_offer(network: FakeNetwork, tmp_path: Path) -> None:
    key = "a.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMOCVHBA+tV5l17veYBpd57qSaptRzLCRG35jgcLjXTC"
    network.failures["a"] = HostKeyUnknown("unknown", key=key, fingerprint="SHA256:x")
    async with Fleet(config("a", known_hosts=tmp_path / "known"), opener=network.open) as fleet:
        await until_host(fleet, "a", lambda host: host.state is HostState.HOST_KEY)
        with pytest.raises(Refused):
            await fleet.accept_host_key("a", key.replace("AAAAI", "BBBBI"))
        with pytest.raises(Refused):
            await fleet.accept_host_key("a", "")
        assert not (tmp_path / "known").exists()
        del network.failures["a"]
        await fleet.accept_host_key("a", key)
        await until_host(fleet, "a", lambda host: host.state is HostState.UP)
        assert (tmp_path / "known").read_text() == key + "\n"
        with pytest.raises(Refused):
            await fleet.accept_host_key("a", key)


async def test_after_sleep_all_hosts_reconnect(network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    network.failures["b"] = Unreachable("away")
    async with Fleet(config("a", "b"), opener=network.open) as fleet:
        await until(fleet, lambda state: state.hosts["a"].state is HostState.UP)
        real = time.time
        monkeypatch.setattr("backend.fleet.time.time", lambda: real() + 3600)
        await until(fleet, lambda state: len(network.links["a"]) == 2)
        assert network.links["a"][0].shut


async def test_closing_ends_everything(network: FakeNetwork) -> None:
    network.hang.add("c")
    network.failures["b"] = Unreachable("away")
    before = asyncio.all_tasks()
    async with Fleet(config("a", "b", "c"), opener=network.open) as fleet:
        await until_host(fleet, "a", lambda host: host.state is HostState.UP)
        reading = asyncio.create_task(anext(fleet.updates()))
        await reading
    assert asyncio.all_tasks() == before
    assert network.link("a").shut and network.agent("a").closed
    assert [state async for state in fleet.updates()] == [fleet.state], (
        "a closed fleet still has its last state"
    )


async def test_last_state_comes_back_as_stale(
    network: FakeNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    async with Fleet(config("a"), opener=network.open, remember=True) as fleet:
        await fleet.settle(IN_TIME)
        before = fleet.state.hosts["a"]
    network.hang.add("a")
    async with Fleet(config("a", "b"), opener=network.open, remember=True) as fleet:
        host = fleet.state.hosts["a"]
        assert host.state is HostState.CONNECTING and host.stale
        assert host.containers == before.containers and host.seen_at == before.seen_at
        assert fleet.state.hosts["b"].containers is None
    async with Fleet(config("a"), opener=network.open) as fleet:
        assert fleet.state.hosts["a"].containers is None, "lists do not show old data"
