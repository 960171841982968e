"""Workspaces: made, built, run, entered, and their services opened in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from backend.actions.context import ActionContext, Terminal
from backend.actions.registry import Option, action
from backend.errors import UsageError
from backend.model import ContextRow

if TYPE_CHECKING:
    from backend.recipes.graph import RecipeGraph

GROUP = "Workspaces"
Name = Annotated[str, Option("the workspace", positional=True, place="WORKSPACE")]
Root = Annotated[tuple[str, ...], Option("folder with recipes, instead of those of settings")]
Local = Annotated[int, Option("port of this machine; else that of the service, or a free one")]
Open = Annotated[bool, Option("open it in the browser", ask=True)]
Stop = Annotated[bool, Option("end the service instead")]
User = Annotated[str | None, Option("user inside the container; else the context's", short="u")]


def _may_run(row: ContextRow) -> bool:
    return row.state in ("running", "unknown")


@action(on=None, name="workspace-new", verb="workspace new", title="new workspace", group=GROUP)
async def workspace_new(
    ctx: ActionContext,
    target: None,
    *,
    name: Annotated[str, Option("its name, and that of its folder in run-data/src", positional=True)],
    root: Annotated[str, Option("folder that holds run-data; else the first root of settings")] = "",
    base: Annotated[str, Option("recipe or image that it stands on", ask=True)] = "",
) -> str:
    """Make a workspace: run-data with its folders, and `container/` in run-data/src/NAME.

    downloaded, uploadable, generated and src each have a README with their rule. What is there already is
    never written over; code that is already in run-data/src/NAME gets the template.
    """
    import asyncio

    from backend.recipes import new, show
    from backend.recipes.discover import load
    from backend.workspaces import folders

    new.check(name, "workspace")
    top = show.roots(ctx.config, root)
    for made in await asyncio.to_thread(folders.make, top):
        ctx.report(f"made {made}")
    place = top / "src" / name if top.name == folders.NAME else top / folders.NAME / "src" / name
    if (place / "container").exists():
        return f"{place} has its container/ already: nothing was written over"
    graph = await load(ctx.config, roots=(top,))
    folder, notes = new.create("workspace", name, top, graph, base=base)
    for note in notes:
        ctx.report(note)
    return f"made {folder}. Say in container/ what it needs, then: berth workspace build {name}"


@action(
    on=None, name="workspace-build", verb="workspace build", title="build workspace", page=True, group=GROUP
)
async def workspace_build(
    ctx: ActionContext,
    target: None,
    *,
    name: Name,
    host: Annotated[
        tuple[str, ...],
        Option("hosts, patterns or tag:TAG; else this machine", host=True, several=True, ask=True),
    ] = (),
    root: Root = (),
    base: Annotated[str, Option("another image than the one that it stands on")] = "",
    no_cache: Annotated[bool, Option("build every step anew", ask=True)] = False,
    force: Annotated[bool, Option("build also what is fresh")] = False,
) -> str:
    """Build the image of a workspace from its hooks, with all it stands on, where it changed.

    The same as `berth images build NAME`, which knows more options.
    """
    from backend.actions.building import carry_out
    from backend.building.asking import hosts
    from backend.building.model import Request

    await _found(ctx, name, root)
    request = Request(
        names=(name,), hosts=hosts(ctx.config, host), roots=root, base=base, no_cache=no_cache, force=force
    )
    return await carry_out(ctx, request, detach=False)


@action(
    on=None, name="workspace-run", verb="workspace run", title="run workspace", terminal=True, group=GROUP
)
async def workspace_run(
    ctx: ActionContext,
    target: None,
    *,
    name: Name,
    host: Annotated[str, Option("the host; else this machine, or the only one", host=True, ask=True)] = "",
    data: Annotated[
        str, Option("folder of the host that becomes /data; else that of run-data", ask=True)
    ] = "",
    gpus: Annotated[str, Option("all, none, how many, or which: 0,1; else all", short="g", ask=True)] = "",
    context: Annotated[str, Option("name of its context; else that of the workspace")] = "",
    root: Root = (),
    again: Annotated[bool, Option("make its container anew if its image is another one now")] = False,
    detach: Annotated[bool, Option("only start it, without a shell", short="d")] = False,
) -> Terminal | str:
    """Start a workspace and open a shell in it that outlives the connection.

    The first time its context is made: the image of its recipe, run-data at /data, all GPUs, the ports of its
    services on 127.0.0.1 of the host only. From then on it is a context like any other. The pre-run hook runs
    as root whenever the container starts, the shell as the user that you are on the host.
    """
    from backend.building.asking import hosts
    from backend.terminal import visits
    from backend.workspaces import making, running

    recipe = making.workspace((await _found(ctx, name, root)).find(name))
    where = hosts(ctx.config, (host,) if host else ())
    if len(where) != 1:
        raise UsageError("a workspace is run on one host.", hint=f"Say --host {where[0]}.")
    asked = making.Asked(data=data, gpus=gpus, context=context)
    ctx, made = await running.run(ctx, recipe, where[0], asked, again=again)
    if detach:
        return f"{made.container} on {made.host} runs: berth workspace shell {made.name}"
    return visits.enter(ctx, visits.container_of(made), "first", None, None)


@action(
    on=ContextRow, name="workspace-shell", verb="workspace shell", key="E", title="another shell",
    applies=_may_run, terminal=True, group=GROUP,
)  # fmt: skip
async def workspace_shell(ctx: ActionContext, row: ContextRow, *, user: User = None) -> Terminal:
    """Open another shell in the workspace's container, as its user."""
    from backend.terminal import visits

    return visits.enter(ctx, visits.container_of(row), "new", user, None)


