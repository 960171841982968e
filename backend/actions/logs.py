"""The logs of containers: a screen in the dashboard, a stream on the command line."""

from __future__ import annotations

from typing import Annotated

from backend.actions.containers import GROUP
from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.errors import UsageError
from backend.model import ContainerRow


@action(
    on=ContainerRow,
    key="l",
    changes=False,
    footer=True,
    prints=True,
    streams="backend.logs.show:show",
    group=GROUP,
)
async def logs(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    follow: Annotated[
        bool, Option("go on until the containers end, also over lost links", short="f")
    ] = False,
    tail: Annotated[str, Option("the last so many lines of each, or all", short="n")] = "all",
    since: Annotated[str | None, Option("lines from then on: 10m, 2h, 1d, 14:30 or 2026-01-31T14:30")] = None,
    timestamps: Annotated[bool, Option("begin each line with its time (UTC)", short="t")] = False,
    grep: Annotated[
        str | None, Option("only lines with this text; !TEXT: without it; /REGEX/", short="g")
    ] = None,
    color: Annotated[bool, Option("keep the lines' colours, on a terminal")] = True,
) -> str:
    """Show the containers' logs, several of them merged by time.

    Colours stay where there is a terminal, every other control sequence is taken out. With --json, one
    object per line.
    """
    from backend.logs.follower import Follower, Status, Target, Wants
    from backend.logs.lines import LogLine
    from backend.logs.pattern import pattern
    from backend.logs.since import parse_since, parse_tail

    wanted, found = pattern(grep or ""), 0

    async def take(lines: list[LogLine]) -> None:
        nonlocal found
        for line in lines:
            if wanted is None or wanted(line.plain):
                found += 1
                ctx.report(line.plain)
        if wanted is not None and wanted.failed:
            raise UsageError(wanted.failed)

    def status(_: int, status: Status) -> None:
        if status.error is not None:
            raise status.error

    wants = Wants(
        tail=parse_tail(tail), since=parse_since(since) if since else None, follow=follow, linger=False
    )
    await Follower([Target(row.host, row.id or row.name, row.name)], ctx.engine, wants).run(take, status)
    return f"{row.name} on {row.host}: {found} line{'' if found == 1 else 's'}"
