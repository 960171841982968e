"""The cluster on the page of its login node: where GPUs are free, and what state the nodes are in."""

from __future__ import annotations

from backend import text as words
from backend.model import ClusterNode, ClusterPartition, ClusterReport, HostSnapshot
from backend.queues.slurm.nodes import takes_jobs
from tui import cells
from tui.columns import Cell
from tui.detail.page import Sheet

_MOST = 200
"""Nodes that are shown; the busiest clusters have thousands."""


def show(sheet: Sheet, host: HostSnapshot) -> None:
    """Partitions, then nodes."""
    cluster = host.cluster
    if cluster is None:
        return
    able = [node for node in cluster.nodes if takes_jobs(node)]
    free = sum(node.gpus - node.gpus_used for node in able)
    total = sum(node.gpus for node in cluster.nodes)
    note = cells.join(cells.free(free, total), (("GPUs free", "dim"),)) if total else cells.EMPTY
    sheet.heading("Cluster", cells.join(cells.plain(cluster.name), note))
    if cluster.error:
        sheet.text((("! ", "bad"), *cells.plain(cluster.error)))
        if cluster.hint:
            sheet.text((("Try: ", "key"), *cells.plain(cluster.hint)))
    if cluster.version:
        history = "remembers ended jobs" if cluster.history else "forgets ended jobs after some minutes"
        sheet.field("slurm", cells.plain(cluster.version), ((history, "dim"),))
    sheet.table(
        ("PARTITION", "STATE", "GPUS FREE", "NODES", "TIME LIMIT"),
        [_partition(each) for each in cluster.partitions],
        ("left", "left", "right", "right", "right"),
    )
    _nodes(sheet, cluster)


def _partition(each: ClusterPartition) -> tuple[Cell, ...]:
    default = (("default", "dim"),) if each.default else cells.EMPTY
    return (
        cells.join(cells.plain(each.name), default, gap=" "),
        cells.plain(each.state, "" if each.state == "up" else "warn"),
        cells.free(each.gpus_free, each.gpus) if each.gpus else cells.EMPTY,
        cells.number(each.nodes),
        (("none", "dim"),) if each.time_limit is None else ((words.duration(each.time_limit), ""),),
    )


def _nodes(sheet: Sheet, cluster: ClusterReport) -> None:
    sheet.heading("Nodes", ((f"{len(cluster.nodes)}", "dim"),))
    sheet.table(
        ("NODE", "STATE", "GPUS FREE", "CPUS FREE", "MEM FREE", "WHY"),
        [_node(each) for each in cluster.nodes[:_MOST]],
        ("left", "left", "right", "right", "right"),
    )
    if len(cluster.nodes) > _MOST:
        sheet.text(((f"… {len(cluster.nodes) - _MOST} more: berth nodes", "dim"),))


def _node(each: ClusterNode) -> tuple[Cell, ...]:
    able = takes_jobs(each)
    return (
        cells.plain(each.name),
        cells.plain(each.state, "" if able else "warn"),
        cells.free(each.gpus - each.gpus_used if able else 0, each.gpus) if each.gpus else cells.EMPTY,
        cells.number(each.cpus - each.cpus_used if able else 0),
        cells.bare(cells.size(max(0, each.memory - each.memory_used) if able else 0)),
        cells.plain(each.reason, "dim") if each.reason else cells.plain(each.gpu_type, "dim"),
    )
