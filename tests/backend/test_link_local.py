"""This machine as a link, and lines in bounded memory."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import link
from backend.config import HostConfig
from backend.errors import ActionFailed, Unreachable
from backend.link.lines import split_lines

HERE = HostConfig(name="local", host="local", local=True)


async def test_commands_and_processes() -> None:
    here = await link.open(HERE)
    done = await here.run(["sh", "-c", "cat; echo no >&2; exit 3"], input=b"in", timeout=10)
    assert done == (3, b"in", b"no\n")
    assert (await here.run(["no-such-program"], timeout=10)).returncode == 127
    with pytest.raises(ActionFailed, match="no-such-program"):
        await here.start(["no-such-program"])
    process = await here.start(["cat"])
    await process.write(b"one\ntwo\n")
    lines = aiter(process)
    assert [await anext(lines), await anext(lines)] == [b"one", b"two"]
    process.write_eof()
    assert await process.wait() == 0
    with pytest.raises(Unreachable):
        await process.write(b"x")
    assert await here.forward_socket("/run/x.sock") == "/run/x.sock"
    await here.close()
    assert await here.closed is None


async def test_closing_ends_even_what_does_not_want_to() -> None:
    here = await link.open(HERE)
    process = await here.start(["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"])
    pid = int(await anext(aiter(process)))
    with pytest.raises(TimeoutError):
        await here.run(["sleep", "1000"], timeout=0.05)
    await here.close()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(Unreachable):
        await here.start(["cat"])


async def wait_gone(pid: int) -> None:
    """Until no process has this pid (the test's own time limit ends it)."""
    while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        await asyncio.sleep(0.01)


async def test_a_command_that_runs_out_of_time_takes_its_children_with_it(tmp_path: Path) -> None:
    """The child of a shell holds the pipes; whoever waited for their end would wait for it."""
    here = await link.open(HERE)
    note = tmp_path / "pid"
    with pytest.raises(TimeoutError):
        await here.run(["sh", "-c", 'sleep 1000 & echo $! >"$0"; wait', str(note)], timeout=2)
    await wait_gone(int(note.read_text()))
    with pytest.raises(TimeoutError):  # its leader has ended long before
        await here.run(["sh", "-c", 'sleep 1000 & echo $! >"$0"', str(note)], timeout=2)
    await wait_gone(int(note.read_text()))


async def test_a_command_is_given_up_though_a_daemon_of_it_holds_its_pipes(tmp_path: Path) -> None:
    here = await link.open(HERE)
    note = tmp_path / "pid"
    script = 'setsid sh -c \'echo $$ >"$0"; exec sleep 1000\' "$0" & wait'
    run = asyncio.create_task(here.run(["sh", "-c", script, str(note)], timeout=100))
    while not note.exists() or not note.read_text():
        await asyncio.sleep(0.01)
    daemon = int(note.read_text())
    try:
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(10):
                await run
    finally:
        os.kill(daemon, signal.SIGKILL)


async def test_a_command_that_is_given_up_while_it_starts_ends_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pipes are ours only a moment after it runs, and a daemon of it may hold them for good."""
    here, loop = await link.open(HERE), asyncio.get_running_loop()
    note, connect, may = tmp_path / "pids", loop.connect_read_pipe, asyncio.Event()

    async def late(*arguments: Any) -> Any:
        await may.wait()
        return await connect(*arguments)

    monkeypatch.setattr(loop, "connect_read_pipe", late)
    script = 'setsid sh -c \'echo $$ >"$0"; echo $1 >>"$0"; exec sleep 1000\' "$0" $$ & wait'
    run = asyncio.create_task(here.run(["sh", "-c", script, str(note)], timeout=100))
    while not note.exists() or note.read_text().count("\n") < 2:
        await asyncio.sleep(0.01)
    daemon, child = (int(line) for line in note.read_text().split())
    try:
        run.cancel()
        await asyncio.sleep(0)
        may.set()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(10):
                await run
        await wait_gone(child)
    finally:
        os.kill(daemon, signal.SIGKILL)


async def test_a_forwarded_port_that_closes_takes_its_connections_with_it() -> None:
    here = await link.open(HERE)
    ended = asyncio.Event()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        ended.set()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        async with here.forward_port("127.0.0.1", server.sockets[0].getsockname()[1]) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"through")
            assert await reader.readexactly(7) == b"through"
        async with asyncio.timeout(10):
            assert await reader.read(1) == b""
            await ended.wait()
        writer.close()


async def test_connections_through_a_forwarded_port_leave_nothing_open() -> None:
    here = await link.open(HERE)

    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with (
        await asyncio.start_server(hello, "127.0.0.1", 0) as server,
        here.forward_port("127.0.0.1", server.sockets[0].getsockname()[1]) as port,
    ):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()
        while len(os.listdir("/proc/self/fd")) > before + 2:
            await asyncio.sleep(0.01)


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_lines_are_the_same_however_they_arrive(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    parts = iter([chunk for chunk in chunks if chunk])

    async def read(_: int) -> bytes:
        return next(parts, b"")

    async def collect() -> list[bytes]:
        return [line async for line in split_lines(read)]

    assert asyncio.run(collect()) == expected


async def test_a_line_without_end_does_not_fill_the_memory() -> None:
    chunks = iter([b"x" * 1000] * 1000 + [b"\nshort\n" + b"y" * 5000, b"z\nlast"])

    async def read(_: int) -> bytes:
        return next(chunks, b"")

    lines = [line async for line in split_lines(read, limit=10_000)]
    assert [len(lines[0]) < 1000, *lines[1:]] == [True, b"short", b"y" * 5000 + b"z", b"last"]
