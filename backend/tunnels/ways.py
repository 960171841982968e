"""How a port is reached over one link: on the host itself, at a container's address, or inside of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backend.actions.ports import where
from backend.errors import ActionFailed, BerthError
from backend.tunnels import execs
from backend.tunnels.relay import Dial

if TYPE_CHECKING:
    from backend.engine import EngineClient
    from backend.link import Link

_PROBED = ("any", "loop", "none")
_AGAIN = 1.0
"""Seconds between two looks whether something listens by now."""
LOOPBACK = "127.0.0.1"


class Probe(Struct, frozen=True):
    """What a container says of one of its ports."""

    listens: str = "unknown"
    """`any`, `loop` (on its own loopback alone), `none`, or `unknown` where it cannot be asked."""
    tool: str = ""
    """A program inside that can reach its loopback; empty: there is none."""


def to_host(link: Link, port: int, address: str = LOOPBACK) -> Dial:
    """A port of the host itself."""

    async def dial(make: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        return await link.dial(make, address, port)

    return dial


async def probe(engine: EngineClient, container: str, port: int) -> Probe:
    """Ask a container about a port. Raises `EngineError` or `HostError` where nobody answers."""
    argv = ["sh", "-c", execs.script("probe.sh"), "berth-probe", str(port)]
    found = await engine.exec(container, argv)
    words = found.stdout.decode("latin-1").split()
    if found.exit_code or len(words) != 2 or words[0] not in _PROBED:
        return Probe()  # an image without a shell
    return Probe(words[0], "" if words[1] == "none" else words[1])


async def direct(engine: EngineClient, found: dict[str, Any], port: int, name: str) -> tuple[str, int] | None:
    """Where the host reaches a container's port; None where it cannot. `found` is the engine's inspect."""
    try:
        address, outside, _ = where(found, port, name)
    except ActionFailed:
        return None
    if address == LOOPBACK or _published(found, port) or not await _rootless(engine):
        return address, outside
    return None


def _published(found: dict[str, Any], port: int) -> bool:
    ports = (found.get("NetworkSettings") or {}).get("Ports") or {}
    return bool(ports.get(f"{port}/tcp"))


async def _rootless(engine: EngineClient) -> bool:
    """Whether containers are in a network of their own that their host has no way into."""
    info = await engine.info()
    return bool(info.get("Rootless")) or any(
        "rootless" in str(each) for each in info.get("SecurityOptions") or ()
    )


class ContainerWay:
    """A port of a container: over its host's network where that leads there, else inside of it."""

    def __init__(self, link: Link, engine: EngineClient, found: dict[str, Any], port: int, name: str) -> None:
        self._link, self._engine, self._found = link, engine, found
        self._port, self._name = port, name
        self._id: str = found["Id"]
        self._probe = Probe()
        self._probed_at = float("-inf")
        self._lock = asyncio.Lock()
        self.place: tuple[str, int] | None = None
        """Address and port on the host; None: it is reached inside."""
        self._dial: Dial | None = None

    @property
    def shares_network(self) -> bool:
        """Whether it has the network of its host."""
        return (self._found.get("HostConfig") or {}).get("NetworkMode") == "host"

    @property
    def note(self) -> str:
        """What is odd about it; empty: nothing."""
        return f"nothing listens on port {self._port} there" if self._probe.listens == "none" else ""

    async def find(self) -> None:
        """Find out how it is reached. Raises `ActionFailed` where it cannot be."""
        self.place = await direct(self._engine, self._found, self._port, self._name)
        if not self.shares_network:
            self._probe = await probe(self._engine, self._id, self._port)
        self._probed_at = asyncio.get_running_loop().time()
        self._choose()

    def _choose(self) -> None:
        inside = self._probe.listens == "loop" or self.place is None
        if inside and self._probe.tool:
            argv = execs.command(self._probe.tool, self._port)
            self._dial = execs.dialler(self._engine, self._id, argv)
            self.place = None
        elif self.place is not None and not inside:
            self._dial = to_host(self._link, self.place[1], self.place[0])
        elif self.place is not None:
            raise ActionFailed(
                f"port {self._port} of {self._name} is open on its own loopback alone, and nothing in its "
                "image can reach that.",
                hint="Have it listen on 0.0.0.0, or put python3, socat or nc into the image.",
            )
        else:
            raise ActionFailed(
                f"port {self._port} of {self._name} is not published, and its host has no way to it.",
                hint=f"Publish it (`ports: [{self._port}]` in its context), or put python3, socat or nc into "
                "the image.",
            )

    async def dial(self, make: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """Connect. What listened nowhere before is looked for again first."""
        if self._probe.listens == "none":
            await self._look_again()
        assert self._dial is not None
        return await self._dial(make)

    async def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._lock:
            if self._probe.listens != "none" or loop.time() < self._probed_at + _AGAIN:
                return
            self._probed_at = loop.time()
            try:
                self._probe = await probe(self._engine, self._id, self._port)
                self.place = await direct(self._engine, self._found, self._port, self._name)
                self._choose()
            except ActionFailed:
                raise
            except BerthError:
                return
