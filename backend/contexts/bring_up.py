"""From a context to its running container: look, pull, place, create, start; nothing half made stays."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backend import gpurows
from backend.actions.context import ActionContext
from backend.config import Context
from backend.contexts import create, drift, facts, files
from backend.contexts.placement import choose
from backend.errors import BerthError, ConfigError, EngineError, NoSuchTarget
from backend.model import GpuRow, HostSnapshot, HostState
from backend.text import printable
from backend.whole import whole

if TYPE_CHECKING:
    from backend.engine import EngineClient

_REPORT_EVERY = 0.5
"""Seconds between two lines about a pull."""
_SEE_GPUS = 10.0
"""Seconds a host has to tell about its GPUs."""


async def up(ctx: ActionContext, context: Context, *, pull: bool = True) -> str:
    """Start the context's container, made first where it is missing. What was done, in one line."""
    engine = await ctx.engine(context.host)
    where = f"{context.container} on {context.host}"
    found = await look(engine, context.container)
    if found is not None:
        await report_drift(ctx, context, found)
        if (found.get("State") or {}).get("Running"):
            return f"{where} runs already"
        await engine.start(found["Id"])
        files.use(context.name)
        return f"started {where}"
    await have_image(ctx, engine, context.image, pull=pull)
    body = await request(ctx, context)
    command = create.command(body, context.container, engine.kind)
    ctx.report(command)
    container = await engine.create(body, context.container)
    try:
        await engine.start(container)
    except BaseException:
        # A container that never ran is worth nothing, and would be in the way of the next try.
        with suppress(BerthError):
            await whole(engine.remove(container, force=True))
        raise
    ctx.notes["container"] = container
    files.created(context.name, command)
    files.use(context.name)
    return f"created and started {where}"


async def look(engine: EngineClient, container: str) -> dict[str, Any] | None:
    """The engine's inspect of a container, None where there is none."""
    try:
        return await engine.inspect(container)
    except NoSuchTarget:
        return None


async def report_drift(
    ctx: ActionContext, context: Context, found: Mapping[str, Any]
) -> list[drift.Difference]:
    """Say where an existing container is not as its context says."""
    differences = await drifted(ctx, context, found)
    for each in differences:
        ctx.report(f"{each.what}: the context says {each.context}, the container has {each.container}")
    return differences


async def drifted(ctx: ActionContext, context: Context, found: Mapping[str, Any]) -> list[drift.Difference]:
    """Where an existing container is not as its context says. `gpus: N` is met by any N of them."""
    wanted = await request(ctx, context, existing=found)
    rows = await gpus(ctx, context.host) if context.gpus else []
    return drift.differences(wanted, drift.by_uuid(found, {str(row.index): row.uuid for row in rows}))


async def request(
    ctx: ActionContext, context: Context, *, existing: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The create request of a context on its host as it is now."""
    known, node_cpus = await facts.ask(await ctx.link(context.host))
    rows = await gpus(ctx, context.host) if context.gpus else []
    wanted = context.gpus
    if existing is not None and isinstance(wanted, int):
        wanted = _had(existing, rows, wanted)
    placement = choose(context.host, rows, wanted, context.cpuset, node_cpus)
    create.missing_render_nodes(placement, known)
    if existing is None:
        for line in placement.why:
            ctx.report(line)
    return create.request(context, placement, known, environment(context))


def _had(existing: Mapping[str, Any], rows: Sequence[GpuRow], count: int) -> int | tuple[str, ...]:
    """The GPUs a container was given, where they are as many as asked for."""
    requests = (existing.get("HostConfig") or {}).get("DeviceRequests") or ()
    ids = [each for item in requests for each in item.get("DeviceIDs") or ()]
    return tuple(ids) if len(ids) == count and {row.uuid for row in rows} >= set(ids) else count


def environment(context: Context) -> dict[str, str]:
    """The content of a context's env_file."""
    if context.env_file is None:
        return {}
    try:
        text = context.env_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{context.env_file}: cannot be read: {error}.") from None
    return create.env_file(text, str(context.env_file))


async def gpus(ctx: ActionContext, host: str) -> list[GpuRow]:
    """The GPUs of a host with who is on them: from the dashboard's picture, else asked for now."""
    return gpurows.gpu_rows(await seen(ctx, host))


async def seen(ctx: ActionContext, host: str) -> HostSnapshot:
    """A host with its GPUs: from the dashboard's picture, else asked for now."""
    state = ctx.access.state
    snapshot = state.hosts.get(host) if state else None
    if snapshot is None or snapshot.gpu_report is None or snapshot.state is not HostState.UP:
        snapshot = await _snapshot(ctx, host)
    return snapshot


async def _snapshot(ctx: ActionContext, host: str) -> HostSnapshot:
    from backend.fleet import Fleet

    async with Fleet(ctx.config, only=[host]) as fleet:
        await fleet.settle(_SEE_GPUS)
        return fleet.state.hosts[host]


async def have_image(ctx: ActionContext, engine: EngineClient, image: str, *, pull: bool) -> None:
    """Make sure that an image is there, pulled where it is missing and that is allowed."""
    try:
        await engine.inspect_image(image)
        return
    except NoSuchTarget:
        if not pull:
            raise EngineError(
                f"{engine.host} has no image {image}.", hint="Leave out --no-pull, or build it there."
            ) from None
    ctx.report(f"{engine.host} has no image {image}: pulling it")
    layers: dict[str, tuple[int, int]] = {}
    said = 0.0
    async for line in engine.pull(image):
        if line.layer and line.total:
            layers[line.layer] = (line.done or 0, line.total)
            ctx.progress(sum(done for done, _ in layers.values()), sum(total for _, total in layers.values()))
        if line.status and time.monotonic() - said > _REPORT_EVERY:
            said = time.monotonic()
            ctx.report(printable(f"{line.layer} {line.status}".strip()))
