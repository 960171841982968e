"""Projects whose jobs are queued: made, and kept as a file."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from backend.actions.context import ActionContext
from backend.actions.images import Check, check_keys, local
from backend.actions.registry import Option, action
from backend.errors import UsageError
from backend.text import size

GROUP = "Jobs"


@action(on=None, name="init", title="new project", group=GROUP)
async def init(
    ctx: ActionContext,
    fleet: None,
    *,
    folder: Annotated[str, Option("the folder; else the current one", positional=True)] = ".",
) -> str:
    """Make a folder a project: its scripts can be queued with berth run.

    Writes docker/Dockerfile, its hooks and .rp/info.json with what its jobs ask for; what is there stays as
    it is. Projects made by rp are used as they are.
    """
    from backend.projects import rp

    top = rp.folder(folder)
    for each in rp.init(top):
        ctx.report(f"wrote {each}")
    return f"{top} is a project. Say in docker/Dockerfile what is in its image, then: berth run -- demo.sh"


@action(on=None, name="freeze", title="freeze project", group=GROUP)
async def freeze(
    ctx: ActionContext,
    fleet: None,
    *,
    file: Annotated[
        str, Option("where to: NAME.tar or NAME.tar.gz; else docker/frozen_NAME_image.tar", positional=True)
    ] = "",
    host: Annotated[str | None, Option("host that has, or builds, the image; else this machine")] = None,
    check: Check = True,
) -> str:
    """Save the image of the project in the current folder into a file.

    It is built first if its content has changed, and checked for private keys.
    """
    from backend.images import files, transfer
    from backend.projects.bring import built
    from backend.projects.rp import find
    from backend.queues.submitting import default_host

    project = find(Path.cwd())
    if project is None:
        raise UsageError("there is no project here.", hint="Make one: berth init")
    chosen = host or default_host(ctx.config)
    image = await built(project, ctx.access, chosen, ctx.report)
    engine = await ctx.engine(chosen)
    if check:
        await check_keys(ctx, engine, image, "image")
    path = local(file) if file else project.folder / "docker" / f"frozen_{project.name}_image.tar"
    async with aclosing(transfer.save(engine, image)) as chunks:
        written = await files.write(
            chunks,
            path,
            compress=path.name.endswith((".gz", ".tgz")),
            got=lambda done: ctx.progress(done, None),
        )
    return f"saved the image of {project.name} from {chosen}: {path}, {size(written)}"
