"""Engines that answer wrongly, not at all, or with anything: a socket that plays them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.config import HostConfig
from backend.engine import EngineClient, connect, faults
from backend.errors import BerthError, EngineError, NoSuchTarget
from backend.link.local import LocalLink

VERSION = {
    "ApiVersion": "1.41",
    "Version": "20.10.1",
    "Components": [{"Name": "Engine", "Version": "20.10.1"}],
}


def reply(status: int, body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def error(status: int, message: object) -> bytes:
    return reply(status, json.dumps({"message": message}).encode())


class FakeEngine:
    """Answers `/version` well and everything else with `answer`; None: never."""

    def __init__(self, path: Path) -> None:
        self.socket = str(path)
        self.answer: bytes | None = b""
        self.version: bytes = reply(200, json.dumps(VERSION).encode())
        self.asked: list[str] = []
        self.waiting = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request = head.split(b"\r\n", 1)[0].decode()
                self.asked.append(request)
                answer = self.version if request.startswith("GET /version") else self.answer
                if answer is None:
                    self.waiting.set()
                    await reader.read()  # until they hang up
                    return
                writer.write(answer)
                await writer.drain()
                if not answer.startswith(b"HTTP/1.1 2") or answer == GARBAGE["half"]:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeEngine]:
    engine = FakeEngine(tmp_path / "fake.sock")
    server = await asyncio.start_unix_server(engine.serve, engine.socket)
    yield engine
    server.close()


def at(fake: FakeEngine) -> HostConfig:
    return HostConfig(name="h1", host="local", local=True, socket=fake.socket)


@pytest.fixture
async def client(fake: FakeEngine) -> AsyncIterator[EngineClient]:
    client = await connect(LocalLink("h1"), at(fake))
    yield client
    client.close()


Call = Callable[[EngineClient], Awaitable[object]]
CALLS: dict[str, Call] = {
    "inspect": lambda engine: engine.inspect("c1"),
    "list": lambda engine: engine.containers(),
    "stop": lambda engine: engine.stop("c1"),
    "remove": lambda engine: engine.remove("c1"),
    "create": lambda engine: engine.create({"Image": "i"}, "c1"),
    "exec": lambda engine: engine.exec("c1", ["true"]),
    "commit": lambda engine: engine.commit("c1", "image:1"),
    "top": lambda engine: engine.top("c1"),
    "stat": lambda engine: engine.stat("c1", "/etc"),
    "wait": lambda engine: engine.wait("c1", timeout=5),
    "copy out": lambda engine: engine.read_archive("c1", "/etc", lambda stream: stream.read(10)),
    "copy in": lambda engine: engine.write_archive("c1", "/tmp", iter([b"x" * 1000])),
    "image": lambda engine: engine.inspect_image("i"),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
with_body = pytest.mark.parametrize(
    "call", [call for name, call in CALLS.items() if name != "stat"], ids=[n for n in CALLS if n != "stat"]
)


@with_body
async def test_what_a_conflict_says_is_shown_and_harmless(client: EngineClient, fake: FakeEngine, call: Call):
    fake.answer = error(409, "You cannot\x1b]0;evil\x07 do that \u202e[/now]")
    with pytest.raises(EngineError) as caught:
        await call(client)
    assert caught.value.message == "h1: You cannot do that \N{REPLACEMENT CHARACTER}[/now]"


@every_call
async def test_an_engine_in_trouble_is_an_engine_error(client: EngineClient, fake: FakeEngine, call: Call):
    fake.answer = error(500, "it broke")
    with pytest.raises(EngineError):
        await call(client)


@with_body
async def test_what_is_not_there_is_not_found(client: EngineClient, fake: FakeEngine, call: Call):
    fake.answer = error(404, "No such container: c1")
    with pytest.raises(NoSuchTarget, match="No such container"):
        await call(client)


GARBAGE = {
    "no http": b"\x00\xff\x13garbage\r\n\r\n",
    "nothing": b"",
    "html": reply(200, b"<html>Welcome</html>", "text/html"),
    "another shape": reply(200, b"[1, 2"),
    "a list": reply(200, b'["a"]'),
    "half": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
    "error without words": b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n[]",
    "error with odd words": error(500, {"a": [1]}),
    "long error": error(500, "x" * 100_000),
}


@every_call
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_an_error_of_ours(
    client: EngineClient, fake: FakeEngine, call: Call, garbage: bytes
):
    fake.answer = garbage
    try:
        await asyncio.wait_for(call(client), 10)
    except BerthError as error:
        assert len(str(error)) < 1500 and error.exit_code in (1, 4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), status=st.sampled_from([200, 201, 204, 304, 404, 409, 500]))
async def test_any_answer_is_an_error_of_ours(tmp_path_factory, body: bytes, status: int):
    fake = FakeEngine(tmp_path_factory.mktemp("fuzz") / "s")
    fake.answer = reply(status, body)
    server = await asyncio.start_unix_server(fake.serve, fake.socket)
    client = await connect(LocalLink("h1"), at(fake))
    for call in CALLS.values():
        try:
            await call(client)
        except BerthError as error:
            assert error.message
    client.close()
    server.close()


async def test_an_answer_that_never_comes_can_be_left(client: EngineClient, fake: FakeEngine):
    fake.answer = None
    for call in (CALLS["inspect"], CALLS["copy out"], CALLS["wait"]):
        fake.waiting.clear()
        asking = asyncio.ensure_future(call(client))
        await fake.waiting.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_stream_that_stands_still_is_given_up(
    client: EngineClient, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("backend.engine.files.IDLE_TIMEOUT", 0.1)
    fake.answer = None
    with pytest.raises(EngineError, match="did not answer"):
        await client.read_archive("c1", "/etc", lambda stream: stream.read(10))


async def test_an_engine_that_went_away_is_asked_anew_when_it_is_back(client: EngineClient, fake: FakeEngine):
    fake.answer = reply(200, b'{"Id": "x"}')
    assert await client.inspect("c1") == {"Id": "x"}
    fake.answer = b""
    with pytest.raises(EngineError):
        await client.inspect("c1")
    fake.answer = reply(200, b'{"Id": "y"}')
    assert await client.inspect("c1") == {"Id": "y"}


@pytest.mark.parametrize(
    "version", [b"", b"\x00garbage", reply(200, b"{}"), reply(404, b"not found"), reply(200, b"x")]
)
async def test_something_else_on_the_socket_is_named(fake: FakeEngine, version: bytes):
    fake.version = version
    with pytest.raises(EngineError) as caught:
        await connect(LocalLink("h1"), at(fake))
    assert "h1" in caught.value.message and caught.value.hint


async def test_nobody_listens(tmp_path: Path):
    import socket

    path = tmp_path / "dead.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with pytest.raises(EngineError, match="nothing listens") as caught:
        await connect(LocalLink("h1"), HostConfig(name="h1", host="local", local=True, socket=str(path)))
    assert "systemctl start" in caught.value.hint


def test_faults_of_this_machine_are_not_blamed_on_the_engine():
    gone = FileNotFoundError(2, "No such file or directory", "/home/me/x")
    assert str(faults.translate(gone, "h1", "copy")).startswith("/home/me/x: No such file")
    denied = PermissionError(13, "Permission denied", "/root/x")
    assert str(faults.translate(denied, "h1", "copy")).startswith("/root/x: Permission denied")
    assert (
        "No room" in str(faults.translate(OSError(28, "No space left on device"), "h1", "copy")).capitalize()
    )
