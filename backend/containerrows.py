"""What a host says of a container, or of a tmux session in one -> their rows, and those of contexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from backend.dockerwords import ports, status
from backend.gpurows import RUNNING
from backend.model import (
    Container,
    ContainerRow,
    ContextRow,
    EngineState,
    Gpu,
    HostSnapshot,
    SessionRow,
    TmuxSession,
    Usage,
)
from backend.tmux import session_stem

if TYPE_CHECKING:
    from backend.config import Context


def moved(
    row: ContainerRow, usage: Usage | None, container: Container, gpus: Mapping[str, Gpu], gpu_mem: int | None
) -> ContainerRow:
    """The row of a container of which only the numbers can have changed; the same one where none has."""
    used = usage if usage is not None and container.state in RUNNING else Usage(id=container.id)
    util = _mean_util(container, gpus)
    if (
        used.cpu_percent == row.cpu_percent
        and used.mem_used == row.mem_used
        and used.net_rx == row.net_rx
        and used.net_tx == row.net_tx
        and used.mem_limit == row.mem_limit
        and util == row.gpu_util_percent
        and gpu_mem == row.gpu_mem_used
    ):
        return row
    return replace(
        row,
        cpu_percent=used.cpu_percent,
        mem_used=used.mem_used,
        mem_limit=used.mem_limit,
        net_rx=used.net_rx,
        net_tx=used.net_tx,
        gpu_util_percent=util,
        gpu_mem_used=gpu_mem,
    )


def _mean_util(container: Container, gpus: Mapping[str, Gpu]) -> float | None:
    """Mean utilisation of a running container's GPUs; None without any that tells."""
    if not container.gpus or container.state not in RUNNING:
        return None
    utils = [
        gpu.util_percent
        for uuid in container.gpus
        if (gpu := gpus.get(uuid)) is not None and gpu.util_percent is not None
    ]
    return sum(utils) / len(utils) if utils else None


def container_row(
    host: HostSnapshot,
    container: Container,
    *,
    gpus: Mapping[str, Gpu],
    gpu_mem: int | None,
    context: str | None,
    now: datetime,
) -> ContainerRow:
    """The row of one container, joined with its usage and its GPUs."""
    alive = container.state in RUNNING
    usage = (host.usage.get(container.id) if alive else None) or Usage(id=container.id)
    return ContainerRow(
        host=host.name,
        id=container.id,
        name=container.name,
        image=container.image,
        state=container.state,
        status=status(container, now),
        created_at=container.created_at,
        started_at=container.started_at,
        cpu_percent=usage.cpu_percent,
        mem_used=usage.mem_used,
        mem_limit=usage.mem_limit,
        net_rx=usage.net_rx,
        net_tx=usage.net_tx,
        gpus=container.gpus,
        gpu_util_percent=_mean_util(container, gpus),
        gpu_mem_used=gpu_mem,
        owner=container.owner,
        context=context,
        ports=ports(container.ports),
        labels=container.labels,
        exit_code=container.exit_code if not alive else None,
        health=container.health or None,
        command=container.command,
        stale=host.stale,
    )


def context_row(context: Context, host: HostSnapshot | None, *, last: bool = False) -> ContextRow:
    """The row of a configured context, joined with its container on its host."""
    container = find(host.containers, context.container) if host else None
    if host is None or host.stale or host.containers is None or _engine_away(host):
        state = "unknown"
    elif container is None:
        state = "missing"
    else:
        state = "running" if container.state in RUNNING else "stopped"
    gpus = context.gpus
    sessions = host.sessions if host else ()
    return ContextRow(
        name=context.name,
        host=context.host,
        image=context.image,
        container=context.container,
        state=state,
        user=context.user,
        gpus=",".join(gpus) if isinstance(gpus, tuple) else None if gpus is None else str(gpus),
        ports=tuple(context.ports),
        mounts=tuple(context.mounts),
        profile=context.profile,
        container_id=container.id if container else None,
        sessions=sum(session_context(s.name, [context.name]) is not None for s in sessions),
        last=last,
    )


def _engine_away(host: HostSnapshot) -> bool:
    return host.engine is not None and host.engine.state is not EngineState.UP


def find(containers: Sequence[Container] | None, name: str) -> Container | None:
    """The container of that name or full id."""
    return next((c for c in containers or () if name in (c.name, c.id)), None)


def session_context(session: str, contexts: Sequence[str]) -> str | None:
    """Which context a tmux session was named after: `<context>-<n>`, or the name alone."""
    stems = {session_stem(name): name for name in contexts}
    stem, _, number = session.rpartition("-")
    if stem in stems and number.isdigit():
        return stems[stem]
    return stems.get(session)


def session_row(host: HostSnapshot, session: TmuxSession, contexts: Sequence[str]) -> SessionRow:
    """The row of one tmux session."""
    return SessionRow(
        host=host.name,
        id=session.id,
        name=session.name,
        user=session.user,
        attached=session.attached,
        windows=session.windows,
        created_at=session.created_at,
        activity_at=session.activity_at,
        commands=tuple(dict.fromkeys(pane.command for pane in session.panes)),
        context=session_context(session.name, contexts),
        socket=session.socket,
        panes=session.panes,
        stale=host.stale,
    )
