"""`berth doctor` on a login node: does Slurm answer, who takes jobs, which GPUs and old jobs does it know."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from backend.model import ClusterNode, ClusterPartition
from backend.queues.slurm.asking import Cluster
from backend.queues.slurm.client import complaint
from backend.queues.slurm.nodes import takes_jobs

if TYPE_CHECKING:
    from backend.config import HostConfig
    from backend.link import Link

_MANY = 6
"""Of a list, in a sentence."""


class Finding(NamedTuple):
    """What one step came to; as `backend.doctor.Check`."""

    step: str
    ok: bool | None
    message: str
    hint: str = ""


async def examine(host: HostConfig, link: Link) -> AsyncIterator[Finding]:
    """Steps slurm, partitions, GRES, accounting, runtimes; those behind one that fails are left out.

    Raises `BerthError` where a program cannot be run at all.
    """
    from backend.queues.slurm.watch import OneLink

    cluster = Cluster(host, OneLink(link))
    found, config = await _controller(cluster)
    yield found
    if not found.ok:
        return
    nodes, partitions = await cluster.cluster()
    yield _partitions(nodes, partitions)
    yield _gres(nodes)
    yield await _accounting(cluster, config)
    yield await _runtimes(cluster)


async def _controller(cluster: Cluster) -> tuple[Finding, dict[str, str]]:
    done = await cluster.client.try_(["scontrol", "ping"])
    said = re.findall(r"at (\S{1,80}) is (UP|DOWN)", done.stdout.decode(errors="replace"))
    words = ", ".join(f"{name} is {state.lower()}" for name, state in said[:_MANY])
    if not any(state == "UP" for _, state in said):
        where = f"On {said[0][0]}" if said else "On the controller"
        hint = (
            f"{where}: sudo systemctl status slurmctld munge. munge has to run here too, with the same key."
        )
        return Finding("slurm", False, f"slurmctld does not answer: {words or complaint(done)}", hint), {}
    config = await cluster.config()
    name, version = config.get("ClusterName", ""), config.get("SLURM_VERSION", "of unknown version")
    return Finding("slurm", True, ", ".join(filter(None, (name, f"Slurm {version}", words)))), config


def _partitions(nodes: Sequence[ClusterNode], partitions: Sequence[ClusterPartition]) -> Finding:
    parts = [_partition(each) for each in partitions]
    out = [node for node in nodes if not takes_jobs(node)]
    parts += [f"node {node.name} is {node.state}" + _because(node) for node in out[:_MANY]]
    if len(out) > _MANY:
        parts.append(f"and {len(out) - _MANY} more nodes take no jobs")
    message = ", ".join(parts) or "there is none"
    names = ",".join(node.name for node in out[:_MANY])
    hint = ""
    if out:
        hint = f"Why: sinfo -R. An operator mends it: scontrol update NodeName={names} State=RESUME"
    elif not all(each.state == "up" for each in partitions):
        hint = "An operator opens a partition: scontrol update PartitionName=NAME State=UP"
    if not any(each.state == "up" for each in partitions) or len(out) == len(nodes):
        return Finding("partitions", False, message, hint)
    return Finding("partitions", None if hint else True, message, hint)


def _partition(each: ClusterPartition) -> str:
    size = f"{each.nodes} node{'' if each.nodes == 1 else 's'}"
    state = "" if each.state == "up" else f" is {each.state}"
    return f"{each.name} ({'default, ' if each.default else ''}{size}){state}"


def _because(node: ClusterNode) -> str:
    return f" ({node.reason})" if node.reason else ""


def _gres(nodes: Sequence[ClusterNode]) -> Finding:
    kinds: Counter[str] = Counter()
    for node in nodes:
        kinds[node.gpu_type or "gpu"] += node.gpus
    total = sum(kinds.values())
    if not total:
        hint = "If its nodes have GPUs: GresTypes=gpu in slurm.conf, and a line for each node in gres.conf."
        return Finding("GRES", None, "Slurm knows no GPU here", hint)
    where = sum(bool(node.gpus) for node in nodes)
    free = sum(max(0, node.gpus - node.gpus_used) for node in nodes if takes_jobs(node))
    what = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common(_MANY) if count)
    return Finding("GRES", True, f"{what} on {where} node{'' if where == 1 else 's'}, {free} free")


async def _accounting(cluster: Cluster, config: dict[str, str]) -> Finding:
    kind = config.get("AccountingStorageType", "").rpartition("/")[2]
    if kind in ("", "none", "(null)"):
        age = config.get("MinJobAge", "some minutes").replace(" sec", " s")
        hint = "For a history Slurm needs slurmdbd, and AccountingStorageType=accounting_storage/slurmdbd."
        return Finding("accounting", None, f"none: Slurm forgets ended jobs after {age}", hint)
    place = f"{kind} on {config.get('AccountingStorageHost', 'localhost')}"
    if await cluster.has_history():
        return Finding("accounting", True, f"a database keeps ended jobs ({place})")
    hint = f"Does {place} run? On the login node: sacctmgr show cluster."
    return Finding("accounting", False, f"{place} does not answer: nothing is told of older jobs", hint)


async def _runtimes(cluster: Cluster) -> Finding:
    """By srun's own help, where plugins add their options."""
    done = await cluster.client.try_(["srun", "--help"])
    told = done.stdout.decode(errors="replace")
    has = {"pyxis": "--container-image" in told, "EDF": "--environment" in told}
    words = ", ".join(f"{name}: {'yes' if there else 'no'}" for name, there in has.items())
    message = f"docker where the nodes have it; {words}"
    return Finding("runtimes", True if any(has.values()) else None, message)
