"""Jump hosts: one connection to each, shared by all hosts behind it, for as long as one of them needs it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend.config import HostConfig
from backend.errors import Unreachable
from backend.link.target import Target, resolve
from backend.link.threads import in_thread

if TYPE_CHECKING:
    from backend.link.connect import Session

Reach = Callable[..., Awaitable["Session"]]
"""`connect.reach(target, gate)`."""
OPEN_TIMEOUT = 8.0
"""Seconds a jump host may take to connect onwards."""
_CLOSE_TIMEOUT = 2.0

_gates: dict[tuple[asyncio.AbstractEventLoop, tuple[HostConfig, ...]], Gate] = {}
_on_the_way: ContextVar[tuple[tuple[HostConfig, ...], ...]] = ContextVar("jumps", default=())
"""The jump hosts whose opening this is part of."""


class Gate:
    """The connection to a jump host. Serves as asyncssh's `tunnel`."""

    def __init__(self, jumps: tuple[HostConfig, ...], reach: Reach) -> None:
        self._key = (asyncio.get_running_loop(), jumps)
        self._users = 0
        self._opening = asyncio.create_task(_open(jumps, reach), name=f"jump host {jumps[-1].name}")
        _gates[self._key] = self

    async def ready(self) -> None:
        """Wait until it is connected; raises why it is not."""
        self._users += 1
        try:
            session = await asyncio.shield(self._opening)
        except BaseException:
            if self._opening.done():
                self._forget()
            await self.leave()
            raise
        session.lost.add_done_callback(lambda _: self._forget())

    async def leave(self) -> None:
        """One host less needs it; the last one closes it."""
        self._users -= 1
        if self._users:
            return
        self._forget()
        if not self._opening.done():
            self._opening.cancel()
        elif not self._opening.cancelled() and self._opening.exception() is None:
            session = self._opening.result()
            session.connection.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(session.connection.wait_closed(), _CLOSE_TIMEOUT)
            session.connection.abort()
            await session.release()

    async def create_connection(self, factory: Any, host: str, port: int) -> Any:
        """Connect onwards: what asyncssh asks of a tunnel."""
        async with asyncio.timeout(OPEN_TIMEOUT):
            return await self._opening.result().connection.create_connection(factory, host, port)

    def _forget(self) -> None:
        if _gates.get(self._key) is self:
            del _gates[self._key]


async def enter(jumps: tuple[HostConfig, ...], reach: Reach) -> Gate:
    """The last of these jump hosts, connected through those before it. Call `leave` when done with it."""
    if jumps in _on_the_way.get():
        raise Unreachable(
            f"the way to the jump host {jumps[-1].name} leads through itself.",
            hint=f"Add to ~/.ssh/config: Host {jumps[-1].name}, and below it ProxyJump none.",
        )
    gate = _gates.get((asyncio.get_running_loop(), jumps)) or Gate(jumps, reach)
    await gate.ready()
    return gate


async def _open(jumps: tuple[HostConfig, ...], reach: Reach) -> Session:
    _on_the_way.set((*_on_the_way.get(), jumps))
    *before, last = jumps
    target: Target = await in_thread(resolve, last, f"the jump host {last.name}")
    if before:
        return await reach(target, await enter(tuple(before), reach))
    if any(jump.host == last.host for jump in target.jumps):
        target = replace(target, jumps=())  # `Host *` with a ProxyJump means everything but the jump host
    return await reach(target)
