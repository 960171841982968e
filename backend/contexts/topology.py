"""What a host's GPUs, CPUs and links are, and why a placement is as it is, in lines for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend import gpulinks
from backend.config import Context
from backend.contexts.placement import choose
from backend.errors import BerthError
from backend.model import GpuRow, GpuTopology
from backend.text import printable

COUNTS = (1, 2, 4, 8)
"""Numbers of GPUs for which it is said what would be chosen."""


def lines(
    host: str,
    rows: Sequence[GpuRow],
    node_cpus: Mapping[int, str],
    topology: GpuTopology | None,
    contexts: Sequence[tuple[Context, str]],
) -> list[str]:
    """The page. `contexts`: those that say `cpuset: auto`, each with the CPUs that its container has."""
    found = _nodes(rows, node_cpus, topology)
    found += _links(rows, topology)
    found += ["", "gpus: N takes free ones on one NUMA node, from the fullest node that suffices;"]
    found += ["cpuset: auto takes the CPUs of that node, so that copies to the GPU cross no socket. Now:"]
    for count in (each for each in COUNTS if each <= len(rows)):
        found += _chosen(f"{count} GPU{'' if count == 1 else 's'}", host, rows, count, node_cpus)
    for context, has in contexts:
        wanted = context.gpus
        title = f"context {context.name}" + (f", whose container has CPUs {has}" if has else "")
        found += _chosen(title, host, rows, wanted, node_cpus)
    return found


def _nodes(rows: Sequence[GpuRow], node_cpus: Mapping[int, str], topology: GpuTopology | None) -> list[str]:
    found = []
    for node in sorted({*node_cpus, *(row.numa_node for row in rows if row.numa_node is not None)}):
        found.append(f"NUMA node {node}: CPUs {node_cpus.get(node, 'unknown')}")
        found += [_gpu(row, topology, node_cpus.get(node, "")) for row in rows if row.numa_node == node]
    unknown = [row for row in rows if row.numa_node is None]
    if unknown:
        found.append("NUMA node not known")
        found += [_gpu(row, topology, "") for row in unknown]
    return found


def _gpu(row: GpuRow, topology: GpuTopology | None, of_node: str) -> str:
    cpus = gpulinks.cpus(topology, row.uuid)
    beside = f"  beside CPUs {printable(cpus, 100)}" if cpus and cpus != of_node else ""
    who = "free" if row.free else f"in use by {', '.join(row.owners)}" if row.owners else "in use"
    return f"   GPU {row.index}  {printable(row.name)}  {printable(who)}{beside}"


def _links(rows: Sequence[GpuRow], topology: GpuTopology | None) -> list[str]:
    table = gpulinks.matrix(topology, rows)
    if not table:
        return []
    if one := gpulinks.same(table):
        return ["", f"links: {one} between all of them, {gpulinks.meaning(one)}"]
    wide = max(len(each) for line in table for each in line) + 2
    heads = [f"GPU{row.index}" for row in rows]
    wide = max(wide, *(len(each) + 2 for each in heads))
    out = ["", "links".ljust(8) + "".join(each.ljust(wide) for each in heads).rstrip()]
    for head, line in zip(heads, table, strict=True):
        out.append(head.ljust(8) + "".join(printable(each).ljust(wide) for each in line).rstrip())
    return out + gpulinks.legend(table)


def _chosen(
    title: str, host: str, rows: Sequence[GpuRow], wanted: Any, node_cpus: Mapping[int, str]
) -> list[str]:
    try:
        why = choose(host, rows, wanted, "auto", node_cpus).why
    except BerthError as error:
        why = (str(error),)
    return [f"   {title}: {' '.join(printable(each) for each in why)}"]


def as_data(
    rows: Sequence[GpuRow], node_cpus: Mapping[int, str], topology: GpuTopology | None
) -> dict[str, Any]:
    """The same for `--json`."""
    index = {row.uuid: row.index for row in rows}
    return {
        "nodes": [{"node": node, "cpus": cpus} for node, cpus in sorted(node_cpus.items())],
        "gpus": [
            {
                "index": row.index,
                "uuid": row.uuid,
                "name": row.name,
                "numa_node": row.numa_node,
                "cpus": gpulinks.cpus(topology, row.uuid) or None,
                "free": row.free,
            }
            for row in rows
        ],
        "links": [
            {
                "a": index.get(link.a),
                "b": index.get(link.b),
                "kind": link.kind,
                "count": link.count,
                "level": link.level or None,
            }
            for link in (topology.links if topology else ())
        ],
    }
