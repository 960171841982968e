"""How actions reach hosts without a dashboard: one link per host, made when it is first needed."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from backend import link as links
from backend.errors import HostError

if TYPE_CHECKING:
    from backend.config import Config
    from backend.engine import EngineClient
    from backend.link import Link
    from backend.model import FleetState


T = TypeVar("T")
_AGAIN = 1.0
"""Seconds for which a host that could not be reached counts as such."""


class StandaloneAccess:
    """Links and engine clients of its own, for as long as the `async with` lasts."""

    def __init__(self, config: Config) -> None:
        self._config = self.config = config
        self._links: dict[str, asyncio.Task[Link]] = {}
        self._engines: dict[str, asyncio.Task[EngineClient]] = {}

    @property
    def state(self) -> FleetState | None:
        """Nothing is watched here."""
        return None

    async def link(self, host: str) -> Link:
        """The connection to a host. Raises `HostError`; `NoSuchTarget` for an unknown name."""
        if host not in self._links:
            if self._config.host(host).skip:
                raise HostError(f"{host} is skipped.", hint="`skip: true` says so in hosts.yaml.")
            task = self._links[host] = asyncio.create_task(self._open(host))
            task.add_done_callback(lambda done: self._later(self._links, host, done))
        return await asyncio.shield(self._links[host])

    async def engine(self, host: str) -> EngineClient:
        """The host's engine. Raises `EngineError` or `HostError`."""
        if host not in self._engines:
            task = self._engines[host] = asyncio.create_task(self._connect(host))
            task.add_done_callback(lambda done: self._later(self._engines, host, done))
        return await asyncio.shield(self._engines[host])

    async def _open(self, host: str) -> Link:
        link = await links.open(self._config.host(host))
        asyncio.ensure_future(link.closed).add_done_callback(lambda _: self._lost(host, link))
        return link

    def _lost(self, host: str, link: Link) -> None:
        """Whoever goes on needs a new connection, and an engine over it."""
        task = self._links.get(host)
        if (
            task is None
            or not task.done()
            or task.cancelled()
            or task.exception()
            or task.result() is not link
        ):
            return
        del self._links[host]
        if (engine := self._engines.pop(host, None)) is not None:
            engine.add_done_callback(_close)

    def _later(self, kept: dict[str, asyncio.Task[T]], host: str, done: asyncio.Task[T]) -> None:
        """Try again what failed, but not for each of many targets that ask at the same time."""
        if done.cancelled() or done.exception() is None:
            return

        def forget() -> None:
            if kept.get(host) is done:
                del kept[host]

        asyncio.get_running_loop().call_later(_AGAIN, forget)

    async def _connect(self, host: str) -> EngineClient:
        from backend import engine

        return await engine.connect(await self.link(host), self._config.host(host))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything, also what is only being opened."""
        opened = [*self._engines.values(), *self._links.values()]
        for task in opened:
            if not task.done():
                task.cancel()
        await asyncio.gather(*opened, return_exceptions=True)
        for each in list(self._engines.values()):
            if not each.cancelled() and each.exception() is None:
                each.result().close()
        links = [one for one in self._links.values() if not one.cancelled() and one.exception() is None]
        await asyncio.gather(*(one.result().close() for one in links))


def _close(engine: asyncio.Task[EngineClient]) -> None:
    if not engine.cancelled() and engine.exception() is None:
        engine.result().close()
