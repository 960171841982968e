"""tmux sessions of hosts: new, another name, the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.errors import NoSuchTarget, UsageError
from backend.model import HostRow, HostState, SessionRow

if TYPE_CHECKING:
    from backend.link import Link

Name = Annotated[str, Option("name of the session; letters, digits, _ and -", positional=True)]
Command = Annotated[
    str | None, Option("what runs in it, for the login shell; else the login shell", ask=True)
]
Folder = Annotated[str | None, Option("folder it starts in; else the home")]


def _is_contacted(row: HostRow) -> bool:
    return row.state is not HostState.SKIPPED


@action(
    on=HostRow, name="session-new", verb="session new", title="new session", applies=_is_contacted,
    bulk=False, group="Sessions",
)  # fmt: skip
async def session_new(
    ctx: ActionContext, host: HostRow, *, name: Name, command: Command = None, folder: Folder = None
) -> str:
    """Start a tmux session on the host, in the background."""
    return await _start(ctx, host.name, name, command, folder)


@action(
    on=SessionRow, name="session-new-beside", verb="", title="new", key="n", bulk=False, footer=True,
    group="Sessions",
)  # fmt: skip
async def session_new_beside(
    ctx: ActionContext,
    session: SessionRow,
    *,
    name: Name,
    host: Annotated[
        str | None, Option("host it starts on; else that of this session", ask=True, host=True)
    ] = None,
    command: Command = None,
    folder: Folder = None,
) -> str:
    """Start a tmux session on this host, or on another one."""
    return await _start(ctx, host or session.host, name, command, folder)


@action(
    on=SessionRow, name="session-rename", verb="session rename", title="rename", key="R", bulk=False,
    group="Sessions",
)  # fmt: skip
async def session_rename(ctx: ActionContext, session: SessionRow, *, name: Name) -> str:
    """Give the tmux session another name."""
    from backend import tmux

    _check_name(name)
    link = await ctx.link(session.host)
    await _same(link, session)
    await tmux.rename(link, session.id, name, socket=session.socket)
    return f"{session.name} on {session.host} is now called {tmux.session_stem(name)}"


@action(
    on=SessionRow,
    name="session-kill",
    verb="session kill",
    title="kill",
    key="ctrl+k",
    danger="End the session {0.name} of {0.user} on {0.host} and all that runs in it ({0.running})?",
    group="Sessions",
)
async def session_kill(ctx: ActionContext, session: SessionRow) -> str:
    """End the tmux session and all that runs in it."""
    from backend import tmux

    link = await ctx.link(session.host)
    await _same(link, session)
    await tmux.kill(link, session.id, socket=session.socket)
    return f"{session.name} on {session.host} was ended"


async def _start(ctx: ActionContext, host: str, name: str, command: str | None, folder: str | None) -> str:
    from backend import tmux

    _check_name(name)
    link = await ctx.link(host)
    # one word: tmux gives it to the login shell, which is what a command line means to people
    words = [command] if command else []
    ctx.notes["id"] = await tmux.start(link, name, words, folder=folder or "")
    return f"{tmux.session_stem(name)} was started on {host}"


def _check_name(name: str) -> None:
    if not name.strip() or "\0" in name:
        raise UsageError("a session needs a name.")


async def _same(link: Link, session: SessionRow) -> None:
    """Raise `NoSuchTarget` unless the id still means that session: a tmux server that was started again
    counts from $0 anew."""
    from backend import tmux

    said = await tmux.run(
        link, "display-message", "-p", "-t", session.id, "#{session_created}", socket=session.socket
    )
    made = session.created_at
    if made is not None and said.strip() != str(int(made.timestamp())):
        raise NoSuchTarget(
            f"{session.name} on {link.name} is gone, and its number belongs to another session.",
            hint="The list is read again every few seconds.",
        )
