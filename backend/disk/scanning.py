"""One scan from here: begun, followed to its end, cancelled with whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from backend.disk.model import Progress
from backend.disk.remote import HostSide, progress
from backend.errors import ActionFailed

if TYPE_CHECKING:
    from backend.link import Link


class Scanning:
    """A host's side with what it tells. Leaving it ends the host's side too."""

    side: HostSide

    def __init__(
        self,
        link: Link,
        *,
        sudo: bool = False,
        polite: bool = True,
        told: Callable[[Progress], None] = lambda found: None,
    ) -> None:
        """`polite`: at idle priority. `told`: called with how far a scan is."""
        self._link, self._sudo, self._polite, self._told = link, sudo, polite, told
        self.progress = Progress()
        self.running = False
        self._ended = asyncio.Event()
        self.lost = ""
        """Why the host's side is gone."""

    async def __aenter__(self) -> Self:
        self.side = await HostSide.open(self._link, sudo=self._sudo, polite=self._polite)
        self.side.told = self._hear
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.side.close()

    async def begin(self, path: str, seconds: float, *, cross: bool = False, fresh: bool = False) -> str:
        """Begin to read a folder, or read on in it; its path without links."""
        self._ended.clear()
        self.running = True
        try:
            return await self.side.scan(path, seconds, cross=cross, fresh=fresh)
        except BaseException:
            self.running = False
            raise

    async def scan(self, path: str, seconds: float, *, cross: bool = False) -> str:
        """Read a folder for so long at most; its path without links. Raises `BerthError`s."""
        path = await self.begin(path, seconds, cross=cross)
        await self.wait()
        return path

    async def wait(self) -> None:
        """Wait for its end. Raises `ActionFailed` where the host's side is lost."""
        await self._ended.wait()
        if self.lost:
            raise ActionFailed(self.lost)

    def _hear(self, event: dict[str, Any]) -> None:
        kind = event.get("event")
        if kind in ("progress", "ended"):
            self.progress = progress(event)
        if kind == "lost":
            self.lost = str(event.get("error", ""))
        if kind in ("ended", "lost"):
            self.running = False
            self._ended.set()
        self._told(self.progress)
