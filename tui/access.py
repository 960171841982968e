"""How actions and views reach hosts from the dashboard: over the connections that its fleet has open."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from backend.errors import HostError
from backend.model import EngineState, FleetState, HostState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backend.config import Config
    from backend.engine import EngineClient
    from backend.link import Link
    from backend.logs.plain import LogEngine

PATIENCE = 10.0
"""Seconds that a host which is only being connected has, before it counts as one that is not there."""


class Linked(Protocol):
    """What is needed of `backend.fleet.Fleet`."""

    @property
    def state(self) -> FleetState:
        """The newest state."""

    def updates(self) -> AsyncIterator[FleetState]:
        """Each newest state."""

    def link(self, name: str) -> Link | None:
        """The open connection to a host."""


class FleetAccess:
    """An `Access` over a fleet. One engine client per connection: a new connection gets a new one."""

    def __init__(self, fleet: Linked, config: Config) -> None:
        self._fleet = fleet
        self._config = config
        self._engines: dict[str, tuple[Link, asyncio.Task[EngineClient]]] = {}

    @property
    def state(self) -> FleetState:
        """What is known of all hosts."""
        return self._fleet.state

    async def link(self, host: str) -> Link:
        """The open connection of a host. Raises `HostError` saying why there is none."""
        self._config.host(host)
        try:
            async with asyncio.timeout(PATIENCE):
                async for state in self._fleet.updates():
                    if (link := self._fleet.link(host)) is not None:
                        return link
                    snapshot = state.hosts[host]
                    if snapshot.state not in (HostState.CONNECTING, HostState.UP):
                        problem = snapshot.error
                        said = problem.message if problem else f"{host} is {snapshot.state.value}."
                        raise HostError(said, hint=problem.hint if problem else "")
        except TimeoutError:
            pass
        raise HostError(f"{host} is not connected yet.", hint="It is being tried.")

    async def engine(self, host: str) -> EngineClient:
        """The host's engine over that connection. Raises `EngineError` or `HostError`."""
        link = await self.link(host)
        known = self._engines.get(host)
        if known is not None:
            over, task = known
            if over is link and not (task.done() and (task.cancelled() or task.exception())):
                return await asyncio.shield(task)
            self._forget(task)
        task = asyncio.create_task(self._connect(link, host), name=f"engine of {host}")
        self._engines[host] = link, task
        return await asyncio.shield(task)

    async def log_engine(self, host: str) -> LogEngine:
        """What logs need of the engine; without the SDK where the agent has said where the socket is."""
        link = await self.link(host)
        known = self.state.hosts[host].engine
        if known is None or known.state is not EngineState.UP or not known.socket.startswith("/"):
            return await self.engine(host)
        from backend.logs.plain import PlainEngine

        return PlainEngine(host, await link.forward_socket(known.socket))

    async def _connect(self, link: Link, host: str) -> EngineClient:
        # Importing it takes 0.15 s: in the middle of whatever somebody is doing who only looks.
        engine = await asyncio.to_thread(import_module, "backend.engine")
        client: EngineClient = await engine.connect(
            link, self._config.host(host), self.state.hosts[host].engine
        )
        return client

    def _forget(self, task: asyncio.Task[EngineClient]) -> None:
        """Close a client whose connection is gone, whenever it is there."""
        task.add_done_callback(
            lambda done: None if done.cancelled() or done.exception() else done.result().close()
        )
        task.cancel()

    async def close(self) -> None:
        """Close all clients; the connections are the fleet's."""
        tasks = [task for _, task in self._engines.values()]
        self._engines.clear()
        for task in tasks:
            self._forget(task)
        await asyncio.gather(*tasks, return_exceptions=True)
