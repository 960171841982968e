"""Which GPU is whose: GPUs joined with processes and containers, and what counts as free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from backend.model import Container, Gpu, GpuProcess, GpuRow, HostSnapshot, ProcessRow

FREE_MEMORY = 1 << 30
"""A GPU that holds more bytes than this is not free, even if no process shows (another PID namespace)."""
JOB = "berth.job"
"""The label of a queue's container, on hosts and in clusters."""
RUNNING = frozenset({"running", "paused", "restarting"})
"""States in which a container has processes."""


def claims(host: HostSnapshot) -> dict[str, list[Container]]:
    """GPU uuid -> running containers that were given it.

    A container that was given *all* of several GPUs claims none of them: on shared machines that is how
    people start a container that may use any GPU, not how they reserve eight. A queue's job did reserve them.
    """
    total = len(host.gpu_report.gpus) if host.gpu_report else 0
    found: dict[str, list[Container]] = {}
    for container in host.containers or ():
        may_use_any = total > 1 and len(container.gpus) >= total and JOB not in container.labels
        if container.state in RUNNING and not may_use_any:
            for uuid in container.gpus:
                found.setdefault(uuid, []).append(container)
    return found


def gpu_rows(host: HostSnapshot) -> list[GpuRow]:
    """The rows of one host's GPUs, by index."""
    if host.gpu_report is None:
        return []
    by_id = {container.id: container for container in host.containers or ()}
    processes: dict[str, list[GpuProcess]] = {}
    for process in host.processes:
        processes.setdefault(process.gpu, []).append(process)
    claimed = claims(host)
    return [
        gpu_row(host, gpu, processes.get(gpu.uuid, []), claimed.get(gpu.uuid, []), by_id)
        for gpu in sorted(host.gpu_report.gpus, key=lambda gpu: (gpu.vendor, gpu.index))
    ]


def gpu_row(
    host: HostSnapshot,
    gpu: Gpu,
    processes: Sequence[GpuProcess],
    claimed_by: Sequence[Container],
    by_id: Mapping[str, Container],
) -> GpuRow:
    """The row of one GPU, with who is on it."""
    using = [by_id[p.container] for p in processes if p.container is not None and p.container in by_id]
    owners = [_user_of(process, by_id) for process in processes] or [c.owner or "" for c in claimed_by]
    free = not (
        host.stale
        or gpu.error
        or processes
        or claimed_by
        or gpu.util_percent
        or (gpu.mem_used or 0) > FREE_MEMORY
    )
    return GpuRow(
        host=host.name,
        index=gpu.index,
        uuid=gpu.uuid,
        vendor=gpu.vendor,
        name=gpu.name,
        arch=gpu.arch or None,
        util_percent=gpu.util_percent,
        mem_used=gpu.mem_used,
        mem_total=gpu.mem_total,
        temp_c=gpu.temp_c,
        power_w=gpu.power_w,
        power_limit_w=gpu.power_limit_w,
        free=free,
        idle_since=gpu.idle_since,
        processes=tuple(_process_row(process, by_id) for process in processes),
        containers=_unique(container.name for container in [*using, *claimed_by]),
        owners=_unique(owner for owner in owners if owner),
        numa_node=gpu.numa_node,
        error=gpu.error or None,
        stale=host.stale,
    )


def _user_of(process: GpuProcess, by_id: Mapping[str, Container]) -> str:
    """Who a GPU process belongs to: inside a container the unix user is often root and says nothing."""
    container = by_id.get(process.container or "")
    return (container.owner if container else None) or process.user


def _process_row(process: GpuProcess, by_id: Mapping[str, Container]) -> ProcessRow:
    container = by_id.get(process.container or "")
    return ProcessRow(
        pid=process.pid,
        user=_user_of(process, by_id),
        command=process.command,
        mem_used=process.mem_used,
        container=container.name if container else (process.container or "")[:12] or None,
        job=container.labels.get(JOB) if container else None,
        started_at=process.started_at,
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
