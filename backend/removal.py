"""Removing a container that may not want to go: stop, remove, force, and at last its processes themselves."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from backend import processes
from backend.actions.context import ActionContext
from backend.errors import BerthError, EngineError, NoSuchTarget
from backend.model import ContainerRow

if TYPE_CHECKING:
    from backend.engine import EngineClient

_SHOWN = 10
"""Processes that are listed before they are killed."""
_GOING = 10.0
"""Seconds for a removal that the engine has begun by itself."""


async def remove_in_stages(
    ctx: ActionContext, engine: EngineClient, row: ContainerRow, *, force: bool, volumes: bool
) -> str:
    """Remove a container; each harder stage is asked for. What was done, in one line.

    Raises `Refused` where a stage is not wanted, `NoSuchTarget` where the container is gone already.
    """
    where = f"{row.name} on {row.host}"
    if not force:
        trouble = await _gently(ctx, engine, row, volumes)
        if trouble is None:
            return f"removed {where}"
        await ctx.agree(
            f"{where} does not go: {trouble.message} Remove it by force?",
            f"{where} was not removed.",
            hint=trouble.message,
        )
    try:
        await _go(engine, row, volumes, force=True)
    except NoSuchTarget:
        raise _gone(row) from None
    except EngineError as error:
        await _kill(ctx, engine, row, error)
        await _go(engine, row, volumes, force=True)
        return f"removed {where}, after its processes were killed"
    return f"removed {where} by force"


async def _gently(
    ctx: ActionContext, engine: EngineClient, row: ContainerRow, volumes: bool
) -> EngineError | None:
    """Stop and remove it; what the engine says where it does not."""
    try:
        state = (await engine.inspect(row.id)).get("State") or {}
        if state.get("Running") or state.get("Paused"):
            await ctx.agree(
                f"{row.name} on {row.host} runs. Stop it?",
                f"{row.name} on {row.host} was not removed: it runs.",
                hint="Stop it first, or say --force.",
            )
            if state.get("Paused"):
                await engine.unpause(row.id)
            await engine.stop(row.id)
    except NoSuchTarget:
        raise _gone(row) from None
    except EngineError as error:
        return error
    try:
        await _go(engine, row, volumes, force=False)
    except NoSuchTarget:
        return None  # it was started with --rm: stopping it was enough
    except EngineError as error:
        return error
    return None


async def _go(engine: EngineClient, row: ContainerRow, volumes: bool, *, force: bool) -> None:
    """Remove it, and wait where the engine is at it already."""
    try:
        await engine.remove(row.id, force=force, volumes=volumes)
    except EngineError as error:
        if "already in progress" not in error.message:
            raise
        with suppress(NoSuchTarget):
            await engine.wait(row.id, timeout=_GOING, condition="removed")


async def _kill(ctx: ActionContext, engine: EngineClient, row: ContainerRow, error: BerthError) -> None:
    """Kill its processes without the engine, after asking. Raises `error` where there are none."""
    link = await ctx.link(row.host)
    found = await processes.members(link, row.id)
    if not found:
        raise error
    ctx.report(f"{error.message} {error.hint}".strip())
    for pid, command in list(found.items())[:_SHOWN]:
        ctx.report(f"process {pid}: {command}")
    if len(found) > _SHOWN:
        ctx.report(f"and {len(found) - _SHOWN} more")
    number = "its last process" if len(found) == 1 else f"its {len(found)} processes"
    await ctx.agree(
        f"{row.name} on {row.host} cannot be removed even by force. Kill {number}?",
        f"{row.name} on {row.host} was not removed.",
        hint=error.message,
    )
    await processes.kill_members(link, row.id, list(found))


def _gone(row: ContainerRow) -> NoSuchTarget:
    return NoSuchTarget(f"{row.name} is no longer on {row.host}.", hint="Somebody removed it meanwhile.")
