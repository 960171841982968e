"""A service of a container on a port of this machine, for as long as one wants, across lost links."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from backend.errors import ActionFailed, BerthError, EngineError, NoSuchTarget
from backend.tunnels import ways
from backend.tunnels.keeping import SAME_CAUSE, Keeper, Reached, Told, reached_by
from backend.tunnels.tunnel import Far, Tunnel
from backend.workspaces import inside, kept, services
from backend.workspaces.inside import Place, Running

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.config import Context
    from backend.engine import EngineClient


async def look(ctx: ActionContext, context: Context, name: str) -> tuple[Place, dict[str, Any]]:
    """The service's place, and the engine's inspect. Raises `ActionFailed` where no container runs."""
    service = services.find(context, name)
    engine = await ctx.engine(context.host)
    where = f"{context.container} on {context.host}"
    again = f"berth up {context.name}" if _is_kept(ctx, context) else ""
    try:
        found = await engine.inspect(context.container)
    except NoSuchTarget:
        raise NoSuchTarget(f"{where} is not there.", hint=f"Make it with: {again}" if again else "") from None
    if not (found.get("State") or {}).get("Running"):
        start = again or f"berth start {context.host}/{context.container}"
        raise ActionFailed(f"{where} does not run.", hint=f"Start it with: {start}")
    shares = (found.get("HostConfig") or {}).get("NetworkMode") == "host"
    return Place(context, name, service, found["Id"], shares), found


def _is_kept(ctx: ActionContext, context: Context) -> bool:
    """Whether it is one of the configuration, and not made up for a container that has none."""
    return any(each.name == context.name for each in ctx.config.contexts)


async def end(ctx: ActionContext, context: Context, name: str) -> str:
    """End a service in its container."""
    place, _ = await look(ctx, context, name)
    await inside.end(await ctx.engine(context.host), place)
    return f"{name} in {context.container} on {context.host} is ended"


async def hold(ctx: ActionContext, context: Context, name: str, *, local: int, browser: bool) -> str:
    """Start or find the service, and forward it until it is stopped or ends. It outlives us."""

    def told(tunnel: Tunnel) -> None:
        ctx.report(tunnel.url)
        ctx.notes["address"] = tunnel.row("").address
        if browser and not keeper.began:
            show(tunnel)

    keeper = ServiceKeeper(ctx, context, name)
    try:
        await keeper.keep(local=local, told=told)
    except inside.Ended as error:
        for line in error.said:
            ctx.report(line)
        raise
    return f"{name} of {context.name} is closed here; it runs on in its container"


def show(tunnel: Tunnel) -> None:
    """Open its page in the browser, which may take seconds to start: nobody waits. The token is not in the
    browser's arguments."""
    import threading
    import webbrowser

    page = tunnel.page or f"http://{tunnel.row('').address}/"
    threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()


class ServiceKeeper(Keeper):
    """A tunnel to a service, which is started in its container where it does not run."""

    def __init__(self, ctx: ActionContext, context: Context, name: str) -> None:
        service = services.find(context, name)
        kept_context = context.name if _is_kept(ctx, context) else None
        far = Far(host=context.host, service=name, container=context.container, context=kept_context)
        super().__init__(ctx, far, service.port)
        self.path, self.ready_path = service.path, service.ready
        self._context, self._service = context, service
        self._place: Place | None = None
        self._running: Running | None = None

    async def reach(self) -> Reached:
        """Start or find the service, and the way to it."""
        place, found = await look(self.ctx, self._context, self.far.service)
        engine = await self.ctx.engine(self.far.host)
        if not place.loopback and await _only_inside(engine, found, place):
            place = replace(place, loopback=True)
        running = await inside.begin(engine, place, start=self._may_start(), told=self.ctx.report)
        if running.token:
            self.ctx.secrets.add(running.token)
        self._tell(running)
        link = await self.ctx.link(self.far.host)
        way = ways.ContainerWay(link, engine, found, running.port, self.far.container)
        await way.find()
        self._place, self._running = place, running
        return reached_by(way, link, running.port, running.token)

    def _may_start(self) -> bool:
        config = self.ctx.config
        return not (config.settings.read_only or config.host(self.far.host).read_only)

    def _tell(self, running: Running) -> None:
        """After a lost link only the same one counts."""
        if self._running is not None and running.new:
            self.ctx.report(f"{self.far.service} had ended meanwhile, and was started again")
        elif self._running is None:
            said = "runs now" if running.new else "runs already"
            self.ctx.report(f"{self.far.service} {said} in {self.far.container}")

    def address(self, tunnel: Tunnel, reached: Reached) -> str:
        """Of its page, with its token where it takes one."""
        values = {"token": reached.token, "port": str(reached.port), "address": ways.LOOPBACK}
        path = services.filled(self._service.path, values)
        url = f"http://{ways.LOOPBACK}:{tunnel.local_port}/{path.lstrip('/')}"
        if (
            reached.token
            and reached.token not in url
            and services.wants_token(self.far.service, self._service)
        ):
            url += f"{'&' if '?' in url else '?'}token={reached.token}"
        return url

    def page(self, url: str) -> str:
        """A file that only this user can read, as all can see a browser's arguments."""
        return kept.page(self._context, self.far.service, url)

    async def ended(self, reached: Reached) -> BerthError | None:
        """The service ended by itself, or its container was stopped."""
        assert self._place is not None and self._running is not None
        engine = await self.ctx.engine(self.far.host)
        last: str | None = None
        error: BaseException | None = None
        try:
            last = await inside.ended(engine, self._place, self._running)
        except BerthError as failed:
            error = failed
        if last is None:
            with suppress(BerthError):  # a moment passes between the end of its processes and its own
                await engine.wait(self._context.container, timeout=SAME_CAUSE)
        await look(self.ctx, self._context, self.far.service)
        if error is not None:
            raise error if isinstance(error, BerthError) else EngineError(str(error))
        where = f"{self.far.container} on {self.far.host}"
        return inside.Ended(f"{self.far.service} in {where} has ended.", said=last or "")


async def _only_inside(engine: EngineClient, found: dict[str, Any], place: Place) -> bool:
    """Whether the tunnel reaches into the container anyway: then nobody else needs to reach the service."""
    ports = (found.get("NetworkSettings") or {}).get("Ports") or {}
    if ports.get(f"{place.service.port}/tcp"):
        return False
    probed = await ways.probe(engine, place.container, place.service.port)
    return bool(probed.tool)


__all__ = ["ServiceKeeper", "Told", "end", "hold", "look", "show"]
