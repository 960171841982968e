"""Clean-ups that outlive their connection: what was begun over one is put back over the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from backend.engine.faults import LostError
from backend.errors import BerthError, EngineError, HostError

if TYPE_CHECKING:
    from backend.engine.client import EngineClient

T = TypeVar("T")
Again = Callable[[], Awaitable["EngineClient"]]
"""Gives the host's engine anew, over a new connection where the old one is lost."""

PATIENCE = 45.0
"""Seconds that a lost host has to come back."""
_PAUSE = 1.0


class Lasting:
    """An engine, and the same engine again once its connection is lost."""

    def __init__(self, engine: EngineClient, again: Again | None = None) -> None:
        self.engine = engine
        self._again = again
        self._until: float | None = None

    async def do(self, step: Callable[[EngineClient], Awaitable[T]]) -> T:
        """Run a step that may be run twice. Raises what it raises, a loss only after `PATIENCE`."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await step(self.engine)
            except (HostError, EngineError) as error:
                if not isinstance(error, HostError | LostError) and not _gone(self.engine):
                    raise
                self._until = self._until or loop.time() + PATIENCE  # for all steps together
                if self._again is None or loop.time() > self._until:
                    raise
                await asyncio.sleep(_PAUSE)
            try:
                self.engine = await self._again()
            except BerthError:
                continue  # the step says best what is wrong


def _gone(engine: EngineClient) -> bool:
    """Whether its connection is closed: then whatever the forwarded socket says is no word of the engine."""
    return asyncio.ensure_future(engine.link.closed).done()
