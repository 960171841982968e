"""`berth images`: what the list needs beside the fleet, which is how images stand to their recipes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from backend.errors import HostError
from backend.imagebook import Bookkeeper
from backend.imagerows import missing_rows
from backend.model import FleetState, HostState, ImageRow

if TYPE_CHECKING:
    from backend.config import Config
    from backend.engine import EngineClient
    from backend.fleet import Fleet
    from backend.link import Link
    from backend.rows import RowBuilder


def rows(builder: RowBuilder, state: FleetState) -> list[ImageRow]:
    """One row per image and host; one for each recipe that nobody has built."""
    found = builder.images(state)
    return [*found, *missing_rows(found, builder.book)] if builder.book.recipes else found


def prepare(config: Config, builder: RowBuilder, fleet: Fleet) -> Callable[[float], Awaitable[None]]:
    """Have hosts tell of their images, and read recipes meanwhile.

    What is given back waits for recipes, for so many seconds at most: without them images are still shown.
    """
    fleet.watch_images()
    keeper = Bookkeeper(config)
    if not keeper.has_roots:
        return _nothing
    task = asyncio.create_task(_read(keeper, config, builder, fleet))

    async def wait(seconds: float) -> None:
        done, _ = await asyncio.wait({task}, timeout=max(0.0, seconds))
        for each in done:
            each.result()

    return wait


async def _nothing(seconds: float) -> None:
    """There are no recipes."""


async def _read(keeper: Bookkeeper, config: Config, builder: RowBuilder, fleet: Fleet) -> None:
    from backend.building import records

    hosts = [host.name for host in config.hosts if not host.skip and host.engine != "none"]
    keeper.builds(records.listed(active=True), builder.use_recipes)
    await keeper.read(_FleetLinks(fleet), hosts, builder.use_recipes)


class _FleetLinks:
    """The fleet's connections, as actions reach hosts."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    @property
    def state(self) -> FleetState:
        """What is known of all hosts."""
        return self._fleet.state

    async def link(self, host: str) -> Link:
        """The connection of a host, once it is open."""
        async for state in self._fleet.updates():
            snapshot = state.hosts.get(host)
            if snapshot is None:
                break
            if (link := self._fleet.link(host)) is not None:
                return link
            if snapshot.state not in (HostState.CONNECTING, HostState.UP):
                break
        raise HostError(f"{host} is not connected.")

    async def engine(self, host: str) -> EngineClient:
        """Nothing is asked of engines here."""
        raise HostError(f"{host}: no engine is asked.")
