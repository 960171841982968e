"""A service of a container on a port of this machine, for as long as one wants, across lost links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from backend import backoff
from backend.actions.ports import where
from backend.errors import (
    ActionFailed,
    BerthError,
    EngineError,
    HostError,
    HostKeyChanged,
    HostKeyUnknown,
    LoginRefused,
    NoSuchTarget,
)
from backend.workspaces import inside, kept, services
from backend.workspaces.inside import Place, Running

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.config import Context
    from backend.link import Link

_FINAL = (LoginRefused, HostKeyChanged, HostKeyUnknown)
_SAME_CAUSE = 3.0
"""Seconds between the end of a command and that of the link, or the container, which ended it."""


async def look(ctx: ActionContext, context: Context, name: str) -> tuple[Place, dict[str, Any]]:
    """The service's place, and the engine's inspect. Raises `ActionFailed` where no container runs."""
    service = services.find(context, name)
    engine = await ctx.engine(context.host)
    where_ = f"{context.container} on {context.host}"
    try:
        found = await engine.inspect(context.container)
    except NoSuchTarget:
        raise NoSuchTarget(f"{where_} is not there.", hint=f"Make it with: berth up {context.name}") from None
    if not (found.get("State") or {}).get("Running"):
        raise ActionFailed(f"{where_} does not run.", hint=f"Start it with: berth up {context.name}")
    shares = (found.get("HostConfig") or {}).get("NetworkMode") == "host"
    return Place(context, name, service, found["Id"], shares), found


async def end(ctx: ActionContext, context: Context, name: str) -> str:
    """End a service in its container."""
    place, _ = await look(ctx, context, name)
    await inside.end(await ctx.engine(context.host), place)
    return f"{name} in {context.container} on {context.host} is ended"


async def hold(ctx: ActionContext, context: Context, name: str, *, local: int, browser: bool) -> str:
    """Start or find the service, and forward it until cancelled or until it ends. It outlives us."""
    opening = _Opening(ctx, context, name, local, browser)
    attempt = 0
    while True:
        lost: BerthError
        try:
            lost = await opening.once()
            attempt = 0
        except _FINAL:
            raise
        except inside.Ended as error:
            for line in error.said:
                ctx.report(line)
            raise
        except (HostError, EngineError) as error:
            if not opening.began:
                raise
            lost = error
        attempt += 1
        if attempt == 1:
            ctx.report(f"{context.host} is lost: {lost.message} {name} is opened again when it is back.")
        cause = lost if isinstance(lost, HostError) else HostError(lost.message)
        await asyncio.sleep(backoff.delay(cause, attempt))


class _Opening:
    """One service that is held open, over one link after another."""

    def __init__(self, ctx: ActionContext, context: Context, name: str, local: int, browser: bool) -> None:
        self._ctx = ctx
        self._context = context
        self._name = name
        self._local = local
        self._browser = browser
        self.began = False
        """Whether it was open once: from then on a lost host is waited for."""
        self._url = ""
        self._running: Running | None = None

    async def once(self) -> HostError:
        """Forward over one link; why that was lost. Raises `ActionFailed` when the service ends."""
        place, found = await look(self._ctx, self._context, self._name)
        engine = await self._ctx.engine(self._context.host)
        running = await self._begin(place)
        address, outside, _ = where(found, running.port, self._context.container)
        link = await self._ctx.link(self._context.host)
        async with _reached(link, address, outside, self._wanted(place), self._ctx) as here:
            self._tell(place, running, here)
            end = asyncio.create_task(inside.ended(engine, place, running))
            closed = asyncio.ensure_future(link.closed)
            try:
                await asyncio.wait({end, closed}, return_when=asyncio.FIRST_COMPLETED)
                if not closed.done() and end.exception() is not None:
                    await asyncio.wait({closed}, timeout=_SAME_CAUSE)
                if closed.done():
                    return closed.result() or HostError(f"the link to {link.name} was closed.")
            finally:
                for task in (end, closed):
                    task.cancel()
                await asyncio.gather(end, closed, return_exceptions=True)
        raise await self._ended(end)

    async def _begin(self, place: Place) -> Running:
        """The service; after a lost link only the same one counts."""
        engine = await self._ctx.engine(self._context.host)
        running = await inside.begin(engine, place)
        if running.token:
            self._ctx.secrets.add(running.token)
        if self._running is not None and running.new:
            self._ctx.report(f"{self._name} had ended meanwhile, and was started again")
        elif self._running is None:
            said = "started" if running.new else "runs already: found"
            self._ctx.report(f"{self._name} in {self._context.container}: {said}")
        self._running = running
        return running

    def _wanted(self, place: Place) -> int:
        return self._local or place.service.port

    def _tell(self, place: Place, running: Running, here: int) -> None:
        path = services.filled(
            place.service.path, {"token": running.token, "port": str(running.port), "address": "127.0.0.1"}
        )
        url = f"http://127.0.0.1:{here}/{path.lstrip('/')}"
        if running.token and running.token not in url and services.wants_token(place.name, place.service):
            url += f"{'&' if '?' in url else '?'}token={running.token}"
        if url != self._url:
            self._ctx.report(url)
            self._ctx.notes["address"] = f"127.0.0.1:{here}"
        else:
            self._ctx.report(f"{place.name} is open again")
        self._local, self._url = here, url
        if self._browser and not self.began:
            import webbrowser

            webbrowser.open(kept.page(self._context, place.name, url))
        self.began = True

    async def _ended(self, end: asyncio.Task[str | None]) -> BerthError:
        """Why it is over: the container was stopped, or the service ended by itself."""
        error = end.exception()
        if error is not None or end.result() is None:
            engine = await self._ctx.engine(self._context.host)
            with suppress(BerthError):  # a moment passes between the end of its processes and its own
                await engine.wait(self._context.container, timeout=_SAME_CAUSE)
        await look(self._ctx, self._context, self._name)
        if error is not None:
            return error if isinstance(error, BerthError) else EngineError(str(error))
        where_ = f"{self._context.container} on {self._context.host}"
        return inside.Ended(f"{self._name} in {where_} has ended.", said=end.result() or "")


@asynccontextmanager
async def _reached(
    link: Link, address: str, port: int, wanted: int, ctx: ActionContext
) -> AsyncIterator[int]:
    """A port here: the one that is wanted, else a free one; on this machine the published one itself."""
    if link.local and address == "127.0.0.1":
        yield port
        return
    async with AsyncExitStack() as stack:
        try:
            here = await stack.enter_async_context(link.forward_port(address, port, wanted))
        except ActionFailed as error:
            ctx.report(f"{error.message} Another one is used.")
            here = await stack.enter_async_context(link.forward_port(address, port, 0))
        yield here
