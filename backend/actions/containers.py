"""The life of a container: start, stop, restart, pause, kill, remove, rename."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Literal

from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.errors import ActionFailed, NoSuchTarget
from backend.model import ContainerRow

if TYPE_CHECKING:
    from backend.engine import EngineClient

GROUP = "Container"
Signal = Literal["KILL", "TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "STOP", "CONT", "ABRT", "WINCH"]
"""Those that mean something to programs in containers."""
Grace = Annotated[int, Option("seconds it has to end by itself before SIGKILL", flag="--timeout", short="t")]
_LOOK = 0.4
"""Seconds after a start in which a container that fails at once is noticed."""


def runs(row: ContainerRow) -> bool:
    """It has processes that work."""
    return row.state in ("running", "restarting")


def alive(row: ContainerRow) -> bool:
    """It has processes, frozen or not."""
    return row.state in ("running", "restarting", "paused")


def rests(row: ContainerRow) -> bool:
    """It can be started."""
    return row.state in ("created", "exited", "dead")


def paused(row: ContainerRow) -> bool:
    """Its processes are frozen."""
    return row.state == "paused"


@asynccontextmanager
async def engine_of(ctx: ActionContext, row: ContainerRow) -> AsyncIterator[EngineClient]:
    """The engine of a container; what it says about a container that is gone is said in our words."""
    engine = await ctx.engine(row.host)
    try:
        yield engine
    except NoSuchTarget as error:
        said = error.message.lower()
        if row.id in said or "no such container" in said:
            raise NoSuchTarget(
                f"{row.name} is no longer on {row.host}.", hint="Somebody removed it meanwhile."
            ) from None
        raise


@action(on=ContainerRow, key="S", applies=rests, footer=True, group=GROUP)
async def start(ctx: ActionContext, row: ContainerRow) -> str:
    """Start the container.

    Says so if it ends again at once.
    """
    async with engine_of(ctx, row) as engine:
        await engine.start(row.id)
        code = await engine.wait(row.id, timeout=_LOOK)
    if code:
        raise ActionFailed(
            f"{row.name} on {row.host} was started and ended at once with exit code {code}.",
            hint=f"Its log says why: berth logs {row.host}/{row.name}",
        )
    return f"started {row.name} on {row.host}" + (", it has ended already" if code == 0 else "")


@action(
    on=ContainerRow,
    key="s",
    applies=alive,
    danger="Stop {0.name} on {0.host}?",
    footer=True,
    group=GROUP,
)
async def stop(ctx: ActionContext, row: ContainerRow, *, grace: Grace = 10) -> str:
    """Stop the container (SIGTERM, then SIGKILL after 10 s)."""
    async with engine_of(ctx, row) as engine:
        if paused(row):
            await engine.unpause(row.id)  # Podman does not stop a frozen container
        await engine.stop(row.id, grace=grace)
    return f"stopped {row.name} on {row.host}"


@action(
    on=ContainerRow,
    key="r",
    applies=lambda row: row.state != "removing",
    danger="Restart {0.name} on {0.host}?",
    footer=True,
    group=GROUP,
)
async def restart(ctx: ActionContext, row: ContainerRow, *, grace: Grace = 10) -> str:
    """Stop the container if it runs, and start it again."""
    async with engine_of(ctx, row) as engine:
        if paused(row):
            await engine.unpause(row.id)
        await engine.restart(row.id, grace=grace)
    return f"restarted {row.name} on {row.host}"


@action(on=ContainerRow, key="p", applies=runs, group=GROUP)
async def pause(ctx: ActionContext, row: ContainerRow) -> str:
    """Freeze all processes of the container; they keep their memory and their GPUs."""
    async with engine_of(ctx, row) as engine:
        await engine.pause(row.id)
    return f"paused {row.name} on {row.host}"


@action(on=ContainerRow, key="p", applies=paused, group=GROUP)
async def unpause(ctx: ActionContext, row: ContainerRow) -> str:
    """Let a paused container go on."""
    async with engine_of(ctx, row) as engine:
        await engine.unpause(row.id)
    return f"unpaused {row.name} on {row.host}"


@action(
    on=ContainerRow,
    key="ctrl+k",
    applies=alive,
    danger="Kill {0.name} on {0.host}?",
    group=GROUP,
)
async def kill(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    signal: Annotated[Signal, Option("which signal", short="s", ask=True)] = "KILL",
) -> str:
    """Send a signal to the container's first process, SIGKILL unless another is chosen."""
    async with engine_of(ctx, row) as engine:
        await engine.kill(row.id, signal)
    return f"sent SIG{signal} to {row.name} on {row.host}"


@action(
    on=ContainerRow,
    verb="rm",
    key="ctrl+d",
    danger="Remove {0.name} on {0.host}, with everything that was changed inside?",
    group=GROUP,
)
async def remove(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    force: Annotated[bool, Option("kill it instead of stopping it", short="f")] = False,
    volumes: Annotated[bool, Option("remove its anonymous volumes too", short="v")] = False,
) -> str:
    """Remove the container, in stages that are each asked for.

    It is stopped if it runs and removed; if that fails it is removed by force; if even that fails, its
    processes are found by their control group and killed.
    """
    from backend.removal import remove_in_stages

    engine = await ctx.engine(row.host)
    return await remove_in_stages(ctx, engine, row, force=force, volumes=volumes)


@action(on=ContainerRow, bulk=False, group=GROUP)
async def rename(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    name: Annotated[str, Option("its new name", positional=True)],
) -> str:
    """Give the container another name."""
    from backend.engine.names import container_name

    async with engine_of(ctx, row) as engine:
        await engine.rename(row.id, container_name(name))
    return f"{row.name} on {row.host} is now called {name}"
