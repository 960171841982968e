"""Files into and out of a container."""

from __future__ import annotations

from typing import Annotated

from backend.actions.containers import GROUP, engine_of
from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.model import ContainerRow

Overwrite = Annotated[bool, Option("replace what has that name")]


@action(on=ContainerRow, changes=False, bulk=False, title="copy out", group=GROUP)
async def copy_out(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    source: Annotated[str, Option("file or folder in the container", positional=True)],
    target: Annotated[str, Option("where it goes on this machine", positional=True, ask=True)] = ".",
    overwrite: Overwrite = False,
) -> str:
    """Copy a file or folder of the container to this machine.

    Into a folder that exists, else to a new name. Nothing half copied is ever seen under that name; links
    that lead out of the folder, devices and the like are passed over and named.
    """
    from backend.copying import copy_out as copy

    async with engine_of(ctx, row) as engine:
        return await copy(ctx, engine, row, source, target, overwrite=overwrite)


@action(on=ContainerRow, title="copy in", group=GROUP)
async def copy_in(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    source: Annotated[str, Option("file or folder on this machine", positional=True)],
    target: Annotated[str, Option("where it goes in the container", positional=True)],
    overwrite: Overwrite = False,
) -> str:
    """Copy a file or folder of this machine into the container; it will belong to root there.

    Into a folder that exists, else to a new name. In a running container that has a shell it gets its name
    only once it is complete.
    """
    from backend.copying import copy_in as copy

    async with engine_of(ctx, row) as engine:
        return await copy(ctx, engine, row, source, target, overwrite=overwrite)
