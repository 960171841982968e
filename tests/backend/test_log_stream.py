"""The engine's log stream: frames cut anywhere, endless lines, refusals, and no line twice after a break."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import EngineError, NoSuchTarget
from backend.logs import follower
from backend.logs.follower import Follower, Status, Target, Wants
from backend.logs.lines import MAX_CHARACTERS, LogLine
from backend.logs.source import FrameSplitter, stream


def stamp(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}.123456789Z"


def frame(text: str, kind: int = 1, second: int = 0) -> bytes:
    data = f"{stamp(second)} {text}".encode()
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def split(data: bytes, cuts: list[int], tty: bool = False):
    splitter, lines, at = FrameSplitter(tty), [], 0
    for cut in [*sorted(c % (len(data) + 1) for c in cuts), len(data)]:
        lines += splitter.feed(data[at:cut], 0)
        at = max(at, cut)
    return lines + splitter.rest(0)


@given(st.lists(st.integers(0, 10_000), max_size=8))
def test_frames_may_be_cut_anywhere(cuts):
    data = frame("one\n", 1, 1) + frame("two\n", 2, 2) + frame("a\nb\n", 1, 3) + frame("no end", 1, 4)
    found = [(line.text, line.error, line.time.second) for line in split(data, cuts)]
    assert found == [
        ("one", False, 1),
        ("two", True, 2),
        ("a", False, 3),
        ("b", False, 3),
        ("no end", False, 4),
    ]


def test_a_long_line_in_several_messages_is_one_line_with_the_first_time():
    (line,) = split(frame("begin ", 1, 1) + frame("middle ", 1, 2) + frame("end\n", 1, 3), [])
    assert (line.text, line.time.second) == ("begin middle end", 1)


def test_a_terminal_has_no_frames():
    data = f"{stamp(1)} red \x1b[31mx\x1b[0m\r\n{stamp(2)} next\r\n".encode()
    first, second = split(data, [3, 40, 50], tty=True)
    assert first.plain == "red x" and second.text == "next" and second.time.second == 2


def test_an_endless_line_keeps_its_beginning_only():
    splitter = FrameSplitter(tty=True)
    for _ in range(100):
        assert splitter.feed(b"x" * 100_000, 0) == []
    assert len(splitter._buffer) < 1_000_000
    (line,) = splitter.feed(b"\n", 0)
    assert len(line.text) <= MAX_CHARACTERS


@given(st.binary(max_size=500))
def test_garbage_is_lines_or_an_engine_error(data):
    try:
        FrameSplitter(tty=False).feed(data, 0)
        FrameSplitter(tty=True).feed(data, 0)
    except EngineError:
        assert data


# ---------------------------------------------------------------------------- over a socket


@asynccontextmanager
async def engine(tmp_path, *answers: bytes, status: str = "200 OK"):
    """Something that answers each request with the next body, then closes; remembers the requests."""
    asked: list[str] = []
    waiting = list(answers)

    async def serve(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[0])
        body = waiting.pop(0) if waiting else b""
        if body != b"HANG":
            writer.write(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            for at in range(0, len(body), 7):
                writer.write(f"{len(body[at : at + 7]):x}\r\n".encode() + body[at : at + 7] + b"\r\n")
            if not body.endswith(b"CUT"):
                writer.write(b"0\r\n\r\n")
            writer.close()

    path = str(tmp_path / "engine.sock")
    server = await asyncio.start_unix_server(serve, path)
    inspect = {"Config": {"Tty": False}, "State": {"Running": True}}

    async def look(container):
        return inspect

    try:
        yield SimpleNamespace(endpoint=(path, "1.41"), host="h1", inspect=look, asked=asked)
    finally:
        server.close()


async def collect(client, **about):
    return [
        line.text async for batch in stream(client, "abc", tty=False, follow=False, **about) for line in batch
    ]


def taking(into: list, what):
    """Something that takes batches of lines."""

    async def take(lines):
        into.extend(map(what, lines))

    return take


async def test_lines_come_out_and_names_cannot_change_the_request(tmp_path):
    async with engine(tmp_path, frame("one\n") + frame("two\n")) as client:
        lines = [
            line.text
            async for batch in stream(client, "../x?y z", tty=False, follow=True, tail=5)
            for line in batch
        ]
    assert lines == ["one", "two"]
    assert client.asked[0].startswith("GET /v1.41/containers/..%2Fx%3Fy%20z/logs?")
    assert "tail=5" in client.asked[0] and "follow=1" in client.asked[0]


@pytest.mark.parametrize(("status", "error"), [("404 Not Found", NoSuchTarget), ("500 Oops", EngineError)])
async def test_refusals_say_what_the_engine_says(tmp_path, status, error):
    async with engine(tmp_path, b'{"message": "no \\u001b[31msuch thing"}', status=status) as client:
        with pytest.raises(error, match="no such thing"):
            await collect(client)


async def test_a_stream_that_breaks_off_is_an_error(tmp_path):
    async with engine(tmp_path, frame("one\n") + b"CUT") as client:
        with pytest.raises(EngineError):
            await collect(client)


async def test_no_engine_is_an_error(tmp_path):
    client = SimpleNamespace(endpoint=(str(tmp_path / "none"), "1"), host="h1")
    with pytest.raises(EngineError, match="h1"):
        await collect(client)


async def test_after_a_break_no_line_comes_twice_and_none_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(follower, "RETRY", 0.01)
    before = frame("a\n", 1, 1) + frame("b\n", 1, 2) + frame("c\n", 1, 2)
    again = frame("b\n", 1, 2) + frame("c\n", 1, 2) + frame("d\n", 1, 2) + frame("e\n", 1, 3)
    async with engine(tmp_path, before, again[: -len(frame("e\n", 1, 3))] + b"CUT", again, b"HANG") as client:
        got: list[str] = []
        said: list[Status] = []

        async def give(host):
            return client

        run = asyncio.create_task(
            Follower([Target("h1", "abc", "x")], give).run(
                taking(got, lambda line: line.text),
                lambda index, status: said.append(status),
            )
        )
        while got != ["a", "b", "c", "d", "e"]:
            await asyncio.sleep(0.01)
            assert not run.done() and len(got) <= 5
        run.cancel()
        await asyncio.wait([run])
    assert any(status.state == "lost" and "broke off" in str(status.error) for status in said)
    assert f"since={datetime(2026, 1, 1, 0, 0, 2, 123456, UTC).timestamp():.6f}" in client.asked[1]


async def test_logs_of_several_containers_are_merged_by_time(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    async with (
        engine(tmp_path / "1", frame("a\n", 1, 1) + frame("c\n", 1, 3)) as one,
        engine(tmp_path / "2", frame("b\n", 1, 2) + frame("d\n", 1, 4)) as two,
    ):
        clients = {"h1": one, "h2": two}

        async def give(host):
            return clients[host]

        got = []
        await Follower([Target("h1", "x", "x"), Target("h2", "y", "y")], give, Wants(follow=False)).run(
            taking(got, lambda line: (line.text, line.source)), lambda *_: None
        )
    assert got == [("a", 0), ("b", 1), ("c", 0), ("d", 1)]


async def test_engines_that_count_in_seconds_repeat_nothing_where_the_tail_began_in_the_middle_of_one(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(follower, "RETRY", 0.01)
    second = [frame(f"{text}\n", 1, 5) for text in "abcaf"]
    async with engine(tmp_path, b"".join(second[2:4]), b"".join(second), b"HANG") as client:
        got: list[str] = []

        async def give(host):
            return client

        run = asyncio.create_task(
            Follower([Target("h1", "abc", "x")], give, Wants(tail=2)).run(
                taking(got, lambda line: line.text), lambda *_: None
            )
        )
        while "f" not in got:
            await asyncio.sleep(0.01)
            assert not run.done()
        run.cancel()
        await asyncio.wait([run])
    assert got == ["c", "a", "f"]


# ------------------------------------------------------------------------------- where it was read to


def same_moment(texts: list[str], second: int = 0) -> list[LogLine]:
    at = datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)
    return [LogLine(at, 0, False, text, text) for text in texts]


@pytest.mark.parametrize("text", ["the same", "line {}"])
def test_a_clock_that_stands_still_fills_no_memory_and_repeats_nothing(text: str):
    mark = follower._Mark()
    read = same_moment([text.format(number) for number in range(50_000)])
    for at in range(0, len(read), 500):
        mark.note(read[at : at + 500])
    assert len(mark._texts) < 1_000
    mark.resume()
    fresh: list[str] = []
    again = [*read, *same_moment(["new", "newer"]), *same_moment(["newest"], 1)]
    for at in range(0, len(again), 700):
        batch = mark.fresh(again[at : at + 700], is_last=True)
        assert batch is not None
        fresh += [line.text for line in batch]
    assert fresh == ["new", "newer", "newest"]


def test_what_is_more_than_was_read_comes_where_nothing_else_can_be_had():
    mark = follower._Mark()
    mark.note(same_moment(["a", "b"]))
    mark.resume()
    assert mark.fresh(same_moment(["x", "y", "z"]), is_last=True) == []
    found = mark.fresh(same_moment(["next"], 1), is_last=True)
    assert found is not None and [line.text for line in found] == ["z", "next"]
    mark.resume()
    assert mark.fresh(same_moment(["later"], 2), is_last=False) is None
