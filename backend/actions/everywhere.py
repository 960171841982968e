"""One command on all hosts."""

from __future__ import annotations

from typing import Annotated, Literal

from backend.actions.context import ActionContext
from backend.actions.registry import Option, action

GROUP = "Everywhere"

Hosts = Annotated[tuple[str, ...], Option("only these hosts", several=True, host=True)]
Tags = Annotated[tuple[str, ...], Option("only hosts with this tag", several=True)]
Only = Annotated[str, Option("only hosts whose name fits this pattern: 'h100-*'")]


@action(
    on=None,
    name="each",
    title="everywhere",
    key="at",
    streams="backend.everywhere.show:run",
    group=GROUP,
)
async def each(
    ctx: ActionContext,
    fleet: None,
    *,
    command: Annotated[
        tuple[str, ...], Option("the command, behind --; one word is a line for the shell", many=True)
    ] = (),
    host: Hosts = (),
    tag: Tags = (),
    only: Only = "",
    local: Annotated[bool, Option("run it on this machine, once for each host")] = False,
    parallel: Annotated[int, Option("so many hosts at a time; 0 is all")] = 0,
    timeout: Annotated[float | None, Option("seconds that it may run on a host")] = None,
    show: Annotated[
        Literal["live", "folded"] | None,
        Option("lines as they come, or equal outputs folded at the end; else folded on a terminal"),
    ] = None,
) -> str:
    """Run a command on all hosts at once and show what each of them says.

    One word behind -- is a line for the login shell of each host: berth each -- 'df -h / | tail -1'. Several
    are a program and its arguments, taken as they are. {host}, {address}, {user} and {port} stand for what
    belongs to each host. The command has no input and no terminal; Ctrl+C ends it on all hosts. The exit code
    is 0 where all ended with 0, 1 where one did not, 3 where a host could not be reached.
    """
    from backend.everywhere.following import reported
    from backend.everywhere.wish import Wish, choose

    _ = show
    chosen, left_out = choose(ctx.config, hosts=host, tags=tag, only=only)
    return await reported(
        ctx,
        Wish(
            command=command,
            hosts=chosen,
            local=local,
            parallel=parallel,
            timeout=timeout,
            left_out=left_out,
        ),
    )
