"""Tunnels: opened from here to hosts, containers and services, listed, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from backend.actions.registry import Option, action
from backend.model import ContainerRow, ContextRow, HostRow, TunnelRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.actions.context import ActionContext
    from backend.config import Context
    from backend.tunnels.asking import Target, Wish

GROUP = "Tunnels"
Services = Annotated[
    tuple[str, ...],
    Option(
        "jupyter, lab, tensorboard, airflow, one that is declared, PORT or LOCAL:PORT",
        positional=True,
        ask=True,
    ),
]
Browser = Annotated[bool, Option("open it in the browser", ask=True)]


def _runs(row: ContainerRow | ContextRow) -> bool:
    return row.state in ("running", "unknown")


@action(
    on=None, name="tunnel", verb="tunnel hold", title="tunnel", changes=False, group=GROUP,
    streams="backend.tunnels.foreground:run",
)  # fmt: skip
async def tunnel(
    ctx: ActionContext,
    target: None,
    *,
    to: Annotated[
        str,
        Option("a context, HOST/CONTAINER or a host; else the context used last", positional=True, ask=True),
    ] = "",
    services: Services = (),
    open: Browser = False,
) -> str:
    """Hold tunnels to a context, a container or a host: services by name, ports by number.

    A service is started in its container where it does not run, and found where it does; it runs on
    afterwards. Without services those of the context's file are opened (`tunnels:`). The port here is that of
    the other end where it is free. Connections that are lost are made again, the ports here stay.
    `berth tunnels` lists all that are open, `berth tunnel stop ID` ends one.
    """
    from backend.tunnels import asking

    found, wanted = asking.split(ctx.config, [to, *services])
    return await _hold(ctx, found, wanted, browser=open)


@action(
    on=ContextRow, verb="", key="t", title="tunnel", applies=_runs, changes=False, bulk=False, group=GROUP
)
async def tunnel_context(
    ctx: ActionContext, row: ContextRow, *, services: Services = (), open: Browser = False
) -> str:
    """Open services and ports of the context here, until stopped or cancelled."""
    from backend.tunnels import asking

    found = asking.find(ctx.config, row.name)
    return await _hold(ctx, found, asking.wishes(found, services), browser=open)


@action(
    on=ContainerRow, verb="", key="t", title="tunnel", applies=_runs, changes=False, bulk=False, group=GROUP
)
async def tunnel_container(
    ctx: ActionContext, row: ContainerRow, *, services: Services = (), open: Browser = False
) -> str:
    """Open services and ports of the container here, until stopped or cancelled."""
    from backend.tunnels import asking

    found = asking.of_container(ctx.config, row.host, row.name)
    return await _hold(ctx, found, asking.wishes(found, services), browser=open)


@action(on=HostRow, verb="", key="t", title="tunnel", changes=False, bulk=False, group=GROUP)
async def tunnel_host(
    ctx: ActionContext,
    row: HostRow,
    *,
    services: Annotated[tuple[str, ...], Option("ports of the host: PORT or LOCAL:PORT", ask=True)] = (),
    open: Browser = False,
) -> str:
    """Open ports of the host here, until stopped or cancelled."""
    from backend.tunnels import asking

    found = asking.Target(host=row.name)
    return await _hold(ctx, found, asking.wishes(found, services), browser=open)


@action(
    on=TunnelRow, verb="tunnel stop", key="s", title="stop", changes=False, footer=True, group=GROUP
)  # fmt: skip
async def tunnel_stop(ctx: ActionContext, row: TunnelRow) -> str:
    """End the tunnel, whichever berth holds it. What it leads to runs on."""
    from backend.tunnels import book

    await book.stop(row.id)
    return f"{row.address} to {row.service} on {row.host} is closed"


@action(
    on=TunnelRow, verb="tunnel open", key="b", title="browser", changes=False, footer=True, group=GROUP
)  # fmt: skip
async def tunnel_open(ctx: ActionContext, row: TunnelRow) -> str:
    """Open the tunnel's page in the browser, with its token where it has one."""
    import asyncio
    import webbrowser

    from backend.tunnels import book

    _, page = await book.address(row.id)
    done = await asyncio.to_thread(webbrowser.open, page or f"http://{row.address}/")
    return (
        f"{row.address} is open in the browser"
        if done
        else f"there is no browser here: http://{row.address}/"
    )


async def open_of_context(ctx: ActionContext, context: Context) -> str:
    """Hold what the file of a context names."""
    from backend.tunnels import asking

    found = asking.find(ctx.config, context.name)
    return await _hold(ctx, found, asking.wishes(found, ()), browser=False)


async def _hold(ctx: ActionContext, target: Target, wanted: Sequence[Wish], *, browser: bool) -> str:
    """Hold them until all have ended. Raises the first error where one did not come about or broke."""
    from backend.errors import BerthError
    from backend.tunnels import asking
    from backend.tunnels.tunnel import Tunnel
    from backend.workspaces.opening import show

    wanted = list(wanted) or await asking.only_port(ctx, target)
    shown: set[str] = set()
    errors: list[BerthError] = []

    def told(wish: Wish, tunnel: Tunnel) -> None:
        address = tunnel.row("").address
        ctx.report(f"{wish.name}: {tunnel.url or address}")
        ctx.notes[f"address {wish.name}" if len(wanted) > 1 else "address"] = address
        if browser and wish.name not in shown:
            show(tunnel)
        shown.add(wish.name)

    def failed(wish: Wish, error: BerthError) -> None:
        errors.append(error)
        if len(wanted) > 1:
            ctx.report(f"{wish.name}: {error}")

    await asking.hold(ctx, target, wanted, told=told, failed=failed)
    if errors:
        raise errors[0]
    return f"closed {', '.join(wish.name for wish in wanted)} of {target.label}"
