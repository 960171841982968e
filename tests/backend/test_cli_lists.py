"""Lists over fake connections: what is waited for, what is complained about, and what `--watch` prints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import backoff, enginefallback, lists, shipping
from backend.config import Config, Context, HostConfig
from backend.errors import HostKeyUnknown, LoginRefused, NoSuchTarget, Unreachable
from backend.fleet import Fleet
from backend.lists import Request
from tests.backend import fakes
from tests.backend.fakes import FakeAgent, FakeNetwork, container, line

IN_TIME = 10.0


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_LINGER", 0.3)
    monkeypatch.setattr(lists, "_PACE", 0.01)
    monkeypatch.setattr(backoff, "delay", lambda error, attempt: 0.02)


class Lists:
    """Runs lists and gives their rows, what they said, and the exit code."""

    def __init__(self, network: FakeNetwork, capture: pytest.CaptureFixture[bytes]) -> None:
        self._network = network
        self._capture = capture
        self._out = b""
        self.config = Config(
            directory=Path("/nowhere"),
            hosts=tuple(HostConfig(name=name, host=f"{name}.example") for name in ("a", "b")),
        )

    async def __call__(self, name: str, *hosts: str, timeout: float = IN_TIME) -> tuple[list[Any], str, int]:
        request = Request(name=name, hosts=hosts or None, json=True, timeout=timeout)
        code = await lists.show(self.config, request, opener=self._network.open)
        out, said = self._capture.readouterr()
        return json.loads(out), said.decode(), code

    def watch(self, name: str) -> asyncio.Task[int]:
        request = Request(name=name, json=True, watch=2.0, timeout=IN_TIME)
        return asyncio.create_task(lists.show(self.config, request, opener=self._network.open))

    async def line(self, wish: Callable[[list[Any]], object]) -> list[Any]:
        """The next line that a watched list prints for which `wish` holds."""
        async with asyncio.timeout(IN_TIME):
            while True:
                self._out += self._capture.readouterr().out
                while b"\n" in self._out:
                    first, _, self._out = self._out.partition(b"\n")
                    rows = json.loads(first)
                    if wish(rows):
                        return rows
                await asyncio.sleep(0.01)


@pytest.fixture
def run(network: FakeNetwork, capsysbinary: pytest.CaptureFixture[bytes]) -> Lists:
    return Lists(network, capsysbinary)


def with_lines(*extra: bytes, late: tuple[bytes, ...] = (), engine: dict[str, Any] | None = None):
    """An agent that says the usual, then `extra`, then a moment later `late`."""

    def make() -> FakeAgent:
        lines = fakes.picture(container("c1"))
        if engine is not None:
            lines = [*(each for each in lines if b'"containers"' not in each), line("engine", engine)]
        agent = FakeAgent([*lines, *extra])
        asyncio.get_running_loop().call_later(0.1, agent.say, *late)
        return agent

    return make


# ---------------------------------------------------------------------------------------- waiting


async def test_rows_of_all_hosts_in_order(run: Lists) -> None:
    rows, said, code = await run("ps")
    assert [(row["host"], row["name"]) for row in rows] == [("a", "a-c"), ("b", "b-c")]
    assert (said, code) == ("", 0)


async def test_containers_wait_for_the_second_sample_of_their_usage(network: FakeNetwork, run: Lists) -> None:
    usage = {"id": "c1".ljust(64, "0"), "mem_used": 7}
    network.agents["a"] = with_lines(
        line("usage", [usage]), late=(line("usage", [usage | {"cpu_percent": 150.0}]),)
    )
    rows, _, _ = await run("ps", "a")
    assert (rows[0]["cpu_percent"], rows[0]["mem_used"]) == (150.0, 7)


async def test_containers_do_not_wait_long_for_a_usage_that_never_comes(
    network: FakeNetwork, run: Lists
) -> None:
    network.agents["a"] = with_lines()
    rows, _, code = await run("ps", "a")
    assert (rows[0]["cpu_percent"], code) == (None, 0)


async def test_gpus_wait_for_the_processes_that_hold_their_memory(network: FakeNetwork, run: Lists) -> None:
    gpu = {
        "index": 0,
        "uuid": "G0",
        "vendor": "nvidia",
        "name": "H100",
        "mem_used": 5 << 30,
        "mem_total": 80 << 30,
    }
    process = {"gpu": "G0", "pid": 7, "user": "bob", "command": "train"}
    network.agents["a"] = with_lines(line("gpus", {"gpus": [gpu]}), late=(line("processes", [process]),))
    rows, _, _ = await run("gpus", "a")
    assert [(row["owners"], row["free"]) for row in rows] == [(["bob"], False)]


async def test_a_host_that_hangs_costs_the_others_nothing_but_time(network: FakeNetwork, run: Lists) -> None:
    network.hang.add("b")
    rows, said, code = await run("hosts", timeout=2)
    assert [(row["state"], row["error"]) for row in rows] == [
        ("up", None),
        ("connecting", "no answer within 2 s."),
    ]
    assert said == "berth: b: no answer within 2 s. Try: berth doctor b\n"
    assert code == 0


async def test_one_look_promises_no_second_attempt(network: FakeNetwork, run: Lists) -> None:
    network.failures["b"] = Unreachable("b closed the connection.")
    _, said, _ = await run("hosts")
    assert said == "berth: b closed the connection.\n"
    fleet = Fleet(run.config, interval=1.0, opener=network.open)
    async with fleet:
        await fleet.settle(IN_TIME)
        error = fleet.state.hosts["b"].error
    assert error is not None and error.hint == "It is tried again by itself."


@pytest.mark.parametrize("name", ["hosts", "gpus", "sessions"])
async def test_a_host_without_python_says_that_only_its_containers_are_listed(
    network: FakeNetwork, run: Lists, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def no_python(link: object, args: object) -> shipping.Agent:
        raise shipping.NoPython("a has no python3.", hint="Install it there.")

    async def engine_alone(link: object, host: HostConfig, interval: float) -> shipping.Agent:
        agent = FakeAgent([line("engine", fakes.ENGINE), line("containers", [container("c1")])])
        return shipping.Agent(agent, aiter(agent))

    monkeypatch.setattr(shipping, "start", no_python)
    monkeypatch.setattr(enginefallback, "start", engine_alone)
    _, said, code = await run(name, "a")
    assert "no python3. Of this host only its containers are listed. Install it there." in said
    assert code == 0
    rows, said, _ = await run("ps", "a")
    assert ([row["name"] for row in rows], said) == (["c1"], "")


async def test_only_hosts_that_are_asked_for_are_contacted(network: FakeNetwork, run: Lists) -> None:
    await run("hosts", "b")
    assert set(network.attempts) == {"b"}
    with pytest.raises(NoSuchTarget, match="no host is called 'c'"):
        await run("hosts", "a", "c")
    assert "a" not in network.attempts


async def test_contexts_are_joined_with_their_containers(network: FakeNetwork, run: Lists) -> None:
    contexts = (
        Context(name="one", host="a", image="x", container="a-c"),
        Context(name="two", host="a", image="x", container="gone"),
    )
    run.config = Config(directory=Path("/nowhere"), hosts=run.config.hosts, contexts=contexts)
    rows, _, _ = await run("contexts")
    assert [(row["name"], row["state"]) for row in rows] == [("one", "running"), ("two", "missing")]
    assert set(network.attempts) == {"a"}


# ------------------------------------------------------------------------------------- complaints


async def test_why_a_host_is_not_there_is_said_and_coded(network: FakeNetwork, run: Lists) -> None:
    network.failures["a"] = LoginRefused("a does not let alice in.", hint="Offer another key.")
    network.failures["b"] = HostKeyUnknown(
        "the key of b is not known.", hint="Compare it.", fingerprint="SHA256:x"
    )
    rows, said, code = await run("hosts")
    assert [row["state"] for row in rows] == ["auth", "host_key"]
    assert said.splitlines() == [
        "berth: a does not let alice in. Offer another key.",
        "berth: b: the key of b is not known. Compare it.",
    ]
    assert code == 3


async def test_what_a_host_says_cannot_play_with_the_terminal(network: FakeNetwork, run: Lists) -> None:
    network.failures["a"] = LoginRefused("\x1b]0;pwned\x07a says \x1b[2J\nhello")
    _, said, _ = await run("ps")
    assert "\x1b" not in said and said.count("\n") == 1


@pytest.mark.parametrize(("hosts", "expected"), [(("a",), 1), ((), 0), (("a", "b"), 1)])
async def test_an_engine_that_hangs_is_no_empty_list(
    network: FakeNetwork, run: Lists, hosts: tuple[str, ...], expected: int
) -> None:
    network.agents["a"] = with_lines(engine={"state": "hung", "kind": "docker", "error": "docker hangs"})
    rows, said, code = await run("ps", *hosts)
    assert "a" not in [row["host"] for row in rows]
    assert said.startswith("berth: a: docker hangs")
    assert code == expected
    assert (await run("hosts", *hosts))[2] == 0


async def test_a_broken_driver_is_said_beside_the_gpus(network: FakeNetwork, run: Lists) -> None:
    report = {"gpus": [], "error": "Driver/library version mismatch", "hint": "Reboot it."}
    network.agents["a"] = with_lines(line("gpus", report))
    rows, said, _ = await run("gpus", "a")
    assert (rows, said) == ([], "berth: a: Driver/library version mismatch Reboot it.\n")


# --------------------------------------------------------------------------------------- watching


async def test_watching_prints_a_line_when_something_changed_and_only_then(
    network: FakeNetwork, run: Lists
) -> None:
    task = run.watch("ps")
    try:
        rows = await run.line(lambda rows: True)
        assert [row["name"] for row in rows] == ["a-c", "b-c"]
        network.agent("a").say(line("host", fakes.STATS | {"load1": 9.9}))
        network.agent("a").say(line("containers", [container("new")]))
        rows = await run.line(lambda rows: True)  # the load is not part of this list
        assert [row["name"] for row in rows] == ["new", "b-c"]
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert network.link("a").shut


async def test_watching_says_once_that_a_host_went_away_and_goes_on_when_it_is_back(
    network: FakeNetwork, run: Lists, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    said: list[bytes] = []
    read = capsysbinary.readouterr

    def keep() -> Any:
        found = read()
        said.append(found.err)
        return found

    capsysbinary.readouterr = keep  # type: ignore[method-assign]
    task = run.watch("hosts")
    try:
        await run.line(lambda rows: [row["state"] for row in rows] == ["up", "up"])
        network.failures["b"] = LoginRefused("b does not let alice in.")
        network.link("b").cut(LoginRefused("b does not let alice in."))
        await run.line(lambda rows: [row["state"] for row in rows] == ["up", "auth"])
        await run.line(lambda rows: rows[0]["seen_at"] is not None and network.attempts["b"] > 3)
        del network.failures["b"]
        await run.line(lambda rows: [row["state"] for row in rows] == ["up", "up"])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert b"".join(said).count(b"berth: b does not let alice in.") == 1
