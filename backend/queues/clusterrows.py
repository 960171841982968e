"""What a cluster's jobs really do with their GPUs, where their nodes are hosts of the fleet too. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from backend.gpurows import gpu_rows
from backend.model import Container, FleetState, GpuRow, HostSnapshot, JobRow
from backend.queues.jobrows import measured


def with_gpus(rows: list[JobRow], state: FleetState) -> list[JobRow]:
    """The rows; those whose container is seen on its node with that container's GPUs and their load."""
    wanted = {row.node for row in rows if row.engine == "slurm" and row.container}
    if not wanted:
        return rows
    nodes = {node: host for host in state.hosts.values() for node in _names(host) if node in wanted}
    gpus: dict[str, dict[str, GpuRow]] = {}
    out = []
    for row in rows:
        host = nodes.get(row.node) if row.engine == "slurm" and row.container else None
        container = _container(host.containers or (), row.container) if host else None
        if host is None or container is None or not container.gpus:
            out.append(row)
            continue
        if host.name not in gpus:
            gpus[host.name] = {gpu.uuid: gpu for gpu in gpu_rows(host)}
        mine = [gpus[host.name][uuid] for uuid in container.gpus if uuid in gpus[host.name]]
        util, memory, idle = measured(mine, row.started_at)
        out.append(
            replace(row, gpu_uuids=container.gpus, util_percent=util, gpu_mem_used=memory, idle_since=idle)
        )
    return out


def _names(host: HostSnapshot) -> Iterable[str]:
    """What Slurm may call it: its own name, without the domain, or ours."""
    if host.hello is not None:
        yield host.hello.hostname.partition(".")[0]
    yield host.name


def _container(containers: Iterable[Container], name: str) -> Container | None:
    return next((each for each in containers if each.name == name and each.labels.get("berth.cluster")), None)
