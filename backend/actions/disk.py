"""Where the room of hosts went, and getting it back. What is looked at is in `backend.disk`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.errors import ActionFailed, BerthError, Refused, UsageError
from backend.model import HostRow
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.disk.scanning import Scanning
    from backend.link import Link

GROUP = "Disk"
_NAMED = 20
"""Folders and files that a question names one by one."""
_WIDE = 160
"""Cells of a table on a page."""
For = Annotated[
    float, Option("seconds that folders may be read; what is not read by then is estimated", flag="for")
]
Most = Annotated[int, Option("how many", flag="number", short="n")]
AllMounts = Annotated[bool, Option("also other file systems that are mounted below it")]
Sudo = Annotated[bool, Option("read as root there, with sudo that asks for no password")]


def _reading(ctx: ActionContext, link: Link, *, sudo: bool) -> Scanning:
    """A host's side whose progress is the action's."""
    from backend.disk.scanning import Scanning

    return Scanning(link, sudo=sudo, told=lambda found: ctx.progress(found.bytes))


def things(count: int) -> str:
    """`3 things`."""
    return f"{count} thing{'s' * (count != 1)}"


@action(
    on=None,
    name="disk-show",
    verb="disk show",
    title="disk use",
    changes=False,
    streams="backend.disk.show:show",
    group=GROUP,
)
async def disk_show(
    ctx: ActionContext,
    fleet: None,
    *,
    host: Annotated[tuple[str, ...], Option("hosts; default: all", positional=True)] = (),
    fresh: Annotated[bool, Option("let engines count again, however new their last answer is")] = False,
    timeout: Annotated[float, Option("seconds that engines may count; then the last answer is shown")] = 30.0,
) -> str:
    """Show the file systems of hosts and what their engines hold. `berth disk [HOST ...]` is the same."""
    raise UsageError("this has a page of its own.", hint="Press D on a host.")


@action(
    on=None,
    name="disk-tree",
    verb="disk tree",
    title="disk tree",
    changes=False,
    page=True,
    streams="backend.disk.show:tree",
    group=GROUP,
)
async def disk_tree(
    ctx: ActionContext,
    fleet: None,
    *,
    folder: Annotated[str, Option("HOST:PATH", positional=True)],
    depth: Annotated[int, Option("levels that are shown")] = 1,
    most: Most = 20,
    seconds: For = 30.0,
    all_mounts: AllMounts = False,
    sudo: Sudo = False,
) -> str:
    """Show what a folder of a host holds, the largest first. Sizes with `~` are estimates.

    One file system only, hard links counted once, sparse files by what they take; at idle priority.
    """
    from backend.disk.show import inside_of, tree_lines
    from backend.disk.words import place, sure

    host, path = place(ctx.config, folder)
    async with _reading(ctx, await ctx.link(host), sudo=sudo) as scanning:
        path = await scanning.scan(path, seconds, cross=all_mounts)
        found = await scanning.side.listing(path)
        for line in tree_lines(found, await inside_of(scanning, found, depth, most), most):
            ctx.report(line)
    return printable(f"{host}:{path}: {sure(found.scan)}", 600)


@action(
    on=None,
    name="disk-top",
    verb="disk top",
    title="biggest folders",
    changes=False,
    page=True,
    streams="backend.disk.show:top",
    group=GROUP,
)
async def disk_top(
    ctx: ActionContext,
    fleet: None,
    *,
    host: Annotated[str, Option("HOST or HOST:PATH", positional=True)],
    path: Annotated[str, Option("the folder to look below")] = "/",
    most: Most = 20,
    by: Annotated[
        Literal["size", "owner"], Option("folders and files by size, or who holds how much")
    ] = "size",
    seconds: For = 30.0,
    all_mounts: AllMounts = False,
    sudo: Sudo = False,
) -> str:
    """List the biggest folders and files of a host, or who holds how much."""
    from backend.disk.show import columns_of
    from backend.disk.words import place, sure
    from backend.tables import table

    name, where = place(ctx.config, host)
    async with _reading(ctx, await ctx.link(name), sudo=sudo) as scanning:
        path = await scanning.scan(path if path != "/" else where, seconds, cross=all_mounts)
        side = scanning.side
        rows: Sequence[Any] = await (side.owners(path) if by == "owner" else side.top(path, most))
        for line in table(rows[:most], columns_of(by), _WIDE, colour=False).splitlines():
            ctx.report(line)
    return printable(f"{name}:{path}: {sure(scanning.progress)}", 600)


@action(on=HostRow, name="disk-host", verb="", key="D", title="disk", changes=False, bulk=False, group=GROUP)
async def disk_host(ctx: ActionContext, host: HostRow) -> str:
    """Show where the room of the host went: file systems, engine, a tree to walk; and clean up."""
    raise UsageError("this is the dashboard's.", hint="berth disk HOST")


# ------------------------------------------------------------------------------------------------ remove


@action(on=None, verb="disk remove", title="remove from disk", page=True, group=GROUP)
async def disk_remove(
    ctx: ActionContext,
    fleet: None,
    *,
    folder: Annotated[tuple[str, ...], Option("HOST:PATH, a folder or file", positional=True)],
    sudo: Annotated[bool, Option("as root there, with sudo that asks for no password")] = False,
    dry_run: Annotated[bool, Option("only show what would go")] = False,
) -> str:
    """Remove folders and files of hosts, after showing what goes with them and whose it is.

    No link is followed and no mount crossed. Homes themselves, places of the system and engines' data are
    never removed. What is not the same any more when it is agreed to stays.
    """
    from backend.disk.removal import checked, line, remove, weigh
    from backend.disk.words import place
    from backend.sync.where import writable

    places = [place(ctx.config, each) for each in folder]
    for host, _ in places:
        if not dry_run:
            writable(ctx.config, host)

    def told(host: str, files: int, held: int) -> None:
        ctx.progress(held)

    weighed = await weigh(ctx.config, ctx.access, places, told, sudo=sudo)
    for each in weighed:
        ctx.report(printable(line(each), 1000))
    checked(weighed)
    total = size(sum(each.bytes for each in weighed))
    if dry_run:
        return f"{things(len(weighed))} would go, {total} free"
    root = " as root" if sudo else ""
    named = "; ".join(map(line, weighed[:_NAMED]))
    more = f"; and {len(weighed) - _NAMED} more: all are listed" if len(weighed) > _NAMED else ""
    await ctx.agree(f"Remove{root} for good ({total})? {named}{more}", "remove: not done.")
    freed = left = 0
    bad: list[BerthError] = []
    for went in await remove(ctx.config, ctx.access, weighed, told, sudo=sudo):
        if isinstance(went, BerthError):
            bad.append(went)
            ctx.report(printable(str(went), 600))
            continue
        freed, left = freed + went.bytes, left + went.left
        ctx.report(printable(f"removed {went.host}:{went.path}, {size(went.bytes)} free", 1000))
        for where, why in went.problems:
            ctx.report(printable(f"stays: {went.host}:{where}: {why}", 1000))
    if bad or left:
        reason = bad[0] if bad else ActionFailed(f"{left} things could not be removed.")
        kind = Refused if isinstance(reason, Refused) else ActionFailed
        raise kind(f"{size(freed)} free; {reason.message}")
    return f"removed {things(len(weighed))}, {size(freed)} free"


# ------------------------------------------------------------------------------------------------ notify


@action(on=None, verb="disk notify", title="tell users", page=True, group=GROUP)
async def disk_notify(
    ctx: ActionContext,
    fleet: None,
    *,
    host: Annotated[str, Option("HOST or HOST:PATH: who holds how much below it", positional=True)],
    user: Annotated[tuple[str, ...], Option("only this user; default: who holds the most")] = (),
    over: Annotated[str, Option("only who holds that much: 100G")] = "1G",
    most: Most = 5,
    way: Annotated[
        Literal["write", "file", "command", "wall"],
        Option(
            "to their terminals, by a file on the host, by a program of settings.yaml, or to all terminals"
        ),
    ] = "write",
    message: Annotated[str, Option("what else they are told", ask=True)] = "",
    seconds: For = 30.0,
    sudo: Sudo = False,
    dry_run: Annotated[bool, Option("only show what they would be told")] = False,
) -> str:
    """Tell the users of a host who hold the most how much that is and where. Shown before it is sent."""
    from backend.disk.notice import choose, messages, send
    from backend.disk.words import amount, place, sure
    from backend.sync.where import writable

    name, path = place(ctx.config, host)
    if not dry_run:
        writable(ctx.config, name)
    least = amount(over, "--over")
    async with _reading(ctx, await ctx.link(name), sudo=sudo) as scanning:
        path = await scanning.scan(path, seconds)
        found = await scanning.side.owners(path)
        disks = await scanning.side.filesystems([("folder", path)])
    ctx.report(printable(f"{name}:{path}: {sure(scanning.progress)}", 600))
    chosen = choose(found, user, least, most)
    if not chosen:
        return f"nobody holds {over} below {name}:{path}"
    disk = next((each for each in disks if path in each.folders), None)
    notes = messages(name, path, chosen, disk, said=message, way=way)
    for each in notes:
        ctx.report(printable(f"to {each.user or 'everybody'}: {each.text}", 2000))
    who = ", ".join(each.user or "everybody" for each in notes)
    if dry_run:
        return f"{who} would be told"
    texts = " ".join(f"[{each.user or 'everybody'}] {each.text}" for each in notes)
    await ctx.agree(printable(f"Tell {who} on {name} ({way})? {texts}", 3000), "tell users: not done.")
    for said in await send(ctx.config, ctx.access, notes, way):
        ctx.report(printable(said, 400))
    return f"told {who}"
