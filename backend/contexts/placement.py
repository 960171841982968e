"""Which GPUs and CPUs of a host a container gets: free ones, on one NUMA node where that is possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.errors import ActionFailed, UsageError
from backend.model import GpuRow


@dataclass(frozen=True)
class Placement:
    """What was chosen, and why, in words for people."""

    gpus: tuple[GpuRow, ...] = ()
    all_gpus: bool = False
    """Every GPU was asked for, whatever their number."""
    node: int | None = None
    """NUMA node all of them share; None where they do not, or nobody knows."""
    cpuset: str = ""
    """CPUs as `cpuset-cpus` takes them; empty: no limit."""
    why: tuple[str, ...] = ()


def choose(
    host: str,
    rows: Sequence[GpuRow],
    wanted: str | int | tuple[str, ...] | None,
    cpuset: str | None = None,
    node_cpus: Mapping[int, str] | None = None,
) -> Placement:
    """Choose GPUs and CPUs on a host with these GPUs.

    `wanted` is a context's `gpus`, `cpuset` its `cpuset` (`auto`: the CPUs of the GPUs' node), `node_cpus`
    the CPU list of each NUMA node as /sys/devices/system/node/nodeN/cpulist has it. Raises `ActionFailed`
    where the host cannot give what is asked.
    """
    gpus, all_gpus, why = _gpus(host, rows, wanted)
    nodes = {row.numa_node for row in gpus}
    node = next(iter(nodes)) if len(nodes) == 1 else None
    if len(nodes) > 1:
        places = ", ".join(f"GPU {row.index} on node {row.numa_node}" for row in gpus)
        why.append(f"The GPUs lie on different NUMA nodes: {places}; traffic between them crosses sockets.")
    if cpuset != "auto":
        return Placement(gpus, all_gpus, node, cpuset or "", tuple(why))
    cpus = (node_cpus or {}).get(node, "") if node is not None else ""
    if cpus:
        why.append(f"CPUs {cpus}: they are on NUMA node {node}, as its GPUs are.")
    else:
        reason = "there are no GPUs to be near to" if not gpus else "their NUMA node is not known or not one"
        why.append(f"No CPU is preferred: {reason}.")
    return Placement(gpus, all_gpus, node, cpus, tuple(why))


def _gpus(
    host: str, rows: Sequence[GpuRow], wanted: str | int | tuple[str, ...] | None
) -> tuple[tuple[GpuRow, ...], bool, list[str]]:
    if not wanted:
        return (), False, []
    if not rows:
        raise ActionFailed(f"{host} has no GPU that berth can see.", hint=f"Try: berth doctor {host}")
    if wanted == "all":
        return tuple(rows), True, [f"All {len(rows)} GPUs, as asked."]
    if isinstance(wanted, int):
        return _some(host, rows, wanted)
    names = (wanted,) if isinstance(wanted, str) else wanted
    return tuple(_named(host, rows, name) for name in dict.fromkeys(names)), False, []


def _named(host: str, rows: Sequence[GpuRow], name: str) -> GpuRow:
    """The GPU of that index, UUID, or unmistakable beginning of a UUID."""
    if name.isdigit():
        found = [row for row in rows if row.index == int(name)]
    else:
        found = [row for row in rows if row.uuid.lower().startswith(name.lower())]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{row.index} ({row.uuid})" for row in rows)
    problem = f"{len(found)} GPUs of {host} are called {name}" if found else f"{host} has no GPU {name}"
    raise ActionFailed(f"{problem}.", hint=f"It has: {there}.")


def _some(host: str, rows: Sequence[GpuRow], count: int) -> tuple[tuple[GpuRow, ...], bool, list[str]]:
    if count < 0:
        raise UsageError(f"{count} GPUs cannot be given.")
    if count > len(rows):
        raise ActionFailed(f"{count} GPUs were asked for, {host} has {len(rows)}.", hint="See: berth gpus")
    ordered = sorted(rows, key=lambda row: (not row.free, row.index))
    by_node: dict[int | None, list[GpuRow]] = {}
    for row in ordered:
        by_node.setdefault(row.numa_node, []).append(row)
    # The node with the fewest free GPUs that still suffice: larger holes stay whole for larger wishes.
    fits = [
        (sum(row.free for row in group), node if node is not None else -1, group[:count])
        for node, group in by_node.items()
        if sum(row.free for row in group) >= count
    ]
    if fits:
        _, node, chosen = min(fits, key=lambda fit: fit[:2])
        where = f" on NUMA node {node}" if node >= 0 else ""
        return tuple(chosen), False, [f"GPU {_indices(chosen)}: free, together{where}."]
    chosen = ordered[:count]
    busy = [row for row in chosen if not row.free]
    why = [f"GPU {_indices(chosen)}: no {count} free ones share a NUMA node."]
    if busy:
        who = ", ".join(f"{row.index} ({', '.join(row.owners) or 'in use'})" for row in busy)
        why.append(f"Not free: {who}.")
    return tuple(chosen), False, why


def _indices(rows: Sequence[GpuRow]) -> str:
    return ", ".join(str(row.index) for row in rows)