@action(
    on=ContextRow, name="workspace-root", verb="workspace root", key="R", title="root shell",
    applies=_may_run, terminal=True, group=GROUP,
)  # fmt: skip
async def workspace_root(ctx: ActionContext, row: ContextRow) -> Terminal:
    """Open a plain shell as root in the workspace's container."""
    from backend.terminal import visits

    return visits.enter(ctx, visits.container_of(row), "none", "0", None)


@action(
    on=ContextRow, name="workspace-jupyter", verb="workspace jupyter", key="J", title="Jupyter",
    applies=_may_run, bulk=False, group=GROUP,
)  # fmt: skip
async def workspace_jupyter(
    ctx: ActionContext, row: ContextRow, *, local: Local = 0, open: Open = False, stop: Stop = False
) -> str:
    """Start Jupyter in the container, or find it, and open it here until cancelled. It runs on after that.

    It has a random token, and is reached through the connection to its host.
    """
    return await _service(ctx, row, "jupyter", local=local, browser=open, stop=stop)


@action(
    on=ContextRow, name="workspace-airflow", verb="workspace airflow", title="Airflow", applies=_may_run,
    bulk=False, group=GROUP,
)  # fmt: skip
async def workspace_airflow(
    ctx: ActionContext, row: ContextRow, *, local: Local = 0, open: Open = False, stop: Stop = False
) -> str:
    """Start Airflow in the container, or find it, and open it here until cancelled. It runs on after that."""
    return await _service(ctx, row, "airflow", local=local, browser=open, stop=stop)


@action(
    on=ContextRow, name="workspace-service", verb="workspace service", title="open service", applies=_may_run,
    bulk=False, group=GROUP,
)  # fmt: skip
async def workspace_service(
    ctx: ActionContext,
    row: ContextRow,
    *,
    service: Annotated[
        str, Option("jupyter, airflow, tensorboard, or one that berth.yaml declares", positional=True)
    ],
    local: Local = 0,
    open: Open = False,
    stop: Stop = False,
) -> str:
    """Start or find a service in the container, and open it here until cancelled. It runs on after that."""
    return await _service(ctx, row, service, local=local, browser=open, stop=stop)


@action(
    on=ContextRow, name="workspace-stop", verb="workspace stop", title="stop workspace", applies=_may_run,
    danger="Stop {0.container} on {0.host}, with all that runs in it?", group=GROUP,
)  # fmt: skip
async def workspace_stop(ctx: ActionContext, row: ContextRow) -> str:
    """Stop the workspace's container. It stays, and run-data too."""
    engine = await ctx.engine(row.host)
    found = await engine.inspect(row.container)
    if not (found.get("State") or {}).get("Running"):
        return f"{row.container} on {row.host} does not run"
    await engine.stop(found["Id"])
    return f"stopped {row.container} on {row.host}"


@action(
    on=None, name="workspace-list", verb="workspace list", title="workspaces", changes=False, prints=True,
    group=GROUP,
)  # fmt: skip
async def workspace_list(ctx: ActionContext, target: None, *, root: Root = ()) -> str:
    """List workspaces: those below the roots, and where they run."""
    import msgspec

    from backend.recipes.discover import load
    from backend.workspaces import listing

    found = await listing.rows(ctx, await load(ctx.config, roots=root))
    for line in listing.lines(found):
        ctx.report(line)
    ctx.give(msgspec.to_builtins(found))
    return f"{len(found)} workspaces"


async def _found(ctx: ActionContext, name: str, root: tuple[str, ...]) -> RecipeGraph:
    """The recipes, with a workspace of that name among them. Raises `NoSuchTarget`, `UsageError`."""
    from backend.recipes.discover import load
    from backend.recipes.model import Kind

    graph = await load(ctx.config, roots=root)
    recipe = graph.find(name)
    if recipe.kind is not Kind.WORKSPACE:
        raise UsageError(
            f"{recipe.name} is no workspace: {recipe.folder} has no container/.",
            hint=f"Build it with: berth images build {recipe.name}",
        )
    return graph


async def _service(
    ctx: ActionContext, row: ContextRow, name: str, *, local: int, browser: bool, stop: bool
) -> str:
    from backend.workspaces import opening

    if not 0 <= local < 65536:
        raise UsageError(f"{local} is no port.", hint="Ports are 1 to 65535.")
    context = ctx.config.context(row.name)
    if stop:
        return await opening.end(ctx, context, name)
    return await opening.hold(ctx, context, name, local=local, browser=browser)
