"""How GPUs reach each other, in the words of `nvidia-smi topo -m`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from backend.model import GpuLink, GpuRow, GpuTopology

MEANINGS = {
    "PSB": "on one board",
    "PIX": "through one PCIe switch",
    "PXB": "through several PCIe switches",
    "PHB": "through the host bridge of a CPU",
    "NODE": "between host bridges of one NUMA node",
    "SYS": "between NUMA nodes: slowest",
}
"""What the levels of PCIe are."""


def name(link: GpuLink | None) -> str:
    """`NV18`, `XGMI`, `SYS`; a question mark for what is not known."""
    if link is None:
        return "?"
    if link.kind == "nvlink":
        return f"NV{link.count}"
    return "XGMI" if link.kind == "xgmi" else link.level[:8] or "?"


def meaning(short: str) -> str:
    """What a short name means."""
    if short.startswith("NV"):
        return f"{short[2:]} NVLinks"
    return "AMD's XGMI link" if short == "XGMI" else MEANINGS.get(short, "not known")


def between(topology: GpuTopology | None, a: str, b: str) -> GpuLink | None:
    """The link of two GPUs."""
    found = (link for link in (topology.links if topology else ()) if {link.a, link.b} == {a, b})
    return next(found, None)


def cpus(topology: GpuTopology | None, uuid: str) -> str:
    """The CPUs beside a GPU; empty while unknown."""
    return next((place.cpus for place in (topology.gpus if topology else ()) if place.gpu == uuid), "")


def matrix(topology: GpuTopology | None, rows: Sequence[GpuRow]) -> list[list[str]]:
    """Short names for each two of these GPUs, `-` for itself. Empty where nothing is known."""
    if topology is None or not topology.links or len(rows) < 2:
        return []
    by_pair = {frozenset((link.a, link.b)): link for link in topology.links}
    return [["-" if a is b else name(by_pair.get(frozenset((a.uuid, b.uuid)))) for b in rows] for a in rows]


def same(table: Sequence[Sequence[str]]) -> str:
    """The one short name that all pairs have, else empty."""
    names = {each for line in table for each in line} - {"-"}
    return names.pop() if len(names) == 1 else ""


def legend(table: Sequence[Sequence[str]]) -> list[str]:
    """What the short names of a table mean: `NV18: 18 NVLinks`."""
    names = dict.fromkeys(each for line in table for each in line if each not in ("-", "?"))
    return [f"{each}: {meaning(each)}" for each in names]
