"""What can be done to the queue of a host or cluster as a whole."""

from __future__ import annotations

from typing import Annotated

from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.errors import Refused, UsageError
from backend.model import HostRow, HostState

GROUP = "Queue"
Reason = Annotated[str, Option("why, for everybody to see", ask=True)]


def _has_queue(row: HostRow) -> bool:
    return row.state is not HostState.SKIPPED


@action(
    on=HostRow, name="queue-status", verb="queue status", title="queue", applies=_has_queue,
    changes=False, prints=True, streams="backend.queues.overview:status", unnamed="all with a queue",
    group=GROUP,
)  # fmt: skip
async def queue_status(ctx: ActionContext, host: HostRow) -> str:
    """Show the queue of a host, or of all: what runs, what waits, what is free, who paused it."""
    from backend.queues.choose import queue_of
    from backend.queues.overview import as_data, lines, state

    async with queue_of(ctx.config, ctx.access, host.name) as queue:
        found = await queue.status()
    ctx.give(as_data(found))
    for line in lines(found):
        ctx.report(line)
    return f"queue of {host.name}: {state(found)}, {found.running} running, {found.waiting} waiting"


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


@action(on=HostRow, name="queue-wake", verb="queue wake", title="wake queue", applies=_has_queue, group=GROUP)
async def queue_wake(ctx: ActionContext, host: HostRow) -> str:
    """Start the keeper of a host's queue where jobs wait for one: for boot scripts.

    After a boot nobody keeps the queue until somebody looks at it. A pause and a drain stay as they are.
    """
    from backend.queues import rules
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, host.name) as queue:
        await rules.own(queue).wake()
        found = await queue.status()
    return f"queue of {host.name}: {'its keeper is at work' if found.keeper else 'there is nothing to do'}"


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
        old = await mine.forgettable(days)
        if not old:
            return f"queue of {host.name}: no job ended more than {days:g} days ago"
        await ctx.agree(
            f"Forget {rules.named(old)} of {host.name}, with their output?",
            f"queue of {host.name}: nothing was forgotten.",
        )
        await mine.forget([row.id for row in old])
    for line in rules.numbers([row.id for row in old]):
        ctx.report(line)
    return f"queue of {host.name}: {len(old)} job{'' if len(old) == 1 else 's'} forgotten"


def _refuse_read_only(ctx: ActionContext, host: HostRow) -> None:
    if ctx.config.settings.read_only or ctx.config.host(host.name).read_only:
        raise Refused(f"queue settings: {host.name} is read-only.", hint="They can be shown.")


def _one_line(reason: str) -> str:
    if len(reason) > 200 or not reason.isprintable():
        raise UsageError("the reason has to be one line of at most 200 characters.")
    return reason
