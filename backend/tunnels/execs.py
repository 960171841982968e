"""The loopback of a container, by a small program that the engine runs inside for each connection.

For what listens on the container's own loopback alone, and for containers whose address their host cannot
reach (rootless ones). The program speaks by its standard input and output; nothing is opened to anybody.
"""

from __future__ import annotations

import asyncio
import json
import pkgutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from backend.agent.http_parse import ResponseError
from backend.enginehttp import ask
from backend.errors import EngineError
from backend.text import printable
from backend.tunnels.relay import Dial

if TYPE_CHECKING:
    from backend.engine import EngineClient

_TIMEOUT = 20.0
"""Seconds an engine may take to start a program; many may start at the same time."""
_AT_ONCE = 12
"""Programs that are started at the same time through one tunnel: each costs the host some 50 ms."""
_HEAD = 64 * 1024
_STDOUT = 1
_BASH = 'exec 3<>"/dev/tcp/127.0.0.1/$1" || exit; cat <&3 & cat >&3; kill $!'


def script(name: str) -> str:
    """The text of one of our scripts."""
    data = pkgutil.get_data("backend.tunnels", f"scripts/{name}")
    assert data is not None
    return data.decode()


def command(tool: str, port: int) -> list[str]:
    """What joins standard input and output with a port of the loopback."""
    if "python" in tool:
        return [tool, "-c", script("relay.py"), str(port)]
    if tool == "socat":
        return [tool, "-t", "3600", "-", f"TCP:127.0.0.1:{port}"]
    if tool == "bash":
        return [tool, "-c", _BASH, "berth-relay", str(port)]
    return [tool, "127.0.0.1", str(port)]


def dialler(engine: EngineClient, container: str, argv: Sequence[str]) -> Dial:
    """Runs that program in the container for each connection."""
    starting = asyncio.Semaphore(_AT_ONCE)
    path, version = engine.endpoint
    front = f"/v{version}" if version else ""

    async def dial(make: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        try:
            async with starting, asyncio.timeout(_TIMEOUT):
                body = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Cmd": list(argv)}
                where = f"{front}/containers/{quote(container, safe='')}/exec"
                made = json.loads(await ask(path, _request(where, body), engine.host))
                return await _start(path, f"{front}/exec/{made['Id']}/start", make, engine.host)
        except TimeoutError:
            raise EngineError(f"{engine.host}: the engine did not start the relay in time.") from None
        except (ResponseError, ValueError, KeyError, TypeError) as error:
            raise EngineError(f"{engine.host}: the engine cannot be used ({error}).") from None

    return dial


def _request(url: str, body: Any, *more: str) -> bytes:
    data = json.dumps(body).encode()
    lines = [f"POST {url} HTTP/1.1", "Host: engine", "Content-Type: application/json", *more]
    return "\r\n".join([*lines, f"Content-Length: {len(data)}", "", ""]).encode() + data


async def _start(path: str, url: str, make: Callable[[], asyncio.Protocol], host: str) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    begun: asyncio.Future[None] = loop.create_future()
    transport, _ = await loop.create_unix_connection(lambda: _Attached(begun, make, host), path)
    try:
        transport.write(_request(url, {"Detach": False, "Tty": False}, "Connection: Upgrade", "Upgrade: tcp"))
        await begun
    except BaseException:
        transport.abort()
        raise
    return transport


class _Attached(asyncio.Protocol):
    """What comes from the engine: the head of its answer, then the program's output in frames.

    Frames: Docker Engine API, ContainerAttach, "Stream format".
    """

    def __init__(self, begun: asyncio.Future[None], make: Callable[[], asyncio.Protocol], host: str) -> None:
        self._begun, self._make, self._host = begun, make, host
        self._held = bytearray()
        self._to: asyncio.Protocol | None = None
        self._stream, self._left = 0, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._to is None:
            self._held += data
            self._head()
        elif self._left >= len(data) and not self._held:  # the common case: all of it is of one frame
            self._left -= len(data)
            self._give(data)
        else:
            self._held += data
            self._frames()

    def _head(self) -> None:
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            if len(self._held) > _HEAD:
                self._fail("it does not speak HTTP")
            return
        first = bytes(self._held[:end]).split(b"\r\n", 1)[0].decode("latin-1")
        if first.split(" ")[1:2] not in (["101"], ["200"]):
            self._fail(first)
            return
        del self._held[: end + 4]
        if not self._begun.done():
            self._to = self._make()
            self._to.connection_made(self._transport)
            self._begun.set_result(None)
            self._frames()

    def _fail(self, said: str) -> None:
        if not self._begun.done():
            text = printable(said, 200)
            self._begun.set_exception(EngineError(f"{self._host}: the engine started no relay: {text}."))
        self._transport.abort()

    def _frames(self) -> None:
        while self._held:
            if not self._left:
                if len(self._held) < 8:
                    return
                self._stream, self._left = self._held[0], int.from_bytes(self._held[4:8], "big")
                del self._held[:8]
                continue
            piece = bytes(self._held[: self._left])
            del self._held[: self._left]
            self._left -= len(piece)
            self._give(piece)

    def _give(self, data: bytes) -> None:
        if self._stream == _STDOUT and self._to is not None:
            self._to.data_received(data)

    def eof_received(self) -> bool:
        """The program has ended."""
        return False

    def pause_writing(self) -> None:
        if self._to is not None:
            self._to.pause_writing()

    def resume_writing(self) -> None:
        if self._to is not None:
            self._to.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._begun.done():
            self._begun.set_exception(EngineError(f"{self._host}: the engine closed the connection."))
        if self._to is not None:
            self._to.connection_lost(exc)
