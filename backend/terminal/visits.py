"""What it takes to get into a container: who, where to, with which shell, and how to come back."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from backend.actions.context import ActionContext, Terminal
from backend.model import ContainerRow
from backend.terminal import scripts
from backend.terminal.lostvisits import new_visit
from backend.terminal.scripts import Engine, Which

if TYPE_CHECKING:
    from backend.config import Context
    from backend.model import ContextRow


def container_of(context: ContextRow | Context) -> ContainerRow:
    """The row of a context's container as far as its context tells."""
    return container_row(context.host, context.container, image=context.image, context=context.name)


def container_row(host: str, name: str, *, image: str = "", context: str | None = None) -> ContainerRow:
    """The row of a container nobody has looked at.

    Enough for a terminal: whether it runs is found out on the host, which saves the round trips of asking.
    """
    return ContainerRow(
        host=host,
        id="",
        name=name,
        image=image,
        state="running",
        status="",
        created_at=None,
        started_at=None,
        cpu_percent=None,
        mem_used=None,
        mem_limit=None,
        net_rx=None,
        net_tx=None,
        gpus=(),
        gpu_util_percent=None,
        gpu_mem_used=None,
        owner=None,
        context=context,
        ports=(),
        labels={},
    )


def enter(
    ctx: ActionContext, row: ContainerRow, which: Which, user: str | None, shell: str | None
) -> Terminal:
    """A shell in a container, as its context says."""
    context = next((each for each in ctx.config.contexts if each.name == row.context), None)
    name = row.name or row.id
    visit = new_visit()
    wanted = shell or (context.shell if context else None) or ""
    persistent = which != "none"
    if which == "first" and (user or shell):
        which = "new"  # a session that is free may be somebody else's inside
    argv = scripts.enter(
        scripts.Seat(context.name if context else name, which, name, visit),
        engine_of(ctx, row.host),
        name,
        user=user or (context.user if context else ""),
        profile=context.profile if context else "tuned",
        shell=shlex.split(wanted),
        workdir=(context.workdir or "") if context else "",
        intro=[f"{name} on {row.host}", *_mounts(ctx, row, context)],
    )
    place = f"{row.host}/{name}"
    verb = ["berth", "enter" if persistent else "sh", place, *flags(which)]
    verb += ["--user", user] if user else []
    verb += ["--shell", shell] if shell else []
    back = f"berth enter {context.name if context else place}"
    return Terminal(
        host=row.host,
        argv=argv,
        title=f"{context.name if context else name} on {row.host}",
        lost=f"The shell lives on. Back to it: {back}" if persistent else f"Again: {shlex.join(verb)}",
        verb=tuple(verb),
        visit=visit if persistent else "",
    )


def flags(which: Which, first: str = "") -> list[str]:
    """The options of a verb that ask for this session; `first` is the one for the first free session."""
    if which == "new":
        return ["--new"]
    if isinstance(which, int):
        return ["--session", str(which)]
    return [first] if which == "first" and first else []


def engine_of(ctx: ActionContext, host: str) -> Engine:
    """What speaks to the containers of this host, as configured, else as its agent found it."""
    configured = ctx.config.host(host)
    state = ctx.access.state
    known = state.hosts[host].engine if state is not None and host in state.hosts else None
    kinds = (configured.engine, known.kind if known is not None else "")
    return Engine(
        next((kind for kind in kinds if kind in ("docker", "podman")), "auto"), configured.socket or ""
    )


def describe(context: Context) -> list[str]:
    """A context as environment variables. None of its own: values there may be secrets."""
    return [
        f"BERTH_CONTEXT={context.name}",
        f"BERTH_CONTAINER={context.container}",
        f"BERTH_IMAGE={context.image}",
    ]


def _mounts(ctx: ActionContext, row: ContainerRow, context: Context | None) -> list[str]:
    """What of the host is inside: of the container itself where the fleet knows it, else of its context."""
    state = ctx.access.state
    host = state.hosts.get(row.host) if state is not None else None
    for each in (host.containers or ()) if host is not None else ():
        if row.id and each.id == row.id:
            return [f"  {m.source} is {m.target}{'' if m.writable else ', read-only'}" for m in each.mounts]
    return [f"  {mount.replace(':', ' is ', 1)}" for mount in context.mounts] if context else []
