"""New jobs: a script of a project, or a command in an image, queued for the GPUs it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from backend.actions.context import ActionContext, Terminal
from backend.actions.registry import Option, action
from backend.errors import UsageError

GROUP = "Jobs"

Command = Annotated[tuple[str, ...], Option("script and arguments; behind -- on the command line", many=True)]
Script = Annotated[str, Option("script and arguments as one text: \"train.sh 'a b'\"", ask=True)]
After = Annotated[tuple[str, ...], Option("start when job N has completed; any:N when it has ended")]
Array = Annotated[str | None, Option("one job for each index: 1-20, 1-20%4 (four at once), 0-9:3")]
Sweep = Annotated[
    tuple[str, ...],
    Option("one job for each combination: lr=0.1,0.01 seed=1,2; {lr} in the command", several=True),
]
OutfileName = Annotated[str | None, Option("write the output to .rp/logs/NAME_TIME.log of the project")]
Key = Annotated[str, Option("any word: what was submitted by it before is not submitted again, but followed")]
Where = Annotated[
    str | None,
    Option("host, any (where it starts soonest) or tag:TAG; else this machine", host=True, ask=True),
]
Image = Annotated[
    str, Option("an image of the host; else that of the project in the current folder", ask=True)
]
Gpus = Annotated[str | None, Option("how many GPUs, or their UUIDs with commas", short="g", ask=True)]
Cpus = Annotated[int | None, Option("logical CPUs", short="c", ask=True)]
Mem = Annotated[str | None, Option("memory: 8 or 8g is 8 GB, 512m", short="m", ask=True)]
Shm = Annotated[str | None, Option("size of /dev/shm, written as --mem")]
Time = Annotated[str | None, Option("how long it may run: 2h30m, 1-12:00:00", short="t", ask=True)]
Name = Annotated[str, Option("what to call it; else the script's name", ask=True)]
Priority = Annotated[int, Option("-100 to 100; higher goes first")]
Env = Annotated[tuple[str, ...], Option("NAME=VALUE, or NAME to pass it on", short="e", masked=True)]
Mount = Annotated[tuple[str, ...], Option("SOURCE[:TARGET][:ro] of the host", short="v")]
Workdir = Annotated[str, Option("folder inside the container it starts in", short="w")]
User = Annotated[
    str | None, Option("UID:GID inside, or an empty word for the image's own; else yours", short="u")
]
Network = Annotated[str, Option("network of the container, as docker names it")]
Partition = Annotated[str, Option("partition of a cluster", short="p")]
Runtime = Annotated[
    Literal["docker", "pyxis", "edf"] | None, Option("how a cluster runs it; else by what the image is")
]


@action(
    on=None,
    name="run",
    title="new job",
    key="",
    streams="backend.queues.running:run",
    footer=True,
    group=GROUP,
)
async def run(
    ctx: ActionContext,
    fleet: None,
    *,
    command: Command = (),
    script: Script = "",
    host: Where = None,
    image: Image = "",
    gpus: Gpus = None,
    cpus: Cpus = None,
    mem: Mem = None,
    shm: Shm = None,
    time: Time = None,
    name: Name = "",
    priority: Priority = 0,
    after: After = (),
    begin: Annotated[str | None, Option("not before: 2h, 22:00, 2026-01-31T22:00")] = None,
    retries: Annotated[int, Option("queue it again so often if it fails")] = 0,
    hold: Annotated[bool, Option("let it wait until it is released")] = False,
    array: Array = None,
    sweep: Sweep = (),
    snapshot: Annotated[bool, Option("run the code as it is now, whatever changes later")] = False,
    detach: Annotated[bool, Option("do not wait for it", short="d")] = False,
    outfile_name: OutfileName = None,
    env: Env = (),
    mount: Mount = (),
    workdir: Workdir = "",
    user: User = None,
    network: Network = "",
    warn: Annotated[str | None, Option("signal before the time is up: SIGUSR1, SIGUSR1@2m")] = None,
    partition: Partition = "",
    runtime: Runtime = None,
    key: Key = "",
) -> str:
    """Queue a job and follow it to its end.

    A script of the project in the current folder (see berth init), or a command in an image of the host.
    It starts when the GPUs, CPUs and memory it asks for are free, in the order of the queue. Ctrl+C ends the
    job; with --detach, or when the terminal goes away, it goes on. The exit code is the job's.
    """
    from backend.queues.asking import Asked
    from backend.queues.submitting import submit

    asked = Asked(
        command=command, script=script, image=image, gpus=gpus, cpus=cpus, mem=mem, shm=shm, time=time,
        name=name, priority=priority, after=after, begin=begin, retries=retries, hold=hold, array=array,
        sweep=sweep, env=env, mount=mount, workdir=workdir, user=user, network=network, warn=warn,
        partition=partition, runtime=runtime or "", outfile_name=outfile_name,
    )  # fmt: skip
    done = await submit(
        ctx.config, ctx.access, asked,
        host=host, folder=Path.cwd(), say=ctx.report, snapshot=snapshot, key=key,
    )  # fmt: skip
    ctx.notes["job"] = ",".join(done.ids)
    many = len(done.ids) > 1
    return f"job{'s' if many else ''} {_span(done.ids)} {'are' if many else 'is'} queued on {done.host}"


@action(on=None, name="job-shell", verb="shell", title="queued shell", terminal=True, group=GROUP)
async def job_shell(
    ctx: ActionContext,
    fleet: None,
    *,
    shell: Annotated[str, Option("what to run; else bash where the image has it, else sh")] = "",
    host: Where = None,
    image: Image = "",
    gpus: Gpus = None,
    cpus: Cpus = None,
    mem: Mem = None,
    shm: Shm = None,
    time: Time = None,
    name: Name = "shell",
    priority: Priority = 0,
    idle: Annotated[str, Option("end it when nothing happened in it for so long; 0: never")] = "30m",
    env: Env = (),
    mount: Mount = (),
    workdir: Workdir = "",
    user: User = None,
    network: Network = "",
    partition: Partition = "",
    runtime: Runtime = None,
) -> Terminal:
    """Open a shell as a job: it waits for its turn, and holds what it asked for until it ends.

    Leaving the shell ends the job. Ctrl+P Ctrl+Q leaves it running, and berth job attach comes back; it is
    ended when nothing happened in it for a while (--idle), so that no forgotten shell keeps a GPU.
    """
    from backend.queues.asking import Asked
    from backend.queues.choose import queue_of
    from backend.queues.submitting import submit

    words = (shell,) if shell else ("/bin/sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
    asked = Asked(
        command=words, called=shell or "shell", image=image, gpus=gpus, cpus=cpus, mem=mem, shm=shm,
        time=time, name=name, priority=priority, env=env, mount=mount, workdir=workdir, user=user,
        network=network, idle=idle, partition=partition, runtime=runtime or "",
    )  # fmt: skip
    done = await submit(
        ctx.config, ctx.access, asked, host=host, folder=Path.cwd(), say=ctx.report, interactive=True
    )
    (number,) = done.ids
    ctx.report(f"waiting to be scheduled as <{number}> on {done.host}")
    async with queue_of(ctx.config, ctx.access, done.host) as queue:
        try:
            async for piece in queue.follow(number, output=False):
                if isinstance(piece, (bytes, str)):
                    continue
                if piece.state == "running":
                    return await queue.terminal(ctx, number)
                if piece.reason:
                    ctx.report(f"waits: {piece.reason}" if piece.ended_at is None else piece.reason)
        except BaseException:
            await queue.cancel([number])
            raise
    raise UsageError(
        f"job {number} on {done.host} ended before there was a shell.",
        hint=f"See: berth job show {done.host}/{number}",
    )


def _span(ids: tuple[str, ...]) -> str:
    return ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1]} ({len(ids)})"
