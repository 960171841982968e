"""What can be done to a job of any queue."""

from __future__ import annotations

from typing import Annotated

from backend.actions.context import ActionContext, Terminal
from backend.actions.registry import Option, action
from backend.errors import UsageError
from backend.model import JobRow

GROUP = "Jobs"
ENDED = ("completed", "failed", "cancelled", "timeout")


def _unfinished(row: JobRow) -> bool:
    return row.state not in ENDED


def _waits(row: JobRow) -> bool:
    return row.state in ("queued", "held")


def _queued(row: JobRow) -> bool:
    return row.state == "queued"


def _held(row: JobRow) -> bool:
    return row.state == "held"


def _runs(row: JobRow) -> bool:
    return row.state == "running"


def _ended(row: JobRow) -> bool:
    return row.state in ENDED


@action(
    on=JobRow, name="job-logs", verb="job logs", key="l", title="output", changes=False, footer=True,
    prints=True, streams="backend.queues.following:logs", group=GROUP,
)  # fmt: skip
async def job_logs(
    ctx: ActionContext,
    job: JobRow,
    *,
    follow: Annotated[bool, Option("go on until the job has ended", short="f")] = False,
    tail: Annotated[int, Option("only the last so many lines; 0 is all", short="n")] = 0,
) -> str:
    """Show what a job wrote, also long after its end."""
    from backend.queues.choose import queue_of
    from backend.queues.following import Lines

    lines = Lines(ctx.report)
    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        async for piece in queue.follow(job.id, to_the_end=follow, tail=tail):
            if isinstance(piece, bytes):
                lines.feed(piece)
            elif isinstance(piece, str):
                ctx.report(piece)
    lines.end()
    return f"job {job.id} on {job.host}: {lines.count} line{'' if lines.count == 1 else 's'}"


@action(
    on=JobRow, name="job-wait", verb="job wait", title="tell me its end", applies=_unfinished, changes=False,
    streams="backend.queues.waiting:wait", group=GROUP,
)  # fmt: skip
async def job_wait(ctx: ActionContext, job: JobRow) -> str:
    """Wait until jobs have ended.

    Prints a line for each as it ends. The exit code is the job's (124: its time was up, 130: cancelled), of
    several the highest. Ctrl+C leaves them alone.
    """
    from backend.queues.ends import ended
    from backend.queues.waiting import end_of

    return f"{job.host}: {ended(await end_of(ctx.config, ctx.access, job))}"


@action(
    on=JobRow, name="job-show", verb="job show", key="i", title="details", changes=False, prints=True,
    group=GROUP,
)  # fmt: skip
async def job_show(ctx: ActionContext, job: JobRow) -> str:
    """Show everything about a job: what it runs, what it has, why it waits, and its history."""
    from backend.queues.choose import queue_of
    from backend.queues.describe import as_data, described

    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        detail = await queue.detail(job.id)
    ctx.give(as_data(detail))
    for line in described(detail):
        ctx.report(line)
    return f"job {job.id} on {job.host}: {detail.row.state}"


@action(
    on=JobRow, name="job-attach", verb="job attach", key="a", title="attach", applies=_runs, footer=True,
    terminal=True, group=GROUP,
)  # fmt: skip
async def job_attach(ctx: ActionContext, job: JobRow) -> Terminal:
    """Open a terminal in a running job: its own where it has one, else a shell beside it."""
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        return await queue.terminal(ctx, job.id)


@action(
    on=JobRow,
    name="job-kill",
    verb="job kill",
    key="ctrl+k",
    title="kill",
    applies=_unfinished,
    danger="End job {0.id} ({0.name}) of {0.owner} on {0.host}, which is {0.state}?",
    unasked="backend.queues.mine:is_mine",
    footer=True,
    group=GROUP,
)
async def job_kill(ctx: ActionContext, job: JobRow) -> str:
    """End a job, waiting or running (SIGTERM, then SIGKILL after 10 s).

    A single job of one's own, named by its number, is ended without a question; other people's and several
    at once are asked about.
    """
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        return " ".join(await queue.cancel([job.id]))


@action(on=JobRow, name="job-hold", verb="job hold", key="h", title="hold", applies=_queued, group=GROUP)
async def job_hold(ctx: ActionContext, job: JobRow) -> str:
    """Let a queued job wait until it is released."""
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        await queue.hold([job.id])
    return f"job {job.id} on {job.host} is held"


@action(
    on=JobRow, name="job-release", verb="job release", key="H", title="release", applies=_held, group=GROUP
)
async def job_release(ctx: ActionContext, job: JobRow) -> str:
    """Let a held job take its turn again."""
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        await queue.release([job.id])
    return f"job {job.id} on {job.host} waits for its turn"


