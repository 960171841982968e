"""What can be done to a context's container, and to all contexts at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from backend.actions.registry import Option, action
from backend.errors import BerthError, NoSuchTarget
from backend.imagenames import whole
from backend.model import ContextRow, HostRow
from backend.text import age, printable, size

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.config import Context

GROUP = "Contexts"


def _context(ctx: ActionContext, row: ContextRow) -> Context:
    return ctx.config.context(row.name)


def _may_be_there(row: ContextRow) -> bool:
    return row.state != "missing"


@action(on=ContextRow, key="u", footer=True, group=GROUP)
async def up(
    ctx: ActionContext,
    row: ContextRow,
    *,
    pull: Annotated[bool, Option("fetch the image where it is missing")] = True,
    tunnels: Annotated[
        bool, Option("then hold its tunnels (`tunnels:` of its file) until Ctrl+C; the dashboard always does")
    ] = False,
) -> str:
    """Start the context's container, made first where it is missing.

    The image is pulled if need be. GPUs are given the way the host's vendor wants it; of a number of GPUs,
    free ones on one NUMA node are chosen. The command that says the same is shown and kept in the history.
    """
    from backend.contexts import bring_up

    context = _context(ctx, row)
    done = await bring_up.up(ctx, context, pull=pull)
    if context.tunnels and tunnels:
        from backend.actions.tunnels import open_of_context

        ctx.report(done)
        return await open_of_context(ctx, context)
    if context.tunnels and ctx.access.state is None:
        ctx.report(f"its tunnels ({', '.join(context.tunnels)}): berth tunnel {context.name}")
    return done


@action(
    on=ContextRow,
    key="s",
    applies=_may_be_there,
    danger="Stop {0.container} on {0.host}?",
    footer=True,
    group=GROUP,
)
async def down(
    ctx: ActionContext,
    row: ContextRow,
    *,
    grace: Annotated[int, Option("seconds between SIGTERM and SIGKILL")] = 10,
) -> str:
    """Stop the context's container. It stays, with all that is in it."""
    engine = await ctx.engine(row.host)
    found = await engine.inspect(row.container)
    if not (found.get("State") or {}).get("Running"):
        return f"{row.container} on {row.host} does not run"
    await engine.stop(found["Id"], grace=grace)
    return f"stopped {row.container} on {row.host}"


@action(
    on=ContextRow,
    verb="context drift",
    key="D",
    applies=_may_be_there,
    changes=False,
    prints=True,
    group=GROUP,
)
async def drift(ctx: ActionContext, row: ContextRow) -> str:
    """Where the container is not as its context says: what a recreate would change."""
    from backend.contexts import bring_up

    engine = await ctx.engine(row.host)
    found = await bring_up.drifted(ctx, _context(ctx, row), await engine.inspect(row.container))
    differences = [
        {"what": each.what, "context": each.context, "container": each.container} for each in found
    ]
    ctx.give({"context": row.name, "container": row.container, "differences": differences})
    for each in found:
        ctx.report(f"{each.what:14} context: {each.context}   container: {each.container}")
    if not found:
        ctx.report(f"{row.container} is as the context says")
    return f"{len(found)} difference{'' if len(found) == 1 else 's'}"


@action(on=ContextRow, verb="context show", changes=False, prints=True, group=GROUP)
async def context_show(ctx: ActionContext, row: ContextRow) -> str:
    """Every value of a context, its image, its container, and who is inside (the old `ctx`)."""
    import msgspec

    context = _context(ctx, row)
    values = msgspec.to_builtins(context)
    for name, value in values.items():
        if shown := _shown(name, value):
            ctx.report(f"{name:12} {shown}")
    # Of variables the names alone, as above.
    told = {"context": values | {"env": sorted(context.env)}, "image": None, "container": None}
    ctx.give(told)
    try:
        engine = await ctx.engine(context.host)
        told["image"] = await _show_image(ctx, engine, context)
        told["container"] = await _show_container(ctx, engine, context)
    except BerthError as error:
        ctx.report(f"{'state':12} unknown: {error}")
        raise
    return f"context {context.name}"


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in ("memory", "shm_size"):
        return size(value)
    if name == "env" and value:
        # Tokens live in environments; a page that people show each other is no place for them.
        return ", ".join(sorted(value)) + "  (values: see the file)"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items() if item)
    return str(value)


