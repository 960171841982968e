"""Logs merged without waiting for one that hangs, taken up again without a gap, saved whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import resource
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import ActionFailed, EngineError, NoSuchTarget
from backend.logs import follower
from backend.logs.follower import Follower, Target, Wants
from backend.logs.lines import LogLine
from backend.logs.merge import merge
from backend.logs.plain import PlainEngine
from backend.logs.save import new_path, save

START = datetime(2026, 1, 1, tzinfo=UTC)


def line(number: int, source: int = 0) -> LogLine:
    text = f"line {number}"
    return LogLine(START + timedelta(seconds=number), source, False, text, text)


async def log(*batches: list[LogLine], then: Exception | None = None) -> AsyncGenerator[list[LogLine], None]:
    for batch in batches:
        await asyncio.sleep(0)
        yield batch
    if then is not None:
        raise then


async def hanging(release: asyncio.Event, *batches: list[LogLine]) -> AsyncGenerator[list[LogLine], None]:
    await release.wait()
    for batch in batches:
        yield batch


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_merged_lines_are_all_there_and_in_order(plan):
    logs: list[list[list[LogLine]]] = [[[]], [[]], [[]]]
    for number, (source, new_batch) in enumerate(plan):
        if new_batch and logs[source][-1]:
            logs[source].append([])
        logs[source][-1].append(line(number, source))

    async def run() -> list[LogLine]:
        async with aclosing(merge([log(*filter(None, batches)) for batches in logs])) as merged:
            return [each async for batch in merged for each in batch]

    assert [each.text for each in asyncio.run(run())] == [f"line {number}" for number in range(len(plan))]


async def test_one_that_hangs_holds_up_the_others_no_longer_than_it_may():
    release = asyncio.Event()
    got: list[int] = []
    async with aclosing(merge([log([line(1), line(3)]), hanging(release, [line(2, 1)])], 0.01)) as merged:
        async for batch in merged:
            got += [int(each.text.split()[1]) for each in batch]
            release.set()
    assert got == [1, 3, 2]


async def test_what_goes_wrong_in_a_log_comes_out_and_ends_the_others():
    closed = []

    async def endless() -> AsyncGenerator[list[LogLine], None]:
        try:
            while True:
                await asyncio.sleep(0)
                yield [line(1)]
        finally:
            closed.append(True)

    with pytest.raises(EngineError):
        async with aclosing(merge([endless(), log(then=EngineError("broken"))])) as merged:
            async for _ in merged:
                pass
    assert closed == [True]


async def test_no_more_is_read_than_somebody_takes():
    read = 0

    async def endless() -> AsyncGenerator[list[LogLine], None]:
        nonlocal read
        while True:
            read += 1000
            yield [line(1)] * 1000

    async with aclosing(merge([endless(), endless()])) as merged:
        await anext(merged)
        for _ in range(100):
            await asyncio.sleep(0)
        assert read < 40_000


# ----------------------------------------------------------------------- an engine with a growing log


class Engine:
    """Answers like Docker: `tail` first, then `since`; each stream breaks off after some lines."""

    def __init__(self, path: str) -> None:
        self.host, self.endpoint = "h1", (path, "1.41")
        self.log: list[str] = []
        self.asked: list[dict[str, str]] = []
        self.grow = 0
        self.runs = True

    async def inspect(self, container: str) -> dict[str, Any]:
        if container == "gone":
            raise NoSuchTarget("no such container")
        return {"Config": {"Tty": False}, "State": {"Running": self.runs, "StartedAt": "x"}}

    def write(self, count: int) -> None:
        for number in range(len(self.log), len(self.log) + count):
            at = START + timedelta(milliseconds=number // 3)  # several lines of one moment
            self.log.append(f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}000Z line {number}\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1]
        query = dict(pair.split("=") for pair in target.partition("?")[2].split("&"))
        self.asked.append(query)
        lines = self.log if query["tail"] == "all" else self.log[-int(query["tail"]) :]
        if "since" in query:
            since = datetime.fromtimestamp(float(query["since"]), UTC)
            lines = [each for each in lines if datetime.fromisoformat(each[:26] + "+00:00") >= since]
        follows = query["follow"] == "1"
        sent = lines[: random.randint(1, len(lines))] if follows and lines else lines
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for each in sent:
            frame = b"\x01\0\0\0" + len(each).to_bytes(4, "big") + each.encode()
            writer.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
        if not follows:
            writer.write(b"0\r\n\r\n")  # a followed one breaks off
        self.write(self.grow)
        writer.close()


@pytest.mark.parametrize("wants", [Wants(tail=None), Wants(tail=5), Wants(tail=None, most=5000)])
async def test_after_every_break_it_goes_on_where_it_was(tmp_path, monkeypatch, wants):
    monkeypatch.setattr(follower, "RETRY", 0.0)
    monkeypatch.setattr(follower, "RESUME", 4)
    path = str(tmp_path / "engine.sock")
    engine = Engine(path)
    engine.write(10)
    engine.grow = 7
    server = await asyncio.start_unix_server(engine.serve, path)
    got: list[str] = []

    async def give(host: str) -> Any:
        return engine

    async def take(lines: list[LogLine]) -> None:
        got.extend(each.text for each in lines)
        if len(got) > 100:
            engine.grow = 0

    run = asyncio.create_task(Follower([Target("h1", "abc", "x")], give, wants).run(take, lambda *_: None))
    try:
        while len(got) <= 100 or got[-1] != engine.log[-1].rstrip().partition(" ")[2]:
            await asyncio.sleep(0.001)
            assert not run.done()
    finally:
        run.cancel()
        await asyncio.wait([run])
        server.close()
    first = int(got[0].split()[1])
    assert got == [f"line {number}" for number in range(first, first + len(got))]
    assert first == (5 if wants.tail == 5 else 0)


async def test_the_first_lines_alone_and_an_end(tmp_path):
    path = str(tmp_path / "engine.sock")
    engine = Engine(path)
    engine.write(50)
    server = await asyncio.start_unix_server(engine.serve, path)
    got: list[str] = []
    states: list[str] = []

    async def give(host: str) -> Any:
        return engine

    async def take(lines: list[LogLine]) -> None:
        got.extend(each.text for each in lines)

    wants = Wants(head=3, tail=None)
    targets = [Target("h1", "abc", "x"), Target("h1", "gone", "y")]
    await Follower(targets, give, wants).run(take, lambda index, status: states.append(status.state))
    server.close()
    assert got == ["line 0", "line 1", "line 2"] and sorted(states) == ["ended", "removed"]


async def test_an_engine_without_the_sdk_says_what_is_wrong(tmp_path):
    answers = [b'{"Id": "abc"}', b"[]", b"garbage"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /containers/a%2Fb/json HTTP/1.1")
        body = answers.pop(0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    path = str(tmp_path / "engine.sock")
    server = await asyncio.start_unix_server(serve, path)
    engine = PlainEngine("h1", path)
    assert (await engine.inspect("a/b"))["Id"] == "abc"
    for _ in range(2):
        with pytest.raises(EngineError, match="h1"):
            await engine.inspect("a/b")
    server.close()
    with pytest.raises(EngineError, match="cannot be reached"):
        await PlainEngine("h1", str(tmp_path / "none")).inspect("x")


# ------------------------------------------------------------------------------------------- saving


def test_a_saved_log_is_named_after_what_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    path = new_path([Target("h/1", "x", "../a b"), Target("h", "y", "c")], datetime(2026, 1, 31, 12, 0, 5))
    assert path == tmp_path / "saved-logs" / "h_1-.._a_b+1-20260131-120005.log"


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(ActionFailed, match=os.strerror(errno.EFBIG)):
            save([line(number) for number in range(5000)], [Target("h", "x", "x")], path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
