"""How the GPUs of a host reach each other, and which CPUs are near them: section `topology`.

None of it changes while a driver is loaded, so it is read once. NVIDIA: NVML's own answers, the ones that
`nvidia-smi topo -m` shows. AMD: XGMI links from KFD's topology (the kernel's kfd_topology.c), and for the
rest the way between two PCI devices in sysfs.
"""

from __future__ import annotations

import os
import re
from functools import partial
from itertools import combinations, takewhile
from typing import Any

from .amd import kfd_properties
from .nvidia import maybe, read, text

LEVELS = {0: "PSB", 10: "PIX", 20: "PXB", 30: "PHB", 40: "NODE", 50: "SYS"}
"""nvmlGpuTopologyLevel_t -> what nvidia-smi calls it."""
_MAX_LINKS = 36
_XGMI = 11
"""HSA_IOLINKTYPE_XGMI."""
_TEXT = 4096
_HOST_BRIDGE = re.compile(r"pci[0-9a-f]{4,}:[0-9a-f]{2}\Z")


def nvidia(nvml: Any, peers: list[Any]) -> list[dict[str, Any]]:
    """Links between NVIDIA GPUs: (UUID, PCI address, handle) of each. Nothing of a driver that fails."""
    lines = {uuid: _nvlinks(nvml, handle) for uuid, _, handle in peers}
    out = []
    for (a, bus_a, first), (b, bus_b, second) in combinations(peers, 2):
        level = LEVELS.get(maybe(partial(nvml.nvmlDeviceGetTopologyCommonAncestor, first, second)), "")
        count = max(lines[a].count(bus_b), lines[b].count(bus_a))
        if not count:  # to a switch all lines lead
            count = min(lines[a].count(""), lines[b].count(""))
        if count or level:
            out.append(_link(a, b, "nvlink" if count else "pcie", count, level))
    return out


def _nvlinks(nvml: Any, handle: Any) -> list[str]:
    """The PCI address behind each active NVLink; empty for that of a switch."""
    out = []
    for number in range(_MAX_LINKS):
        state = maybe(partial(nvml.nvmlDeviceGetNvLinkState, handle, number))
        if state is None:  # not supported, or no link of this number
            break
        if state:
            kind = maybe(partial(nvml.nvmlDeviceGetNvLinkRemoteDeviceType, handle, number))
            pci = maybe(partial(nvml.nvmlDeviceGetNvLinkRemotePciInfo, handle, number)) if kind != 2 else None
            out.append(text(pci.busId).lower() if pci is not None else "")
    return out


def amd(sysfs: str, peers: list[Any]) -> list[dict[str, Any]]:
    """Links between AMD GPUs: (UUID, PCI address, number of KFD's node) of each."""
    uuids = {node: uuid for uuid, _, node in peers}
    direct: set[Any] = set()
    for node in uuids:
        folder = f"{sysfs}/class/kfd/kfd/topology/nodes/{node}/io_links"
        for name in _names(folder):
            values = kfd_properties(_text(f"{folder}/{name}/properties"))
            to = values.get("node_to", -1)
            if values.get("type") == _XGMI and to in uuids:
                direct.add(frozenset((node, to)))
    out = []
    for (a, bus_a, first), (b, bus_b, second) in combinations(peers, 2):
        level = pci_level(sysfs, bus_a, bus_b)
        if frozenset((first, second)) in direct:
            out.append(_link(a, b, "xgmi", 1, level))
        elif level:
            out.append(_link(a, b, "pcie", 0, level))
    return out


def near(sysfs: str, bus: str) -> str:
    """The CPUs beside a PCI device, `0-47,96-143`; empty where the kernel does not say."""
    domain, _, rest = bus.partition(":")
    return _text(f"{sysfs}/bus/pci/devices/{domain[-4:]}:{rest}/local_cpulist")[:1000].strip()


def pci_level(sysfs: str, a: str, b: str) -> str:
    """What lies between two PCI devices, in nvidia-smi's words; empty where it cannot be told."""
    first, second = _way(sysfs, a), _way(sysfs, b)
    if not first or not second:
        return ""
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second)))
    if shared > 1:  # more than the host bridge: PCIe switches
        return "PIX" if max(len(first), len(second)) - shared <= 2 else "PXB"
    if shared:
        return "PHB"
    nodes = [read(f"{sysfs}/bus/pci/devices/{each}/numa_node") for each in (a, b)]
    return "NODE" if nodes[0] == nodes[1] and nodes[0].isdigit() else "SYS"


def _way(sysfs: str, bus: str) -> list[str]:
    """The bridges from the host's to a device: `pci0000:00`, `0000:00:01.0`, ..."""
    path = os.path.realpath(f"{sysfs}/bus/pci/devices/{bus}")
    parts = path.split("/")
    starts = [number for number, part in enumerate(parts) if _HOST_BRIDGE.match(part)]
    return parts[starts[-1] :] if starts and parts[-1] == bus else []


def _link(a: str, b: str, kind: str, count: int, level: str) -> dict[str, Any]:
    return {"a": a, "b": b, "kind": kind, "count": count, "level": level}


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_TEXT).decode("ascii", "replace").strip()
    except OSError:
        return ""
