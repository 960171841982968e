"""A tunnel kept up: over one link after another, until it is stopped, cancelled, or what it leads to ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backend import backoff
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
from backend.tunnels import ready
from backend.tunnels.holder import holder
from backend.tunnels.relay import Dial
from backend.tunnels.tunnel import Far, Tunnel
from backend.tunnels.ways import LOOPBACK, ContainerWay, to_host

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.engine import EngineClient
    from backend.link import Link

FINAL = (LoginRefused, HostKeyChanged, HostKeyUnknown)
"""What waiting does not mend."""
SAME_CAUSE = 3.0
"""Seconds between the end of a command and that of the link, or the container, which ended it."""
_LOOK, _LOOKS = 0.3, 12
"""Seconds between two looks whether a container that stopped is back (a restart), and how many there are."""
_CHECK = 15.0
"""Seconds between two looks whether a container is still the same run of it."""
_WATCHED = 1.0
"""Seconds between attempts where somebody else keeps the connection, and an attempt costs nothing."""
_ROOTS = 1024
"""Ports below are root's: that they are not to be had here is no news."""
_KNOCK = 0.5
"""Seconds between attempts, at least, when somebody waits to go through."""

Told = Callable[[Tunnel], None]


class Reached(Struct, frozen=True, kw_only=True):
    """A way that leads there, over one link."""

    link: Link
    dial: Dial
    port: int
    """At the other end."""
    note: str = ""
    local: int = 0
    """On this machine itself: the port that it has here already."""
    token: str = ""


