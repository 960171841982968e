"""Getting into containers, hosts and sessions, and ending the shells that were left in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from backend.actions.context import ActionContext, Terminal
from backend.actions.registry import Option, action
from backend.errors import UsageError
from backend.model import ContainerRow, ContextRow, HostRow, HostState, SessionRow

if TYPE_CHECKING:
    from backend.terminal.scripts import Which

User = Annotated[
    str | None, Option("user inside the container; else the context's, else the image's", short="u")
]
Shell = Annotated[str | None, Option("shell to start; else the context's, else bash, else sh")]
New = Annotated[bool, Option("a new session, even where one is free")]
Number = Annotated[int | None, Option("the session of this number, even where somebody looks at it")]


def _is_running(row: ContainerRow) -> bool:
    return row.state == "running"


def _may_run(row: ContextRow) -> bool:
    return row.state in ("running", "unknown")


def _is_contacted(row: HostRow) -> bool:
    return row.state is not HostState.SKIPPED


@action(on=ContainerRow, key="e", applies=_is_running, footer=True, terminal=True, group="Enter")
async def enter(
    ctx: ActionContext,
    container: ContainerRow,
    *,
    new: New = False,
    session: Number = None,
    user: User = None,
    shell: Shell = None,
) -> Terminal:
    """Enter the container: a shell that outlives the connection.

    It lives in a tmux session on the host, named after the context. Entering again goes back to the one where
    the link was lost, else to the first one that nobody looks at; `--user` and `--shell` always begin a new
    one. Without tmux on the host it is a plain shell.
    """
    from backend.terminal import visits

    return visits.enter(ctx, container, _which(new, session), user, shell)


@action(
    on=ContextRow, name="enter-context", verb="", title="enter", key="e", applies=_may_run, footer=True,
    terminal=True, group="Enter",
)  # fmt: skip
async def enter_context(
    ctx: ActionContext,
    context: ContextRow,
    *,
    new: New = False,
    session: Number = None,
    user: User = None,
    shell: Shell = None,
) -> Terminal:
    """Enter the context's container: a shell that outlives the connection."""
    from backend.terminal import visits

    return visits.enter(ctx, visits.container_of(context), _which(new, session), user, shell)


@action(
    on=ContainerRow, verb="sh", key="E", title="plain shell", applies=_is_running, terminal=True,
    group="Enter",
)  # fmt: skip
async def shell(
    ctx: ActionContext, container: ContainerRow, *, user: User = None, shell: Shell = None
) -> Terminal:
    """Open a plain shell in the container: it ends with the connection."""
    from backend.terminal import visits

    return visits.enter(ctx, container, "none", user, shell)


@action(on=ContainerRow, key="ctrl+e", applies=_is_running, terminal=True, group="Enter")
async def root_shell(ctx: ActionContext, container: ContainerRow, *, shell: Shell = None) -> Terminal:
    """Open a plain shell as root in the container."""
    from backend.terminal import visits

    return visits.enter(ctx, container, "none", "0", shell)


@action(on=ContainerRow, key="a", applies=_is_running, terminal=True, group="Enter")
async def attach(ctx: ActionContext, container: ContainerRow) -> Terminal:
    """Attach to the terminal of the container's own process.

    What is typed goes to that process: Ctrl+C may end it and with it the container. Ctrl+P Ctrl+Q leaves it.
    """
    from backend.terminal import scripts, visits

    name = container.name or container.id
    return Terminal(
        host=container.host,
        argv=scripts.attach(visits.engine_of(ctx, container.host), name),
        title=f"{name} on {container.host}",
        before=(
            f"Attached to the process of {name} on {container.host}.",
            "Ctrl+P Ctrl+Q leaves it running. Ctrl+C goes to it.",
        ),
        lost=f"It goes on. Again: berth attach {container.host}/{name}",
        verb=("berth", "attach", f"{container.host}/{name}"),
    )


@action(on=HostRow, key="e", applies=_is_contacted, footer=True, terminal=True, group="Enter")
async def login(
    ctx: ActionContext,
    host: HostRow,
    *,
    persist: Annotated[bool, Option("in a tmux session: the first that nobody looks at")] = False,
    new: New = False,
    session: Number = None,
    context: Annotated[str | None, Option("with BERTH_* variables that describe this context")] = None,
) -> Terminal:
    """Open a login shell on the host.

    With `--persist`, `--new` or `--session` it lives in a tmux session called `login-<n>`.
    """
    from backend.terminal import scripts, visits
    from backend.terminal.lostvisits import new_visit

    visit = new_visit()
    which: Which = _which(new, session) if persist or new or session is not None else "none"
    env = visits.describe(ctx.config.context(context)) if context else ()
    words = visits.flags(which, "--persist") + (["--context", context] if context else [])
    again = " ".join(["berth login", host.name, *(["--persist"] if which != "none" else [])])
    return Terminal(
        host=host.name,
        argv=scripts.login(scripts.Seat("login", which, host.name, visit), env),
        title=host.name,
        lost=f"The shell is still there. Back to it: {again}" if which != "none" else f"Again: {again}",
        verb=("berth", "login", host.name, *words),
        visit=visit if which != "none" else "",
    )


@action(
    on=SessionRow,
    verb="session attach",
    key="a",
    terminal=True,
    title="attach",
    footer=True,
    group="Enter",
)
async def attach_session(ctx: ActionContext, session: SessionRow) -> Terminal:
    """Attach to the tmux session."""
    from backend.terminal import scripts

    looking = f"Also attached: {session.attached}." if session.attached else ""
    again = f"berth session attach {session.host}/{session.name}"
    return Terminal(
        host=session.host,
        argv=scripts.session(session.socket, session.id or f"={session.name}"),
        title=f"{session.name} on {session.host}",
        before=(looking,) if looking else (),
        lost=f"The session goes on. Back to it: {again}",
        verb=tuple(again.split(" ", 3)),
    )


@action(on=ContainerRow, applies=_is_running, title="end shells", group="Enter", bulk=False)
async def killses(
    ctx: ActionContext,
    container: ContainerRow,
    *,
    pid: Annotated[tuple[int, ...], Option("end this one (may be repeated); else all, after asking")] = (),
) -> str:
    """End interactive shells that were left in the container.

    They are listed first. The container's first process and the shell you are in are never among them.
    Each gets SIGHUP, and SIGKILL if it is still there after 3 s.
    """
    from backend.terminal import shells, visits

    place = shells.Place(
        await ctx.link(container.host), visits.engine_of(ctx, container.host), container.name
    )
    found = await shells.listed(place)
    for each in found:
        ctx.report(str(each))
    if not found:
        return f"no interactive shell is left in {container.name} on {container.host}"
    chosen = [each for each in found if each.pid in pid] if pid else found
    if missing := set(pid) - {each.pid for each in chosen}:
        raise UsageError(
            f"no interactive shell of {container.name} has pid {', '.join(map(str, sorted(missing)))}."
        )
    if not pid and not await ctx.confirm(
        f"End {len(chosen)} shells in {container.name} on {container.host}?"
    ):
        return "nothing was ended"
    killed = await shells.end(place, chosen)
    return f"ended {len(chosen)} in {container.name} on {container.host}" + (
        f", {killed} by SIGKILL" * bool(killed)
    )


def _which(new: bool, session: int | None) -> Which:
    if new and session is not None:
        raise UsageError("--new and --session exclude each other.")
    if session is not None and not 0 < session < 10_000:
        raise UsageError(f"there is no session {session}: they are numbered from 1.")
    return "new" if new else session if session is not None else "first"