async def _show_image(ctx: ActionContext, engine: Any, context: Context) -> dict[str, Any]:
    try:
        image = await engine.inspect_image(context.image)
    except NoSuchTarget:
        ctx.report(f"{'image':12} {context.image}: not on {context.host}")
        return {"there": False, "id": None, "created_at": None, "size": None}
    made = str(image.get("Created", ""))[:19]
    ctx.report(f"{'image':12} there, made {made}, {size(image.get('Size') or 0)}")
    return {"there": True, "id": image.get("Id"), "created_at": _time(made), "size": image.get("Size")}


def _time(text: str) -> str | None:
    """A time of the engine's, which is UTC, as all times are told; None for none, `0001-01-01T00:00:00`."""
    return f"{text[:19]}Z" if text[:4].isdecimal() and text[:4] > "0001" else None


async def _show_container(ctx: ActionContext, engine: Any, context: Context) -> dict[str, Any]:
    from backend.contexts import bring_up

    containers = await engine.containers()
    others = [
        each["Names"][0].lstrip("/")
        for each in containers
        if each.get("Names")
        and whole(each.get("Image") or "") == whole(context.image)
        and f"/{context.container}" not in each.get("Names", ())
    ]
    ctx.report(f"{'same image':12} {printable(', '.join(others)) or 'no other container'}")
    found = await bring_up.look(engine, context.container)
    told: dict[str, Any] = {"state": "missing", "started_at": None, "same_image": others}
    told |= {"differences": [], "inside": []}
    if found is None:
        ctx.report(f"{'state':12} missing: berth up {context.name} makes it")
        return told
    state = found.get("State") or {}
    since = str(state.get("StartedAt", ""))[:19]
    ctx.report(f"{'state':12} {state.get('Status')} since {since}")
    told |= {"state": state.get("Status"), "started_at": _time(since)}
    told["differences"] = [
        {"what": each.what, "context": each.context, "container": each.container}
        for each in await bring_up.report_drift(ctx, context, found)
    ]
    if state.get("Running"):
        told["inside"] = await _show_inside(ctx, engine, found["Id"])
    return told


async def _show_inside(ctx: ActionContext, engine: Any, container: str) -> list[dict[str, Any]]:
    """Processes on a terminal."""
    top = await engine.top(container, "-eo pid,user,tty,etime,args")
    told = []
    for process in top.Processes or ():
        if len(process) >= 5 and process[2] not in ("?", "-", ""):
            ctx.report(f"{'inside':12} {printable('  '.join(process))}")
            pid, user, tty, _, *command = process
            told.append({"pid": int(pid) if pid.isdecimal() else None, "user": user, "tty": tty})
            told[-1]["command"] = " ".join(command)
    return told


@action(on=ContextRow, verb="context use", changes=False, bulk=False, group=GROUP)
async def context_use(ctx: ActionContext, row: ContextRow) -> str:
    """Make it the context that verbs mean when none is named."""
    from backend.contexts import files

    files.use(row.name)
    return f"{row.name} is the context in use"


@action(on=ContextRow, verb="context history", key="H", changes=False, bulk=False, prints=True, group=GROUP)
async def context_history(ctx: ActionContext, row: ContextRow) -> str:
    """Earlier versions of its file, and the commands that made its containers."""
    from msgspec import to_builtins

    from backend.contexts import files

    versions = files.history(ctx.config, row.name)
    ctx.give([to_builtins(version) for version in versions])
    for version in versions:
        ctx.report(f"{version.at:%Y-%m-%d %H:%M:%S}  {version.kind:9} {version.summary or version.path}")
    return f"{len(versions)} entries"


@action(on=ContextRow, verb="context toggle", key="T", bulk=False, group=GROUP)
async def toggle_env(ctx: ActionContext, row: ContextRow) -> str:
    """Switch shells in its container between the tuned environment and a raw one."""
    from backend.contexts import editing, files

    profile = "raw" if row.profile == "tuned" else "tuned"
    text = files.text_of(ctx.config, row.name)
    files.change(ctx.config, row.name, editing.with_value(text, "profile", profile))
    return f"shells in {row.name} are {profile} now"


@action(on=ContextRow, verb="context rm", key="ctrl+d", danger="Remove the context {0.name}?", group=GROUP)
async def context_rm(
    ctx: ActionContext,
    row: ContextRow,
    *,
    container: Annotated[bool, Option("remove its container too, after asking")] = False,
) -> str:
    """Move the context's file to the trash; `context restore` brings it back.

    Other people's sessions in the container are never ended by this: the container stays unless asked for.
    """
    from backend.contexts import files

    context = _context(ctx, row)
    if container and await ctx.confirm(
        f"Remove the container {context.container} on {context.host} as well?"
    ):
        engine = await ctx.engine(context.host)
        await engine.remove(context.container, force=True)
        ctx.report(f"removed {context.container} on {context.host}")
    path = files.remove(ctx.config, row.name)
    return f"{row.name} is in the trash ({path.name}): berth context restore {row.name}"


