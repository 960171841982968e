"""Owner, group and modes of shared folders: kept right on the host while things are made in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from backend.actions.registry import Option, action
from backend.model import HostRow, HostState

if TYPE_CHECKING:
    from backend.actions.context import ActionContext

GROUP = "Ownership"


def _is_contacted(row: HostRow) -> bool:
    return row.state is not HostState.SKIPPED


@action(
    on=HostRow,
    name="ownership-watch",
    verb="ownership watch",
    title="keep ownership",
    key="W",
    applies=_is_contacted,
    bulk=False,
    prints=True,
    group=GROUP,
)
async def watch(
    ctx: ActionContext,
    host: HostRow,
    *,
    folder: Annotated[
        tuple[str, ...],
        Option(
            "folders on the host; default: those shared with containers (`folders` in settings.yaml)",
            positional=True,
            ask=True,
        ),
    ] = (),
    owner: Annotated[str, Option("who is to own what is in them, or keep; default: you", ask=True)] = "",
    group: Annotated[str, Option("its group, or keep; default: the owner's own", ask=True)] = "",
    mode: Annotated[str, Option("changes of modes, as chmod has them", ask=True)] = "u+rwX",
    once: Annotated[bool, Option("set it right once, and do not watch", ask=True)] = False,
    dry_run: Annotated[bool, Option("only show what would be changed", short="n", ask=True)] = False,
) -> str:
    """Keep owner, group and modes of shared folders right: what containers make as root is yours at once.

    Shows what would be changed, asks, sets it right, and goes on without berth until berth ownership stop.
    Only what is wrong is touched; links, other mounts and files with several names are left alone.
    """
    from backend.ownership import work

    wanted = work.request(ctx.config, folder, owner, group, mode)
    return await work.watch(ctx, host.name, wanted, once=once, dry_run=dry_run)


@action(on=None, name="ownership-stop", verb="ownership stop", title="stop keeping ownership", group=GROUP)
async def stop(
    ctx: ActionContext,
    fleet: None,
    *,
    host: Annotated[str, Option("the host", positional=True, host=True, ask=True)],
    what: Annotated[
        tuple[str, ...], Option("ids or folders; default: all of yours there", positional=True)
    ] = (),
) -> str:
    """End what keeps ownership right on a host. What was set right stays so; nothing is left behind."""
    from backend.ownership.work import stop as end

    found = await end(await ctx.link(ctx.config.host(host).name), what)
    for each in found:
        ctx.report(f"{each.id}: {', '.join(each.folders)}, {each.changed:,} set right")
    return f"{host}: {len(found)} ended" if found else f"{host}: nothing of yours was kept right there"


@action(
    on=None,
    name="ownership-list",
    verb="ownership list",
    title="ownership",
    changes=False,
    prints=True,
    streams="backend.ownership.show:watches",
    group=GROUP,
)
async def listed(
    ctx: ActionContext, fleet: None, *, host: Annotated[tuple[str, ...], Option("only these hosts")] = ()
) -> str:
    """List what keeps ownership right, on all hosts: what was set right, and what was left and why."""
    from backend.ownership.show import asked, everywhere

    found, wrong = await everywhere(ctx.access, asked(ctx.config, host))
    for each in found:
        ctx.report(f"{each.host} {each.id}  {each.state}  {', '.join(each.folders)}  {each.wanted}")
    for error in wrong:
        ctx.report(str(error))
    return f"{len(found)} watches"
