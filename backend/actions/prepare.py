"""Hosts made ready to work on, and that undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from backend.actions.registry import Option, action
from backend.model import HostRow, HostState

if TYPE_CHECKING:
    from backend.actions.context import ActionContext

GROUP = "Prepare"


def _is_contacted(row: HostRow) -> bool:
    return row.state is not HostState.SKIPPED


@action(on=HostRow, key="P", applies=_is_contacted, prints=True, group=GROUP)
async def prepare(
    ctx: ActionContext,
    host: HostRow,
    *,
    packages: Annotated[bool, Option("install what settings list, as far as you may", ask=True)] = True,
    git: Annotated[bool, Option("git name, address and settings, where they are not set", ask=True)] = True,
    deploy_key: Annotated[
        bool, Option("make a key on the host to deploy from, print its public part", ask=True)
    ] = False,
    undo: Annotated[bool, Option("take away what it made: unprepare")] = False,
    dry_run: Annotated[bool, Option("only show what would be changed")] = False,
) -> str:
    """Prepare a host: folders, shell and tmux configuration, packages, git.

    Shows what will be changed, line by line, asks, and changes only that. Again it changes nothing. Files
    that are links, that may not be written, or that you changed since are left as they are, and said.
    """
    from backend.prepare import work

    if undo:
        return await work.unprepare(ctx, host.name, dry_run=dry_run)
    return await work.prepare(ctx, host.name, packages=packages, git=git, key=deploy_key, dry_run=dry_run)


@action(on=HostRow, title="undo prepare", applies=_is_contacted, prints=True, group=GROUP)
async def unprepare(
    ctx: ActionContext,
    host: HostRow,
    *,
    packages: Annotated[bool, Option("also remove the packages that prepare installed", ask=True)] = False,
    dry_run: Annotated[bool, Option("only show what would be changed")] = False,
) -> str:
    """Take away what prepare made on a host; what was changed since stays, and is said.

    Shows what will be taken away, and asks. Folders go only if they are empty.
    """
    from backend.prepare import work

    return await work.unprepare(ctx, host.name, packages=packages, dry_run=dry_run)