class Keeper:
    """What all tunnels have in common; here: one to a port of the host itself."""

    path = ""
    """Of its page; empty: nobody knows that it is one."""
    ready_path = ""
    """What has to answer before it is called open."""

    def __init__(self, ctx: ActionContext, far: Far, port: int = 0) -> None:
        self.ctx = ctx
        self.far = far
        self.port = port
        """At the other end, where that is known before."""
        self.began = False
        """Whether it was open once: from then on a lost host is waited for."""

    async def reach(self) -> Reached:
        """Find the way over the link that is there. Raises a `BerthError`."""
        link = await self.ctx.link(self.far.host)
        local = self.port if link.local else 0
        return Reached(link=link, dial=to_host(link, self.port), port=self.port, local=local)

    async def ended(self, reached: Reached) -> BerthError | None:
        """Wait for the end of what it leads to: why it is over; None: it is to be reached again.

        Raises `EngineError` where nobody can tell any more, as the link is lost.
        """
        await asyncio.Event().wait()
        return None

    def page(self, url: str) -> str:
        """What a browser is given to open."""
        return url

    def address(self, tunnel: Tunnel, reached: Reached) -> str:
        """The address of its page; empty where nobody knows that it is one."""
        return f"http://{LOOPBACK}:{tunnel.local_port}/{self.path.lstrip('/')}" if self.path else ""

    # ---------------------------------------------------------------------------------- the loop

    async def keep(self, *, local: int = 0, exact: bool = False, told: Told = lambda tunnel: None) -> None:
        """Hold it. `local`: the port here, or that of the other end for 0; `exact`: no other one will do.

        `told` is called when it is open, and again whenever its address changed. Raises what is final.
        """
        own = holder()
        own.kind = "shell" if self.ctx.access.state is None else "dashboard"
        async with own.held(self.far, wanted=local, exact=exact) as tunnel:
            attempt = 0
            while True:
                try:
                    lost = await self._once(tunnel, told)
                    if lost is None:
                        return
                    attempt = 0
                except FINAL:
                    raise
                except (HostError, EngineError) as error:
                    if not self.began:
                        raise
                    lost = error
                attempt += 1
                tunnel.down(lost.message)
                if attempt == 1:
                    name, host = self.far.service, self.far.host
                    self.ctx.report(f"{host} is lost: {lost.message} {name} is opened again when it is back.")
                if await self._pause(tunnel, lost, attempt):
                    return

    async def _once(self, tunnel: Tunnel, told: Told) -> BerthError | None:
        """Hold it over one link: why that was lost, or None where it was stopped. Raises what ended it."""
        reached = await self._reach(tunnel)
        if reached is None:
            return None
        await self._open(tunnel, reached)
        if self.ready_path and not self.began:
            self.ctx.report(f"{self.far.service} runs; waiting until {self.ready_path} answers")
            await ready.wait(reached.dial, self.ready_path, self.far.service)
        tunnel.up(None if tunnel.local_port != tunnel.listener.port else reached.dial, reached.note)
        url = self.address(tunnel, reached)
        if not self.began or url != tunnel.url:
            tunnel.secret = reached.token
            tunnel.url, tunnel.page = url, self.page(url) if url else ""
            told(tunnel)
            if reached.note:
                self.ctx.report(f"{self.far.service}: {reached.note} yet")
        else:
            self.ctx.report(f"{self.far.service} is open again")
        self.began = True
        return await self._wait(tunnel, reached)

    async def _reach(self, tunnel: Tunnel) -> Reached | None:
        """The way over the link that is there; None where it was stopped before that was found."""
        stopped = asyncio.create_task(tunnel.stopped.wait())
        finding = asyncio.create_task(self.reach())
        try:
            await asyncio.wait({stopped, finding}, return_when=asyncio.FIRST_COMPLETED)
            return finding.result() if finding.done() else None
        finally:
            for task in (stopped, finding):
                task.cancel()
            await asyncio.gather(stopped, finding, return_exceptions=True)

    async def _open(self, tunnel: Tunnel, reached: Reached) -> None:
        """The port here, the first time."""
        if reached.local and (tunnel.local_port == reached.local or tunnel.borrow(reached.local)):
            tunnel.port = reached.port
            return
        if not await tunnel.open(reached.port) and reached.port >= _ROOTS:
            name = self.far.service
            self.ctx.report(f"port {tunnel.wanted} is taken here; {name} gets port {tunnel.local_port}")

    async def _wait(self, tunnel: Tunnel, reached: Reached) -> BerthError | None:
        """Until the link is lost, it is stopped, or what it leads to ends."""
        stopped = asyncio.create_task(tunnel.stopped.wait())
        end = asyncio.create_task(self.ended(reached))
        closed = asyncio.ensure_future(reached.link.closed)
        try:
            await asyncio.wait({stopped, end, closed}, return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                return None
            if not closed.done() and isinstance(end.exception(), HostError | EngineError):
                await asyncio.wait({closed, stopped}, timeout=SAME_CAUSE, return_when=asyncio.FIRST_COMPLETED)
            if closed.done():
                return closed.result() or HostError(f"the link to {reached.link.name} was closed.")
            found = end.result()
            if found is not None:
                raise found
            return EngineError(f"{self.far.target} was restarted.")
        finally:
            for task in (stopped, end, closed):
                task.cancel()
            await asyncio.gather(stopped, end, closed, return_exceptions=True)

    async def _pause(self, tunnel: Tunnel, lost: BerthError, attempt: int) -> bool:
        """Wait for the next attempt, shorter where somebody waits to go through. Whether it was stopped."""
        cause = lost if isinstance(lost, HostError) else HostError(lost.message)
        seconds = backoff.delay(cause, attempt)
        if self.ctx.access.state is not None:
            seconds = min(seconds, _WATCHED)
        if tunnel.listener.waiting:
            seconds = min(seconds, _KNOCK)
        tunnel.knocked.clear()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        waits = [asyncio.create_task(tunnel.stopped.wait()), asyncio.create_task(tunnel.knocked.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not tunnel.stopped.is_set() and (left := begun + min(_KNOCK, seconds) - loop.time()) > 0:
                await asyncio.wait(waits[:1], timeout=left)
        finally:
            for task in waits:
                task.cancel()
        return tunnel.stopped.is_set()


class PortKeeper(Keeper):
    """A tunnel to a port of a container."""

    def __init__(self, ctx: ActionContext, far: Far, port: int, *, path: str = "", ready: str = "") -> None:
        super().__init__(ctx, far, port)
        self.path, self.ready_path = path, ready
        self._id = self._started = ""

    @property
    def _named(self) -> str:
        return f"{self.far.container} on {self.far.host}"

    async def reach(self) -> Reached:
        """Find the way to the container as it is now."""
        engine = await self.ctx.engine(self.far.host)
        try:
            found = await engine.inspect(self.far.container)
        except NoSuchTarget:
            raise self._gone() from None
        if not (found.get("State") or {}).get("Running"):
            raise self._down()
        link = await self.ctx.link(self.far.host)
        way = ContainerWay(link, engine, found, self.port, self.far.container)
        await way.find()
        self._id, self._started = found["Id"], _started(found)
        return reached_by(way, link, self.port)

    async def ended(self, reached: Reached) -> BerthError | None:
        """It stopped and did not come back soon, or is removed."""
        engine = await self.ctx.engine(self.far.host)
        await self._stops(engine)
        for _ in range(_LOOKS):
            try:
                if await self._runs(engine):
                    return None
            except NoSuchTarget:
                return self._gone()
            await asyncio.sleep(_LOOK)
        return self._down()

    async def _stops(self, engine: EngineClient) -> None:
        """Wait until it stops, or was started anew: Podman looks now and then, and a restart is quick."""
        waiting = asyncio.create_task(engine.wait(self._id, timeout=None))
        try:
            while not (await asyncio.wait({waiting}, timeout=_CHECK))[0]:
                try:
                    if _started(await engine.inspect(self._id)) != self._started:
                        return
                except NoSuchTarget:
                    return
                except EngineError:
                    continue  # busy: what it carries goes on meanwhile; a lost link is told by itself
            waiting.result()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _runs(self, engine: EngineClient) -> bool:
        found = await engine.inspect(self.far.container)
        return bool((found.get("State") or {}).get("Running"))

    def _down(self) -> ActionFailed:
        start = f"berth up {self.far.context}" if self.far.context else f"berth start {self.far.target}"
        return ActionFailed(f"{self._named} does not run.", hint=f"Start it with: {start}")

    def _gone(self) -> NoSuchTarget:
        hint = f"Make it with: berth up {self.far.context}" if self.far.context else "See: berth ps"
        return NoSuchTarget(f"{self._named} is not there.", hint=hint)


def _started(found: dict[str, Any]) -> str:
    return str((found.get("State") or {}).get("StartedAt"))


def reached_by(way: ContainerWay, link: Link, port: int, token: str = "") -> Reached:
    """The way to a container's port, as it was found."""
    local = way.place[1] if link.local and way.place is not None and way.place[0] == LOOPBACK else 0
    return Reached(link=link, dial=way.dial, port=port, note=way.note, local=local, token=token)
