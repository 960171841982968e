"""Folders of hosts as folders of this machine: mounted, listed, unmounted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from backend.actions.registry import Option, action
from backend.errors import ActionFailed, UsageError
from backend.model import ContextRow, HostRow, HostState

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.mounts.places import Source

GROUP = "Mounts"

Folder = Annotated[
    str, Option("folder here; default: ~/mnt/NAME, made where it is missing", positional=True, ask=True)
]
Path = Annotated[str, Option("folder on the host; default: the home there", ask=True)]
ReadOnly = Annotated[bool, Option("nothing can be changed through it", flag="ro", ask=True)]


async def _mount(ctx: ActionContext, source: Source, folder: str, read_only: bool) -> str:
    from backend.mounts.mounting import mount

    record, before = await mount(ctx.config, ctx.access, source, folder, read_only=read_only)
    ctx.notes["id"] = record.id
    ctx.notes["folder"] = record.folder
    where = f"{record.host}:{record.path or '~'}"
    if before:
        return f"{where} is on {record.folder} already"
    only = ", to be read only" if record.read_only else ""
    return f"{where} is on {record.folder}{only} (berth umount {record.id})"


@action(on=None, name="mount-folder", verb="mount", title="mount", changes=False, group=GROUP)
async def mount_folder(
    ctx: ActionContext,
    fleet: None,
    *,
    source: Annotated[
        str,
        Option("a folder on a host: HOST[:PATH] or CONTEXT[:PATH]", positional=True, place="HOST[:PATH]"),
    ],
    folder: Folder = "",
    read_only: ReadOnly = False,
) -> str:
    """Show a folder of a host as a folder of this machine, by sshfs.

    It stays when berth ends, and comes back by itself after a lost link. berth umount ends it.
    """
    from backend.mounts.places import source as meant

    return await _mount(ctx, meant(ctx.config, source), folder, read_only)


@action(
    on=HostRow,
    name="mount-host",
    verb="",
    key="m",
    title="mount",
    applies=lambda row: row.state is not HostState.SKIPPED,
    changes=False,
    bulk=False,
    group=GROUP,
)
async def mount_host(
    ctx: ActionContext, host: HostRow, *, path: Path = "", folder: Folder = "", read_only: ReadOnly = False
) -> str:
    """Show a folder of the host as a folder of this machine, by sshfs."""
    from backend.mounts.places import of

    return await _mount(ctx, of(ctx.config, host.name, "", path), folder, read_only)


@action(
    on=ContextRow,
    name="mount-context",
    verb="",
    key="m",
    title="mount",
    changes=False,
    bulk=False,
    group=GROUP,
)
async def mount_context(
    ctx: ActionContext,
    context: ContextRow,
    *,
    path: Path = "",
    folder: Folder = "",
    read_only: ReadOnly = False,
) -> str:
    """Show a folder of the context's host as a folder of this machine, by sshfs."""
    from backend.mounts.places import of

    return await _mount(ctx, of(ctx.config, "", context.name, path), folder, read_only)


@action(
    on=None,
    verb="mounts",
    title="mounts",
    changes=False,
    prints=True,
    streams="backend.mounts.show:mounts",
    group=GROUP,
)
async def mounts(ctx: ActionContext, fleet: None) -> str:
    """List the folders that are mounted by berth, and whether they answer."""
    from backend.mounts.records import rows
    from backend.mounts.show import page

    found = await rows()
    for line in page(found):
        ctx.report(line)
    return f"{len(found)} mounted"


@action(on=None, name="umount", title="unmount", changes=False, group=GROUP)
async def umount(
    ctx: ActionContext,
    fleet: None,
    *,
    what: Annotated[
        tuple[str, ...],
        Option("folders or ids; or a host or context that has one", positional=True, ask=True, place="MOUNT"),
    ] = (),
    stale: Annotated[bool, Option("all that do not answer", ask=True)] = False,
    all: Annotated[bool, Option("all that berth mounted")] = False,
    force: Annotated[bool, Option("also where something is open in it, which then fails")] = False,
) -> str:
    """End folders that berth mounted; those that do not answer any more without waiting for them."""
    from backend.mounts.records import rows
    from backend.mounts.unmounting import chosen, unmount

    if not what and not stale and not all:
        raise UsageError("nothing says which folder is meant.", hint="See: berth mounts. Or: --stale, --all")
    found = chosen(await rows(), what, stale=stale, all=all)
    wrong: list[ActionFailed] = []
    for row in found:
        try:
            ctx.report(await unmount(row, force=force))
        except ActionFailed as error:
            wrong.append(error)
            if len(found) > 1:
                ctx.report(str(error))
    if wrong:
        raise (
            wrong[0]
            if len(found) == 1
            else ActionFailed(
                f"{len(wrong)} of {len(found)} could not be unmounted: {wrong[0].message}", hint=wrong[0].hint
            )
        )
    return f"{len(found)} unmounted" if found else "nothing to unmount"
