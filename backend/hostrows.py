"""A host's snapshot -> its row."""

from __future__ import annotations

from collections.abc import Sequence

from backend.gpurows import gpu_rows
from backend.model import Container, Disk, HostRow, HostSnapshot, HostState


def host_row(host: HostSnapshot) -> HostRow:
    """The row of one host. GPUs of a host that is not up are never called free."""
    stats, engine, up = host.stats, host.engine, host.state is HostState.UP
    gpus = gpu_rows(host) if host.gpu_report else None
    disk = fullest(host.disks)
    error = host.error
    return HostRow(
        name=host.name,
        address=host.address,
        state=host.state,
        error=f"{error.message} {error.hint}".strip() if error else None,
        warnings=tuple(f"{warning.message} {warning.hint}".strip() for warning in host.warnings),
        engine=(engine.kind or None) if engine else None,
        engine_version=(engine.version or None) if engine else None,
        engine_state=engine.state if engine else None,
        cpus=host.hello.cpus if host.hello else None,
        cpu_percent=stats.cpu_percent if stats else None,
        load1=stats.load1 if stats else None,
        mem_used=stats.mem_used if stats else None,
        mem_total=stats.mem_total if stats else None,
        disk_used=disk.used if disk else None,
        disk_total=disk.total if disk else None,
        gpus=len(gpus) if gpus is not None else None,
        gpus_free=sum(gpu.free for gpu in gpus) if gpus is not None and up else None,
        gpu_utils=tuple(gpu.util_percent for gpu in gpus or ()),
        gpu_names=tuple(gpu.name for gpu in gpus or ()),
        containers_running=running(host.containers),
        containers_total=len(host.containers) if host.containers is not None else None,
        latency_ms=host.latency_ms if up else None,
        tags=host.tags,
        comment=host.comment,
        type=host.type,
        seen_at=host.seen_at,
        retry_at=host.retry_at,
    )


def running(containers: Sequence[Container] | None) -> int | None:
    """How many of them run; None while the engine has not told."""
    if containers is None:
        return None
    return sum(container.state == "running" for container in containers)


def fullest(disks: Sequence[Disk]) -> Disk | None:
    """The file system that will be full first, by the share in use; homes do not stop a host."""
    matter = [disk for disk in disks if disk.role in ("root", "engine") and disk.total]
    return max(matter, key=lambda disk: disk.used / disk.total, default=None)
