"""Where the app gets its fleet from. What is heavy is imported after the first frame, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from backend.model import FleetState

if TYPE_CHECKING:
    from backend.config import Config

REFRESH = 4
"""States shown per second at most."""


class FleetLike(Protocol):
    """What the dashboard needs of `backend.fleet.Fleet`."""

    @property
    def state(self) -> FleetState:
        """The newest state."""

    def updates(self) -> AsyncIterator[FleetState]:
        """Each newest state."""

    def retry(self, name: str | None = None) -> None:
        """Connect now."""

    def watch_images(self) -> None:
        """Have hosts tell of their images."""

    async def accept_host_key(self, name: str, key: str) -> None:
        """Put a host's key on record."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def first_state(config: Config) -> FleetState:
    """What was known when berth ran last, for the first frame; hosts never seen are connecting."""
    from backend import laststate
    from backend.picture import blank

    known = laststate.load()
    return FleetState(hosts={host.name: known.get(host.name) or blank(host) for host in config.hosts})


async def open_fleet(config: Config, factory: Callable[[Config], FleetLike] | None = None) -> FleetLike:
    """The fleet, not entered yet."""
    if factory is not None:
        return factory(config)

    def load() -> FleetLike:
        from backend.fleet import Fleet

        return Fleet(config, remember=True)

    return await asyncio.to_thread(load)