@action(
    on=JobRow,
    name="job-move",
    verb="job move",
    key="m",
    title="move",
    applies=_waits,
    bulk=False,
    group=GROUP,
)
async def job_move(
    ctx: ActionContext,
    job: JobRow,
    *,
    where: Annotated[
        tuple[str, ...],
        Option("first, last, before NUMBER or after NUMBER, among your own jobs", positional=True),
    ],
) -> str:
    """Change the turn of a waiting job, among one's own."""
    from backend.queues.choose import queue_of
    from backend.queues.words import place

    there = place(where, job.host)
    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        await queue.move(job.id, there)
    return f"job {job.id} on {job.host} goes {there if ' ' not in there else there.replace(' ', ' job ')}"


@action(
    on=JobRow, name="job-sooner", verb="", key="K", title="sooner", applies=_queued, bulk=False, group=GROUP
)
async def job_sooner(ctx: ActionContext, job: JobRow) -> str:
    """Move a waiting job before the one of one's own that goes before it."""
    return await _swap(ctx, job, -1)


@action(
    on=JobRow, name="job-later", verb="", key="J", title="later", applies=_queued, bulk=False, group=GROUP
)
async def job_later(ctx: ActionContext, job: JobRow) -> str:
    """Move a waiting job behind the one of one's own that goes after it."""
    return await _swap(ctx, job, 1)


async def _swap(ctx: ActionContext, job: JobRow, step: int) -> str:
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        mine = [row.id for row in await queue.jobs("unfinished", owner=job.owner) if row.state == "queued"]
        at = mine.index(job.id) + step if job.id in mine else -1
        if not 0 <= at < len(mine):
            return f"job {job.id} on {job.host} is {'first' if step < 0 else 'last'} of {job.owner}'s already"
        await queue.move(job.id, f"{'before' if step < 0 else 'after'} {mine[at]}")
        return f"job {job.id} on {job.host} goes {'before' if step < 0 else 'after'} job {mine[at]}"


@action(on=JobRow, name="job-edit", verb="job edit", key="E", title="edit", applies=_unfinished, group=GROUP)
async def job_edit(
    ctx: ActionContext,
    job: JobRow,
    *,
    name: Annotated[str | None, Option("another name", ask=True)] = None,
    priority: Annotated[int | None, Option("-100 to 100; higher goes first", ask=True)] = None,
    gpus: Annotated[str | None, Option("how many GPUs, or their UUIDs with commas", ask=True)] = None,
    cpus: Annotated[int | None, Option("logical CPUs", ask=True)] = None,
    mem: Annotated[str | None, Option("memory: 8 or 8g, 512m; 0 is without limit", ask=True)] = None,
    time: Annotated[str | None, Option("how long it may run: 2h30m; 0 is without limit", ask=True)] = None,
    retries: Annotated[int | None, Option("how often it is queued again after it failed")] = None,
    after: Annotated[
        str | None, Option("jobs that have to end first: 12,any:13 (any: also if it failed); 0: none")
    ] = None,
) -> str:
    """Change what a waiting job asks for. What it runs stays as it was submitted.

    Of a job that runs, its name and its time limit can change. Only root may give it more time, as others
    wait for its end; a limit that is over already ends it.
    """
    from backend.queues import words
    from backend.queues.choose import queue_of

    asked = {
        "name": name, "priority": priority, "gpus": gpus, "cpus": cpus, "mem": mem, "time": time,
        "retries": retries, "after": after,
    }  # fmt: skip
    changes = words.changes(asked, job)
    if not changes:
        if any(value is not None for value in asked.values()):
            return f"job {job.id} on {job.host}: all of this is so already"
        raise UsageError("nothing is to be changed.", hint="For example: --priority 10, --gpus 2, --time 4h")
    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        await queue.edit(job.id, changes)
    return f"job {job.id} on {job.host}: {', '.join(words.changed(changes))}"


@action(
    on=JobRow, name="job-forget", verb="job forget", title="forget", applies=_ended, group=GROUP,
    danger="Forget job {0.id} ({0.name}) of {0.owner} on {0.host}, with its history and its output?",
)  # fmt: skip
async def job_forget(ctx: ActionContext, job: JobRow) -> str:
    """Remove an ended job from its queue, with its history and its kept output.

    Files that the job itself wrote stay. A job that others wait for stays as well.
    """
    from backend.queues import rules
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        await rules.own(queue).forget([job.id])
    return f"job {job.id} on {job.host} is forgotten"


@action(on=JobRow, name="job-retry", verb="job retry", key="R", title="retry", applies=_ended, group=GROUP)
async def job_retry(ctx: ActionContext, job: JobRow) -> str:
    """Queue an ended job once more, exactly as it was."""
    from backend.queues.choose import queue_of

    async with queue_of(ctx.config, ctx.access, job.host) as queue:
        number = await queue.retry(job.id)
    ctx.notes["job"] = number
    renamed = "" if number == job.id else f" as job {number}"
    return f"job {job.id} on {job.host} was queued again{renamed}"
