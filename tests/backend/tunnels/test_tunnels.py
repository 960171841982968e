"""What a tunnel does with connections, lost links, taken ports, and what other processes see of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from backend import atomic
from backend.errors import ActionFailed, EngineError, NoSuchTarget
from backend.tunnels import book, keeping, ready
from backend.tunnels.holder import holder
from backend.tunnels.keeping import Keeper, Reached
from backend.tunnels.tunnel import Far, Tunnel
from backend.tunnels.ways import to_host
from backend.workspaces.opening import show
from tests.backend.sshd import Sshd
from tests.backend.tunnels.conftest import Bed, ask, server, until, upper
from tests.lab.machine import wait_for


async def test_it_carries_both_ways_and_counts(bed: Bed):
    async with server(upper) as port, bed.held(port, local=0) as tunnel:
        assert await ask(tunnel.local_port, b"hello") == b"HELLO"
        await until(lambda: tunnel.listener.traffic.open == 0)
        row = tunnel.row("shell")
        assert (row.sent, row.received, row.served, row.failed) == (5, 5, 1, 0)
        assert (row.host, row.service, row.state, row.port) == ("h1", str(port), "up", port)


async def test_two_hundred_connections_at_once_all_get_their_own_answer(bed: Bed):
    async with server(upper) as port, bed.held(port) as tunnel:
        questions = [b"question %d " % number * 500 for number in range(200)]
        answers = await asyncio.gather(*(ask(tunnel.local_port, each) for each in questions))
        assert answers == [each.upper() for each in questions]
        assert tunnel.listener.traffic.failed == 0


async def test_a_port_that_is_taken_here_is_replaced_unless_it_was_asked_for(bed: Bed):
    async with server(upper) as port:  # the other end is on this machine: its own port is taken
        async with bed.held(port) as tunnel:
            assert tunnel.local_port != port
            (said,) = [line for line in bed.said.lines if "taken" in line]
            assert said == f"port {port} is taken here; {port} gets port {tunnel.local_port}"
            assert await ask(tunnel.local_port, b"a") == b"A"
        with pytest.raises(ActionFailed, match=f"^port {port} of this machine is taken") as taken:
            async with bed.held(port, local=port, exact=True):
                pass
        assert f"lsof -i :{port}" in taken.value.hint
        assert await book.rows() == []  # what failed leaves nothing behind


async def test_a_port_that_another_tunnel_has_is_told_with_that_tunnel(bed: Bed):
    async with server(upper) as port, bed.held(port) as tunnel:
        await until(lambda: book.entries() and book.entries()[0][1].tunnels)
        with pytest.raises(ActionFailed, match=f"is that of tunnel {tunnel.id}, to {port} on h1") as taken:
            async with bed.held(port, local=tunnel.local_port, exact=True):
                pass
        assert f"berth tunnel stop {tunnel.id}" in taken.value.hint


async def test_a_lost_link_keeps_the_port_and_whoever_comes_meanwhile_is_served_after_it(bed: Bed):
    async with server(upper) as port, bed.held(port) as tunnel:
        here = tunnel.local_port
        _, writer = await asyncio.open_connection("127.0.0.1", here)
        await until(lambda: tunnel.listener.traffic.open == 1)
        bed.network.lose()
        await until(lambda: tunnel.state == "reconnecting")
        assert "does not answer" in tunnel.note or "away" in tunnel.note
        assert (await book.rows())[0].state == "reconnecting"
        waiting = asyncio.create_task(ask(here, b"later"))
        await until(lambda: bed.network.asked > 2)  # who waits has it tried at once
        assert not waiting.done()
        bed.network.there = True
        assert await waiting == b"LATER"
        assert tunnel.local_port == here and tunnel.state == "up"
        assert any("is open again" in line for line in bed.said.lines)
        writer.close()


async def test_what_nobody_answers_is_refused_with_the_reason_in_the_list(bed: Bed):
    async with server(upper) as port:
        free = port
    async with bed.held(free, local=free + 1) as tunnel:  # on its own port it would lead to itself
        with contextlib.suppress(ConnectionError):
            assert await ask(tunnel.local_port, b"x") == b""
        await until(lambda: tunnel.listener.traffic.failed == 1)
        await until(lambda: book.entries() and book.entries()[0][1].tunnels)
        (row,) = await book.rows()
        assert row.failed == 1 and "the last connection failed" in row.note and str(free) in row.note


async def test_a_slow_reader_does_not_fill_memory(bed: Bed):
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while sent < 256 * 2**20:
                writer.write(bytes(2**16))
                await writer.drain()
                sent += 2**16

    async with server(flood) as port, bed.held(port) as tunnel:
        with socket.create_connection(("127.0.0.1", tunnel.local_port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await until(lambda: sent > 0)
            before = -1
            while before != sent:  # until nothing goes on any more
                before = sent
                await asyncio.sleep(0.3)
            assert sent < 64 * 2**20


async def test_it_is_listed_and_stopped_by_another_process(bed: Bed, tmp_path: Path):
    async with server(upper) as port, bed.held(port) as tunnel:
        env = {**os.environ, "BERTH_CONFIG_DIR": str(tmp_path)}
        (tmp_path / "hosts.yaml").write_text("hosts: {h1: {host: h1}}\n")

        async def berth(*words: str) -> tuple[int, str, str]:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tui", *words, env=env, stdout=-1, stderr=-1
            )
            out, err = await child.communicate()
            assert child.returncode is not None
            return child.returncode, out.decode(), err.decode()

        await ask(tunnel.local_port, b"abc")
        await until(lambda: book.entries() and book.entries()[0][1].tunnels)
        code, out, _ = await berth("tunnels", "--json")
        (row,) = json.loads(out)
        assert code == 0
        assert (row["id"], row["received"], row["sent"]) == (tunnel.id, 3, 3)
        assert row["address"] == f"127.0.0.1:{tunnel.local_port}" and row["pid"] == os.getpid()
        assert (await berth("tunnel", "stop", "nonsense"))[0] == 4
        code, out, err = await berth("tunnel", "stop", tunnel.id)
        assert (code, "is closed" in out) == (0, True), err
        with pytest.raises(OSError):
            await ask(tunnel.local_port, b"abc")
        assert await book.rows() == []


@pytest.mark.parametrize("address", ["lab?token={}", "{}/lab", "lab#{}"])
async def test_a_token_is_in_no_list_wherever_its_page_wants_it(bed: Bed, address: str):
    class Secret(Keeper):
        async def reach(self) -> Reached:
            return msgspec.structs.replace(await super().reach(), token="s3cret")

        def address(self, tunnel: Tunnel, reached: Reached) -> str:
            return f"http://127.0.0.1:{tunnel.local_port}/{address.format(reached.token)}"

    async with server(upper) as port:
        keeping = asyncio.create_task(Secret(bed.ctx, Far(host="h1", service="lab"), port).keep())
        await until(lambda: book.entries() and book.entries()[0][1].tunnels)
        (row,) = await book.rows()
        whole, _ = await book.address(row.id)
        assert "s3cret" in whole and "lab" in row.url
        assert b"s3cret" not in msgspec.json.encode([row, book.entries()[0][1]])
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_one_that_opens_while_the_last_one_ends_is_listed(bed: Bed, monkeypatch: pytest.MonkeyPatch):
    release, write = threading.Event(), atomic.write

    def slow(*args: Any, **more: Any) -> None:
        release.wait(30)
        write(*args, **more)

    async with server(upper) as port:
        first, second = bed.held(port), bed.held(port)
        tunnel = await first.__aenter__()
        await until(lambda: book.entries() and book.entries()[0][1].tunnels)
        monkeypatch.setattr(atomic, "write", slow)
        tunnel.changed()
        tunnels = holder().tunnels
        ending = asyncio.create_task(first.__aexit__(None, None, None))
        await until(lambda: not tunnels)  # its end waits for what is being written
        opening = asyncio.create_task(second.__aenter__())
        await until(lambda: tunnels)
        release.set()
        opened = await opening
        await ending
        await until(lambda: [row.id for _, each in book.entries() for row in each.tunnels] == [opened.id])
        assert await ask(opened.local_port, b"still") == b"STILL"
        await second.__aexit__(None, None, None)
        assert await book.rows() == []


async def test_a_browser_that_takes_its_time_holds_nobody_up(bed: Bed, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    shown = threading.Event()

    def slow(page: str) -> None:
        shown.wait(10)
        opened.append(page)

    monkeypatch.setattr("webbrowser.open", slow)
    async with server(upper) as port, bed.held(port) as tunnel:
        show(tunnel)
        assert not opened  # it is not waited for
        shown.set()
        await until(lambda: opened == [f"http://127.0.0.1:{tunnel.local_port}/"])


async def test_what_a_dead_berth_held_is_gone_and_its_file_too(bed: Bed):
    async with server(upper) as port, bed.held(port):
        await until(lambda: book.entries() and book.entries()[0][1].tunnels)
        ((path, entry),) = book.entries()
        child = subprocess.Popen(["sleep", "1000"])
        began = book.began(child.pid)
        ghosts = [
            msgspec.structs.replace(entry, pid=child.pid, began=began),  # killed below
            msgspec.structs.replace(entry, began="1"),  # its number is somebody else's by now
        ]
        for number, ghost in enumerate(ghosts):
            ghost = msgspec.structs.replace(ghost, socket="/nonexistent/berth-0-x/tunnels")
            path.with_name(f"ghost{number}.json").write_bytes(msgspec.json.encode(ghost))
        path.with_name("half.json").write_bytes(b'{"pid": 1')
        away = path.with_name("other-machine.json")  # of a home that is shared: not ours to judge
        away.write_bytes(msgspec.json.encode(msgspec.structs.replace(ghosts[1], machine="elsewhere")))
        (silent,) = [row for row in await book.rows() if row.state == "silent"]
        assert str(child.pid) in silent.note  # alive, and says nothing
        child.kill()
        child.wait()
        assert [row.state for row in await book.rows()] == ["up"]
        assert {each.name for each in path.parent.glob("*.json")} == {path.name, away.name}
        with pytest.raises(NoSuchTarget):
            await book.stop("0000")


async def test_a_page_is_ready_when_it_answers_without_an_error_of_the_server(bed: Bed):
    answers = [b"", b"HTTP/1.1 503 Busy\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
    asked: list[bytes] = []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(answers[min(len(asked), len(answers)) - 1])
        writer.close()

    async with server(slow) as port:
        dial = to_host(await bed.network.link("h1"), port)
        await ready.wait(dial, "/api", "web")
        assert asked == [b"GET /api HTTP/1.1\r\n"] * 3
        answers[:] = [b"HTTP/1.1 500 No\r\n\r\n"]
        with pytest.raises(ActionFailed, match="status 500"):
            await ready.wait(dial, "/api", "web", seconds=0.3)


def test_it_comes_back_by_itself_after_the_laptop_slept(tmp_path: Path):
    """The process stands still for longer than its connection may be silent, and goes on."""
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("it is me")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    web = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], cwd=page, stderr=-3
    )
    sshd = Sshd(tmp_path / "sshd", ClientAliveInterval="1", ClientAliveCountMax="1").start()
    (tmp_path / "hosts.yaml").write_text(
        f"local: false\nhosts:\n  h1: {{host: 127.0.0.1, sshport: {sshd.port}, username: root,"
        f" identity_file: {sshd.user_key}, known_hosts: {sshd.known_hosts}}}\n"
    )
    env = {**os.environ, "BERTH_CONFIG_DIR": str(tmp_path), "BERTH_STATE_DIR": str(tmp_path / "state")}
    held = subprocess.Popen(
        [sys.executable, "-m", "tui", "tunnel", "h1", str(port), "--json"],
        env=env, stdout=-1, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert held.stdout is not None
        (row,) = json.loads(held.stdout.readline())
        address = ("127.0.0.1", int(row["address"].rpartition(":")[2]))

        def fetch(seconds: float) -> bytes:
            with socket.create_connection(address, seconds) as peer:
                peer.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
                return b"".join(iter(lambda: peer.recv(65536), b""))

        assert b"it is me" in fetch(30)
        held.send_signal(signal.SIGSTOP)
        wait_for(lambda: not sshd.sessions(), "the server to give it up", seconds=60)
        held.send_signal(signal.SIGCONT)
        assert b"it is me" in fetch(60)  # it waits for the new connection
        held.send_signal(signal.SIGTERM)
        assert held.wait(30) == 143
        assert not list((tmp_path / "state" / "tunnels").glob("*.json"))
    finally:
        for child in (held, web):
            child.kill()
            child.wait()
        sshd.stop()


class Unaware:
    """An engine that has not seen its container stop and start."""

    def __init__(self, *started: str) -> None:
        self.started = list(started)
        self.waited = False

    async def wait(self, container: str, *, timeout: float | None) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            self.waited = True
        return 0

    async def inspect(self, container: str) -> dict[str, Any]:
        if not self.started:
            raise NoSuchTarget("gone")
        if self.started[0] == "busy":
            raise EngineError(self.started.pop(0))
        at = self.started.pop(0) if len(self.started) > 1 else self.started[0]
        return {"Id": "abc", "State": {"Running": True, "StartedAt": at}}


async def test_a_restart_that_the_engine_did_not_tell_of_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_CHECK", 0.01)
    engine = Unaware("10:00", "busy", "10:00", "10:07")

    async def of(host: str) -> Unaware:
        return engine

    ctx: Any = SimpleNamespace(engine=of)
    keeper = keeping.PortKeeper(ctx, Far(host="h1", service="80", container="c"), 80)
    keeper._id, keeper._started = "abc", "10:00"
    async with asyncio.timeout(30):
        assert await keeper.ended(None) is None  # type: ignore[arg-type]
    assert engine.started == ["10:07"] and engine.waited
    engine.started = []
    async with asyncio.timeout(30):
        assert isinstance(await keeper.ended(None), NoSuchTarget)  # type: ignore[arg-type]
