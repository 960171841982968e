"""What sinfo prints -> nodes and partitions. Pure."""

from __future__ import annotations

import re

from backend.model import ClusterNode, ClusterPartition
from backend.queues.slurm.amounts import MB, count, gpus, known, records, span

NODE_FIELDS = (
    *("NodeHost", "StateLong", "Partition", "Available", "Time", "Gres", "GresUsed", "CPUsState"),
    *("Memory", "AllocMem", "Reason"),
)
"""Of sinfo --Node --Format, one line for each node and partition."""

_TAKES_JOBS = ("idle", "mixed", "allocated", "completing")


def cluster(host: str, output: str, end: str) -> tuple[list[ClusterNode], list[ClusterPartition]]:
    """sinfo's nodes in its order, and the partitions: the default one first, then by name."""
    lines = records(output, NODE_FIELDS, end)
    named: dict[str, dict[str, str]] = {}
    partitions: dict[str, list[dict[str, str]]] = {}
    member: dict[str, set[str]] = {}
    for each in lines:
        named.setdefault(each["NodeHost"], each)
        partitions.setdefault(each["Partition"], []).append(each)
        member.setdefault(each["NodeHost"], set()).add(each["Partition"].rstrip("*"))
    nodes = {name: _node(host, each, tuple(sorted(member[name]))) for name, each in named.items()}
    found = [
        _partition(host, name, each, [nodes[one["NodeHost"]] for one in each])
        for name, each in partitions.items()
    ]
    return list(nodes.values()), sorted(found, key=lambda each: (not each.default, each.name))


def _node(host: str, each: dict[str, str], partitions: tuple[str, ...]) -> ClusterNode:
    used, _, rest = each["CPUsState"].partition("/")  # allocated/idle/other/total
    kind = re.search(r"gpu:([A-Za-z][^:,(]*)", each["Gres"])
    return ClusterNode(
        host=host,
        name=each["NodeHost"],
        state=each["StateLong"].lower(),
        partitions=partitions,
        gpu_type=kind[1] if kind else "",
        gpus=gpus(known(each["Gres"])),
        gpus_used=gpus(known(each["GresUsed"])),
        cpus=count(rest.rpartition("/")[2]),
        cpus_used=count(used),
        memory=count(each["Memory"]) * MB,
        memory_used=count(each["AllocMem"]) * MB,
        reason=known(each["Reason"]).replace("none", "", 1) if each["Reason"] == "none" else each["Reason"],
    )


def _partition(
    host: str, name: str, lines: list[dict[str, str]], nodes: list[ClusterNode]
) -> ClusterPartition:
    return ClusterPartition(
        host=host,
        name=name.rstrip("*"),
        state=lines[0]["Available"].lower(),
        default=name.endswith("*"),
        time_limit=span(lines[0]["Time"]),
        nodes=len(nodes),
        gpus=sum(node.gpus for node in nodes),
        gpus_free=sum(max(0, node.gpus - node.gpus_used) for node in nodes if takes_jobs(node)),
    )


def takes_jobs(node: ClusterNode) -> bool:
    """Whether a job may start on it: `idle`, `mixed`, also `idle~` (asleep)."""
    return node.state.rstrip("~#%@^*") in _TAKES_JOBS and not node.state.endswith("*")