@action(on=None, changes=False, bulk=False, prints=True, group=GROUP)
async def report(ctx: ActionContext, target: None) -> str:
    """All contexts on all hosts: image there and since when, container there, running."""
    contexts = ctx.config.contexts
    async with asyncio.TaskGroup() as group:
        hosts = {name: group.create_task(_on_host(ctx, name)) for name in {each.host for each in contexts}}
    wide = max((len(each.name) for each in contexts), default=0)
    ctx.give([_as_data(context, hosts[context.host].result()) for context in contexts])
    for context in contexts:
        found = hosts[context.host].result()
        ctx.report(f"{context.name:{wide}}  {context.host:12}  {_line(context, found)}")
    return f"{len(contexts)} contexts on {len(hosts)} hosts"


async def _on_host(ctx: ActionContext, host: str) -> tuple[dict[str, Any], dict[str, Any]] | BerthError:
    """Images by name and containers by name of one host, or why not."""
    try:
        engine = await ctx.engine(host)
        images, containers = await asyncio.gather(engine.images(), engine.containers())
    except BerthError as error:
        return error
    by_tag = {whole(tag): image for image in images for tag in image.get("RepoTags") or ()}
    by_name = {name.lstrip("/"): each for each in containers for name in each.get("Names") or ()}
    return by_tag, by_name


def _as_data(context: Context, found: tuple[dict[str, Any], dict[str, Any]] | BerthError) -> dict[str, Any]:
    """What the report says of one context; null where its host does not tell."""
    from datetime import UTC, datetime

    failed = isinstance(found, BerthError)
    images, containers = ({}, {}) if isinstance(found, BerthError) else found
    image, container = images.get(whole(context.image)), containers.get(context.container)
    made = datetime.fromtimestamp(image["Created"], UTC) if image else None
    return {
        "context": context.name,
        "host": context.host,
        "image": context.image,
        "image_there": None if failed else image is not None,
        "image_created_at": made.isoformat().replace("+00:00", "Z") if made else None,
        "container": context.container,
        "state": "unknown" if failed else container.get("State", "unknown") if container else "missing",
        "error": str(found) if failed else None,
    }


def _line(context: Context, found: tuple[dict[str, Any], dict[str, Any]] | BerthError) -> str:
    from datetime import UTC, datetime

    if isinstance(found, BerthError):
        return f"unknown: {found}"
    images, containers = found
    image = images.get(whole(context.image))
    made = age(datetime.fromtimestamp(image["Created"], UTC)) + " old" if image else "no"
    container = containers.get(context.container)
    state = container.get("State", "?") if container else "missing"
    return f"image {made:12} container {state}"


@action(on=HostRow, changes=False, bulk=False, prints=True, key="N", group="Hosts")
async def topology(ctx: ActionContext, host: HostRow) -> str:
    """GPUs, CPUs and links by NUMA node, what is free, and why a placement is chosen.

    Links are named as nvidia-smi does: NV18 is 18 NVLinks, XGMI AMD's, PIX to SYS the way over PCIe.
    """
    from backend import gpurows
    from backend.contexts import bring_up, facts, topology

    _, node_cpus = await facts.ask(await ctx.link(host.name))
    snapshot = await bring_up.seen(ctx, host.name)
    rows = gpurows.gpu_rows(snapshot)
    auto = [each for each in ctx.config.contexts if each.host == host.name and each.cpuset == "auto"]
    has = await asyncio.gather(*(_cpus_of(ctx, each) for each in auto))
    told = topology.lines(host.name, rows, node_cpus, snapshot.topology, list(zip(auto, has, strict=True)))
    for line in told:
        ctx.report(line)
    ctx.give(topology.as_data(rows, node_cpus, snapshot.topology))
    nodes = len({*node_cpus, *(row.numa_node for row in rows if row.numa_node is not None)})
    return f"{len(rows)} GPUs on {nodes} NUMA node{'' if nodes == 1 else 's'}"


async def _cpus_of(ctx: ActionContext, context: Context) -> str:
    """The CPUs that a context's container was given; empty where there is none."""
    try:
        found = await (await ctx.engine(context.host)).inspect(context.container)
    except BerthError:
        return ""
    return str((found.get("HostConfig") or {}).get("CpusetCpus") or "")
