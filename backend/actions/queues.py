"""What can be done to the queue of a host or cluster as a whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.errors import Refused, UsageError
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
    state = "paused" if found.paused else "drained" if found.draining else "open"
    ctx.give(asdict(found) | {"state": state, "notes": list(found.notes)})
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


@action(
    on=HostRow, name="queue-settings", verb="queue settings", title="queue settings", applies=_has_queue,
    changes=False, bulk=False, prints=True, group=GROUP,
)  # fmt: skip
async def queue_settings(
    ctx: ActionContext,
    host: HostRow,
    *,
    changes: Annotated[
        tuple[str, ...], Option("NAME=VALUE; without any they are shown", positional=True, ask=True)
    ] = (),
) -> str:
    """Show or change what holds for everybody in the queue of a host; only root there may change it.

    jobs-per-user=N and gpus-per-user=N: how much of each person runs at a time; 0 is without limit.
    reserved-cpus=N and reserved-memory=SIZE: what jobs never get. keep-days=N and keep-jobs=N: how long ended
    jobs are remembered, and how many of them; 0 is all.
    """
    from backend.queues import rules
    from backend.queues.choose import queue_of

    wanted = rules.read(changes)
    if wanted:
        _refuse_read_only(ctx, host)
    async with queue_of(ctx.config, ctx.access, host.name) as queue:
        found = await rules.own(queue).settings(wanted)
    ctx.give(rules.as_data(host.name, found, changed=bool(wanted)))
    for line in rules.said(found):
        ctx.report(line)
    return f"queue of {host.name}: {'changed' if wanted else 'its settings'}"


@action(
    on=HostRow, name="queue-forget", verb="queue forget", title="forget ended jobs", applies=_has_queue,
    bulk=False, group=GROUP,
)  # fmt: skip
async def queue_forget(
    ctx: ActionContext,
    host: HostRow,
    *,
    days: Annotated[float, Option("jobs that ended longer ago than so many days", ask=True)] = 30.0,
) -> str:
    """Remove ended jobs and their kept output from the queue of a host, for everybody; for root there.

    Asks first, and says which. Jobs that others wait for stay.
    """
    from backend.queues import rules
    from backend.queues.choose import queue_of

    if not 0 <= days <= 36500:
        raise UsageError(f"{days:g} days: allowed is 0 to 36500.")
    async with queue_of(ctx.config, ctx.access, host.name) as queue:
        mine = rules.own(queue)
        old = rules.older(await mine.jobs("ended"), days)
        if not old:
            return f"queue of {host.name}: no job ended more than {days:g} days ago"
        if not await ctx.confirm(f"Forget {rules.named(old)} of {host.name}, with their output?"):
            raise Refused(f"queue of {host.name}: nothing was forgotten.", hint="It was not confirmed.")
        gone = await mine.forget(days)
    for line in rules.numbers(gone):
        ctx.report(line)
    return f"queue of {host.name}: {len(gone)} job{'' if len(gone) == 1 else 's'} forgotten"


def _refuse_read_only(ctx: ActionContext, host: HostRow) -> None:
    if ctx.config.settings.read_only or ctx.config.host(host.name).read_only:
        raise Refused(f"queue settings: {host.name} is read-only.", hint="They can be shown.")


def _one_line(reason: str) -> str:
    if len(reason) > 200 or not reason.isprintable():
        raise UsageError("the reason has to be one line of at most 200 characters.")
    return reason
