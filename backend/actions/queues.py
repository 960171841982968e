"""What can be done to the queue of a host or cluster as a whole."""

from __future__ import annotations

from typing import Annotated

from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.errors import UsageError
from backend.model import HostRow, HostState
from backend.text import size

GROUP = "Queue"
Reason = Annotated[str, Option("why, for everybody to see", ask=True)]


def _has_queue(row: HostRow) -> bool:
    return row.state is not HostState.SKIPPED


@action(
    on=HostRow, name="queue-status", verb="queue status", title="queue", applies=_has_queue,
    changes=False, prints=True, group=GROUP,
)  # fmt: skip
async def queue_status(ctx: ActionContext, host: HostRow) -> str:
    """Show the queue of a host: what runs, what waits, what is free, who paused it."""
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, host.name) as queue:
        found = await queue.status()
    ctx.report(f"engine    {found.engine}")
    ctx.report(f"running   {found.running}")
    ctx.report(f"waiting   {found.waiting}")
    for what, free, total in (
        ("GPUs", found.gpus_free, found.gpus_total),
        ("CPUs", found.cpus_free, found.cpus_total),
    ):
        if total is not None:
            ctx.report(f"{what:<9} {free if free is not None else '?'} of {total} free")
    if found.memory_total:
        ctx.report(f"memory    {size(found.memory_free)} of {size(found.memory_total)} free to book")
    if found.keeper is not None:
        ctx.report(f"keeper    {'at work' if found.keeper else 'none (there is nothing to do)'}")
    for word, why in (("paused", found.paused), ("drained", found.draining)):
        if why:
            ctx.report(f"{word:<9} {why}")
    for note in found.notes:
        ctx.report(f"note      {note}")
    state = "paused" if found.paused else "drained" if found.draining else "open"
    return f"queue of {host.name}: {state}, {found.running} running, {found.waiting} waiting"


@action(
    on=HostRow, name="queue-pause", verb="queue pause", title="pause queue", applies=_has_queue,
    danger="Pause the queue of {0.name}? Nothing more starts, for nobody, until it is resumed.", group=GROUP,
)  # fmt: skip
async def queue_pause(ctx: ActionContext, host: HostRow, *, reason: Reason = "") -> str:
    """Start no more jobs on the host; those that run go on."""
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, host.name) as queue:
        await queue.pause(_one_line(reason))
    return f"the queue of {host.name} is paused"


@action(
    on=HostRow, name="queue-drain", verb="queue drain", title="drain queue", applies=_has_queue,
    danger="Drain the queue of {0.name}? It takes no new jobs, from nobody, until it is resumed.",
    group=GROUP,
)  # fmt: skip
async def queue_drain(ctx: ActionContext, host: HostRow, *, reason: Reason = "") -> str:
    """Take no new jobs on the host; what runs and waits goes on to its end."""
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, host.name) as queue:
        await queue.drain(_one_line(reason))
    return f"the queue of {host.name} takes no new jobs"


@action(on=HostRow, name="queue-resume", verb="queue resume", title="resume queue", applies=_has_queue,
        group=GROUP)  # fmt: skip
async def queue_resume(ctx: ActionContext, host: HostRow) -> str:
    """Let the queue of the host go on after a pause, a drain or a boot."""
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, host.name) as queue:
        await queue.resume()
    return f"the queue of {host.name} goes on"


def _one_line(reason: str) -> str:
    if len(reason) > 200 or not reason.isprintable():
        raise UsageError("the reason has to be one line of at most 200 characters.")
    return reason
