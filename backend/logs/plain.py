"""The little of an engine that logs need, without the SDK: loading that takes 0.2 s."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol
from urllib.parse import quote

from backend.agent.http_parse import ResponseError
from backend.enginehttp import ask, get
from backend.errors import EngineError

TIMEOUT = 15.0


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
        path, version = self.endpoint
        asked = get(version, f"/containers/{quote(container, safe='')}/json")
        try:
            found = json.loads(await ask(path, asked, self.host))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise EngineError(f"{self.host}: what answers there is no Docker or Podman.")
        return found
