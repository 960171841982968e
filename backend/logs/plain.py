"""The little of an engine that logs need, without the SDK: loading that takes 0.2 s."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol
from urllib.parse import quote

from backend.agent.http_parse import ResponseError, ResponseParser
from backend.errors import EngineError, NoSuchTarget
from backend.text import printable

TIMEOUT = 15.0
_CHUNK = 256 * 1024


class LogEngine(Protocol):
    """What logs need of `backend.engine.EngineClient`."""

    @property
    def host(self) -> str:
        """The host's nick."""

    @property
    def endpoint(self) -> tuple[str, str]:
        """Path of the socket here, and version of the API."""

    async def inspect(self, container: str) -> dict[str, Any]:
        """Everything the engine knows of a container. Raises `NoSuchTarget`, `EngineError`."""


class PlainEngine:
    """An engine behind a socket of this machine."""

    def __init__(self, host: str, path: str) -> None:
        self.host = host
        self.endpoint = path, ""

    async def inspect(self, container: str) -> dict[str, Any]:
        """Everything the engine knows of a container. Raises `NoSuchTarget`, `EngineError`."""
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._inspect(container)
        except TimeoutError:
            raise EngineError(f"{self.host}: the engine did not answer within {TIMEOUT:.0f} s.") from None
        except (OSError, ResponseError) as error:
            raise EngineError(f"{self.host}: the engine cannot be reached ({error}).") from None

    async def _inspect(self, container: str) -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(self.endpoint[0])
        try:
            writer.write(request(self.endpoint[1], f"/containers/{quote(container, safe='')}/json"))
            parser = ResponseParser()
            while not parser.done:
                if data := await reader.read(_CHUNK):
                    parser.feed(data)
                else:
                    parser.end()
        finally:
            writer.close()
        if parser.status >= 400:
            raise refusal(parser.status, parser.body, self.host)
        try:
            found = json.loads(parser.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise EngineError(f"{self.host}: what answers there is no Docker or Podman.")
        return found


def request(version: str, path: str) -> bytes:
    """A request for one connection. Without a version the engine takes its own."""
    return f"GET {f'/v{version}' if version else ''}{path} HTTP/1.1\r\nHost: engine\r\n\r\n".encode()


def refusal(status: int, body: bytes, host: str) -> EngineError | NoSuchTarget:
    """What the engine says instead of an answer."""
    try:
        said = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        said = f"status {status}"
    message = f"{host}: {printable(said, 300)}."
    return NoSuchTarget(message) if status == 404 else EngineError(message)
