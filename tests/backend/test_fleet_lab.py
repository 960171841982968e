"""The whole way on real hosts: SSH, agent, engine, and what happens to real networks and machines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from backend.config import Config, load
from backend.doctor import run_doctor
from backend.fleet import Fleet
from backend.model import EngineState, HostSnapshot, HostState
from tests.backend.sshd import descendants
from tests.lab import Host, HostSpec, Lab, parts

pytestmark = pytest.mark.lab

PATIENCE = 60.0
"""Seconds after which a wish is not going to come true. Nothing here measures time but what is promised."""
SHOWN_WITHIN = HEALED_WITHIN = 15.0
"""The promises for a network that is pulled and plugged in again."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require()
    hosts = [HostSpec("one"), HostSpec("two", engine="none"), HostSpec("bare", python=False)]
    hosts.append(HostSpec("shut", sshd=False, engine="none"))
    with Lab(tmp_path_factory.mktemp("lab") / "lab", hosts) as lab:
        yield lab


@pytest.fixture
def config(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return load(lab.config_dir)


@contextlib.asynccontextmanager
async def watching(config: Config, *names: str) -> AsyncIterator[Fleet]:
    """A fleet of these hosts, settled."""
    async with Fleet(config, only=names, interval=0.5) as fleet:
        assert await fleet.settle(PATIENCE), fleet.state
        yield fleet


async def until(fleet: Fleet, name: str, wish: Callable[[HostSnapshot], object]) -> HostSnapshot:
    host = fleet.state.hosts[name]
    try:
        async with asyncio.timeout(PATIENCE):
            async for state in fleet.updates():
                host = state.hosts[name]
                if wish(host):
                    return host
    except TimeoutError:
        pass
    raise AssertionError(f"never so: {host}")


def up(host: HostSnapshot) -> bool:
    return host.state is HostState.UP


def names(host: HostSnapshot) -> set[str]:
    return {each.name for each in host.containers or () if each.state == "running"}


def titles(host: HostSnapshot) -> list[str]:
    return [warning.title for warning in host.warnings]


@contextlib.contextmanager
def container(host: Host, name: str) -> Iterator[None]:
    host.docker("run", "-d", "--name", name, "busybox:latest", "sleep", "100000")
    try:
        yield
    finally:
        host.docker("rm", "-f", name)


async def test_hosts_and_their_containers(lab: Lab, config: Config) -> None:
    one = lab.host("one")
    with container(one, "before"):
        async with watching(config, "one", "two", "shut") as fleet:
            host = fleet.state.hosts["one"]
            assert host.hello and (host.hello.hostname, host.hello.user) == ("one", "alice")
            assert host.engine and host.engine.state is EngineState.UP and names(host) == {"before"}
            assert host.warnings == () and host.disks and host.stats and host.stats.mem_total
            shut = fleet.state.hosts["shut"]
            assert shut.state is HostState.DOWN and shut.error and "refuses" in shut.error.message
            assert titles(fleet.state.hosts["two"]) == ["Engine down"]  # installed, as on every lab host
            with container(one, "later"):
                await until(fleet, "one", lambda host: names(host) == {"before", "later"})
            await until(fleet, "one", lambda host: names(host) == {"before"})


async def test_a_killed_agent(lab: Lab, config: Config) -> None:
    async with watching(config, "one") as fleet:
        first = fleet.state.hosts["one"].hello
        assert first and lab.host("one").kill_agent() == 1
        host = await until(fleet, "one", lambda host: "Agent failed" in titles(host))
        assert up(host) and "signal 9" in host.warnings[-1].message
        host = await until(fleet, "one", lambda host: not host.warnings)
        assert host.hello and host.hello.pid != first.pid


async def test_an_agent_that_stands_still(lab: Lab, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.reader.SILENCE", 2.0)
    monkeypatch.setattr("backend.reader.PING_EVERY", 0.5)
    async with watching(config, "one") as fleet:
        first = fleet.state.hosts["one"].hello
        assert first
        lab.host("one").run(["kill", "-STOP", str(first.pid)])
        await until(fleet, "one", lambda host: host.hello != first and not host.warnings)
        lab.host("one").run(["kill", "-KILL", str(first.pid)], check=False)


async def test_an_engine_that_hangs_stops_and_comes_back(lab: Lab, config: Config) -> None:
    one = lab.host("one")
    async with watching(config, "one") as fleet:
        one.hang_engine()
        try:
            host = await until(fleet, "one", lambda host: "Engine hangs" in titles(host))
            assert up(host) and host.stats and host.warnings[0].hint
        finally:
            one.thaw_engine()
        await until(fleet, "one", lambda host: not host.warnings)
        one.stop_engine()
        host = await until(fleet, "one", lambda host: "Engine down" in titles(host))
        assert up(host) and host.warnings[0].hint
        one.start_engine()
        await until(fleet, "one", lambda host: not host.warnings and host.containers is not None)
        with container(one, "after"):
            await until(fleet, "one", lambda host: "after" in names(host))


async def test_networks_that_are_pulled_and_power_that_is_cut(lab: Lab, config: Config) -> None:
    """Both at once: each takes as long as it takes until a dead line shows."""
    with container(lab.host("one"), "before"):
        async with watching(config, "one", "two") as fleet:
            await asyncio.gather(_pull(fleet, lab.host("one")), _cut(fleet, lab.host("two")))
            one, two = (fleet.state.hosts[name] for name in ("one", "two"))
            assert up(one) and up(two) and names(one) == {"before"}


async def _pull(fleet: Fleet, one: Host) -> None:
    began = time.monotonic()
    one.partition()
    try:
        host = await until(fleet, "one", lambda host: not up(host))
        assert time.monotonic() - began < SHOWN_WITHIN
        assert host.state is HostState.DOWN and names(host) == {"before"} and host.stale
        assert host.error and host.error.hint and host.retry_at
        # A second failed attempt: from here on it waits as long as it ever will.
        await until(fleet, "one", lambda later: later.revision >= host.revision + 2)
    finally:
        began = time.monotonic()
        one.heal()
    host = await until(fleet, "one", up)
    assert time.monotonic() - began < HEALED_WITHIN
    assert host.error is None and host.retry_at is None


async def _cut(fleet: Fleet, two: Host) -> None:
    two.power_cut()
    try:
        await until(fleet, "two", lambda host: host.state is HostState.DOWN)
    finally:
        await asyncio.to_thread(two.boot)
    host = await until(fleet, "two", up)
    assert host.hello and host.hello.hostname == "two"


async def test_no_python_but_containers(lab: Lab, config: Config) -> None:
    bare = lab.host("bare")
    with container(bare, "before"):
        async with watching(config, "bare") as fleet:
            host = fleet.state.hosts["bare"]
            assert titles(host) == ["No python3"] and "apt install python3" in host.warnings[0].hint
            assert up(host) and names(host) == {"before"} and host.hello is None
            assert host.engine and host.engine.socket == "/run/docker.sock"
            with container(bare, "later"):
                await until(fleet, "bare", lambda host: names(host) == {"before", "later"})
        assert not [pid for pid in descendants(os.getpid()) if "backend.agent" in command_of(pid)]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


async def test_a_full_disk(lab: Lab, config: Config) -> None:
    two = lab.host("two")
    two.run(["rm", "-rf", "/home/alice/.cache"])
    two.fill_disk()
    try:
        async with watching(config, "two") as fleet:
            host = await until(fleet, "two", lambda host: "Disk full" in titles(host))
            assert up(host) and host.stats is not None
    finally:
        two.free_disk()


async def test_a_changed_host_key(lab: Lab, config: Config) -> None:
    lab.host("two").new_host_key()
    async with watching(config, "two") as fleet:
        host = await until(fleet, "two", lambda host: host.state is HostState.HOST_KEY)
        assert host.error and "known_hosts:" in host.error.message and not host.error.key


async def test_the_doctor(lab: Lab, config: Config) -> None:
    found = {(check.host, check.step): check async for check in run_doctor(config, ["one", "bare", "shut"])}
    one = {step: check.ok for (host, step), check in found.items() if host == "one"}
    assert {step for step, ok in one.items() if not ok} <= {"GPU driver", "rsync", "tmux"}, found
    assert found["bare", "python3"].ok is False and found["bare", "engine"].ok
    assert found["shut", "resolve"].ok and found["shut", "connect"].ok is False
    assert "sshd" in found["shut", "connect"].hint
    assert found["shut", "engine"].ok is None
