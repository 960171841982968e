"""Which GPUs and which CPUs: near each other, and leaving whole what is whole. Pure and deterministic."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Sequence, Tuple

from .machine import Cpu, Gpu


def choose_gpus(free: Sequence[Gpu], count: int, cpus: int, near: Mapping[int, int]) -> Tuple[Gpu, ...]:
    """`count` of the GPUs in `free`, of one NUMA node if any has enough, by number.

    Of several such nodes the one with enough CPUs (`near`: node -> free CPUs), then the one with the fewest
    free GPUs, so that larger free blocks stay whole. Else over as few nodes as possible.
    """
    nodes = _by_node(free)
    chosen: List[Gpu] = []
    while len(chosen) < count:
        missing = count - len(chosen)
        enough = [node for node in nodes if len(nodes[node]) >= missing]
        if enough:
            node = min(enough, key=lambda one: (near.get(one, 0) < cpus, len(nodes[one]), one))
        else:
            node = min(nodes, key=lambda one: (-len(nodes[one]), one))
        chosen += nodes.pop(node)[:missing]
    return tuple(sorted(chosen, key=_order))


def choose_cpus(
    free: Iterable[Cpu], count: int, gpus: Sequence[Gpu], spare: Sequence[Gpu]
) -> Tuple[int, ...]:
    """`count` of the CPUs in `free`, near `gpus`; whole cores first, then threads of cores in use.

    A job without GPUs stays away from the nodes of GPUs that are still free (`spare`): their jobs will want
    those CPUs. Of the others it takes the node with the fewest free CPUs that suffices.
    """
    nodes: Dict[int, Dict[int, List[int]]] = {}
    left: Dict[int, int] = {}
    for cpu in free:
        core = cpu.core if cpu.core >= 0 else -1 - cpu.id
        nodes.setdefault(cpu.node, {}).setdefault(core, []).append(cpu.id)
        left[cpu.node] = left.get(cpu.node, 0) + 1
    wanted = _count_by_node(gpus)
    waiting = {} if gpus else _count_by_node(spare)
    chosen: List[int] = []
    if len(wanted) > 1:  # each node's GPUs are fed from their own side
        for node in sorted(set(wanted) & set(left)):
            share = min(count * wanted[node] // len(gpus), left[node])
            chosen += _taken(nodes[node], share)
            left[node] -= share
    while len(chosen) < count and left:
        missing = count - len(chosen)

        def rank(node: int, missing: int = missing) -> Tuple[int, bool, int, int, int]:
            size = left[node]
            enough = size >= missing
            return (-wanted.get(node, 0), not enough, waiting.get(node, 0), size if enough else -size, node)

        node = min(left, key=rank)
        chosen += _taken(nodes[node], min(missing, left.pop(node)))
    return tuple(sorted(chosen))


def _taken(cores: Dict[int, List[int]], count: int) -> List[int]:
    """Take `count` threads out of `cores`: whole cores while they fit, the rest where least is broken."""
    chosen = _of_cores(cores, count)
    gone = set(chosen)
    for core in [core for core, ids in cores.items() if not gone.isdisjoint(ids)]:
        cores[core] = [one for one in cores[core] if one not in gone]
        if not cores[core]:
            del cores[core]
    return chosen


def _of_cores(cores: Dict[int, List[int]], count: int) -> List[int]:
    threads = max((len(ids) for ids in cores.values()), default=0)
    order = sorted(cores.values(), key=lambda ids: (-len(ids), min(ids)))
    chosen: List[int] = []
    rest: List[List[int]] = []
    for ids in order:
        if len(ids) == threads and count - len(chosen) >= threads:
            chosen += ids
        else:
            rest.append(ids)
    while len(chosen) < count:
        missing = count - len(chosen)
        ids = min(rest, key=lambda one: (len(one) < missing, abs(len(one) - missing), min(one)))
        rest.remove(ids)
        chosen += sorted(ids)[:missing]
    return chosen


def _by_node(gpus: Iterable[Gpu]) -> Dict[int, List[Gpu]]:
    nodes: Dict[int, List[Gpu]] = {}
    for gpu in sorted(gpus, key=_order):
        nodes.setdefault(gpu.node, []).append(gpu)
    return nodes


def _count_by_node(gpus: Iterable[Gpu]) -> Dict[int, int]:
    counts: Dict[int, int] = {}
    for gpu in gpus:
        counts[gpu.node] = counts.get(gpu.node, 0) + 1
    return counts


def _order(gpu: Gpu) -> Tuple[int, str]:
    return (gpu.number, gpu.id)
