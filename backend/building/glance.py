"""A first look at the images of a host without the engine's client, whose import takes longer than the look.

For the command line: a call of `berth images build` that finds everything fresh needs nothing else, nor does
a build whose base is there.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from backend.agent.http_parse import ResponseError, ResponseParser
from backend.enginesockets import find_sockets
from backend.errors import BerthError, EngineError, NoSuchTarget

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import HostConfig
    from backend.link import Link

_WAIT = 10.0
"""Seconds for one answer."""
_LIMIT = 1 << 24
"""Bytes of one answer."""


class Looks(Protocol):
    """What can tell of images: this look, or the engine's client."""

    async def inspect_image(self, image: str) -> dict[str, Any]:
        """Everything the engine knows of an image. Raises `NoSuchTarget`, `EngineError`."""


class Engine(Protocol):
    """What a build has to know of an engine: this look tells it, or the engine's client."""

    @property
    def host(self) -> str:
        """The nick of its host."""

    @property
    def link(self) -> Link:
        """The connection to it."""

    @property
    def socket(self) -> str:
        """Its path on the host."""

    @property
    def kind(self) -> str:
        """`docker` or `podman`."""


class Glance:
    """The images of one engine, by one connection that is kept open."""

    def __init__(self, host: str, path: str, link: Link, socket: str) -> None:
        """`path`: here; `socket`: there."""
        self.host = host
        self.link = link
        self.socket = socket
        self.kind = ""
        """Empty until `learn` has found it out."""
        self._path = path
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._listed: dict[str, dict[str, Any]] | None = None

    async def inspect_image(self, image: str) -> dict[str, Any]:
        """Id, names and labels of an image. Raises `NoSuchTarget`, `EngineError`.

        One request tells of all that the engine has; only a name that is not written there as it is here is
        asked for by itself.
        """
        name = image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
        async with self._turn:
            if self._listed is None:
                _, listed = await self._ask("/images/json")
                self._listed = _by_name(listed)
            if (known := self._listed.get(name)) is not None:
                return known
            status, found = await self._ask(f"/images/{quote(image, safe='/:@')}/json")
        if status == 404:
            raise NoSuchTarget(f"{self.host} has no image {image}.")
        if status != 200 or not isinstance(found, dict):
            raise EngineError(f"{self.host}: the engine answered with status {status}.")
        return found

    async def learn(self) -> None:
        """Find out what kind of engine it is. Raises `EngineError`."""
        if not self.kind:
            async with self._turn:
                status, said = await self._ask("/version")
            if status != 200 or not isinstance(said, dict):
                raise EngineError(f"{self.host}: the engine answered with status {status}.")
            parts = said.get("Components")
            names = [each.get("Name") for each in parts or () if isinstance(each, dict)]
            self.kind = "podman" if any("podman" in str(name).lower() for name in names) else "docker"

    def forget(self) -> None:
        """Images have changed."""
        self._listed = None

    async def _ask(self, path: str) -> tuple[int, Any]:
        try:
            async with asyncio.timeout(_WAIT):
                status, body = await self._get(path)
            return status, json.loads(body)
        except (OSError, ResponseError, ValueError, TimeoutError) as error:
            await self.close()
            raise EngineError(f"{self.host}: the engine's answer makes no sense ({error}).") from None

    async def _get(self, path: str) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self._path)
        reader, writer = self._streams
        body = bytearray()
        parser = ResponseParser(on_data=body.extend)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: engine\r\n\r\n".encode())
        while not parser.done:
            data = await reader.read(65536)
            if not data or len(body) > _LIMIT:
                raise ConnectionResetError("it hung up")
            parser.feed(data)
        return parser.status, bytes(body or parser.body)

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def _by_name(listed: Any) -> dict[str, dict[str, Any]]:
    """The images of a list by their names, as the engine tells of one; nothing of what is no list."""
    found: dict[str, dict[str, Any]] = {}
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and isinstance(each.get("Id"), str):
            tags = [tag for tag in each.get("RepoTags") or () if isinstance(tag, str)]
            known = {"Id": each["Id"], "RepoTags": tags, "Config": {"Labels": each.get("Labels")}}
            found.update(dict.fromkeys(tags, known))
    return found


async def glance(access: Access, host: HostConfig) -> Glance | None:
    """A look at a host's engine; None where only its client can tell (or say what is wrong)."""
    if access.state is not None or host.engine == "none":
        return None  # in the dashboard the client is there already
    try:
        link = await access.link(host.name)
        found = await find_sockets(link, host)
        if not found.use:
            return None
        return Glance(host.name, await link.forward_socket(found.use[0]), link, found.use[0])
    except (BerthError, TimeoutError):
        return None
