"""AMD GPUs from the kernel alone: amdgpu's sysfs files, and KFD for names of architectures and processes.

No ROCm is needed. `pcie_bw` is never read: the kernel sleeps a second in it. Files as in the kernel's
Documentation/gpu/amdgpu/thermal.rst and drivers/gpu/drm/amd/amdkfd/kfd_topology.c.
"""

from __future__ import annotations

import os
import re
from typing import Any

_VENDOR = "0x1002"
_CARD = re.compile(r"card(\d+)\Z")
_RENDER = re.compile(r"renderD(\d+)\Z")
_RESCAN = 30
"""Samples between two looks for other cards."""


class AmdProbe:
    """All AMD GPUs below `sysfs`."""

    def __init__(self, sysfs: str = "/sys") -> None:
        self._sysfs = sysfs
        self._cards: list[_Card] = []
        self._samples = 0

    @property
    def names(self) -> list[tuple[int, str, str]]:
        """(index, id, render node) of each."""
        return [(card.index, card.uuid, card.render) for card in self._cards]

    def links(self) -> list[dict[str, Any]]:
        """The wire's GpuLink of each two."""
        from . import links

        return links.amd(self._sysfs, [(card.uuid, card.bus_id, card.node) for card in self._cards])

    def sample(self) -> list[dict[str, Any]]:
        """The wire's Gpu of each, by index."""
        if self._samples % _RESCAN == 0:
            self._scan()
        self._samples += 1
        return [card.sample() for card in self._cards]

    def processes(self) -> list[tuple[str, int, int | None]]:
        """(id, pid, bytes) of each process that KFD knows."""
        by_gpu_id = {card.gpu_id: card.uuid for card in self._cards if card.gpu_id}
        folder = f"{self._sysfs}/class/kfd/kfd/proc"
        out: list[tuple[str, int, int | None]] = []
        for pid in _names(folder) if by_gpu_id else ():
            if not pid.isdigit():
                continue
            for name in _names(f"{folder}/{pid}"):
                uuid = by_gpu_id.get(name[5:]) if name.startswith("vram_") else None
                if uuid is None:
                    continue
                used = _number(f"{folder}/{pid}/{name}")
                # every HIP process opens every GPU; one without memory on it does not hold it
                if used:
                    out.append((uuid, int(pid), used))
        return out

    def _scan(self) -> None:
        nodes = kfd_nodes(self._sysfs)
        cards = []
        for name in _names(f"{self._sysfs}/class/drm"):
            device = f"{self._sysfs}/class/drm/{name}/device"
            if _CARD.match(name) and _read(f"{device}/vendor") == _VENDOR:
                cards.append(_Card(device, nodes))
        # HIP and rocm-smi number GPUs as KFD does; a card KFD does not know (display only) comes last
        cards.sort(key=lambda card: (card.node, card.bus_id))
        known = {card.device: card for card in self._cards}
        self._cards = [known.get(card.device, card) for card in cards]
        for index, card in enumerate(self._cards):
            card.index = index


class _Card:
    """One GPU: where its files are, and what never changes."""

    def __init__(self, device: str, nodes: dict[int, tuple[int, str, str]]) -> None:
        self.device = device
        self.index = 0
        self.bus_id = os.path.basename(os.path.realpath(device)).lower()[:64]
        renders = [name for name in _names(f"{device}/drm") if _RENDER.match(name)]
        self.render = renders[0] if renders else ""
        minor = int(self.render[7:]) if self.render else -1
        self.node, self.gpu_id, self._arch = nodes.get(minor, (1 << 30, "", ""))
        unique = _read(f"{device}/unique_id")
        self.uuid = f"amd-{unique or self.bus_id}"[:200]
        model = _read(f"{device}/product_name") or _read(f"{device}/device").replace("0x", "")
        self._name = (model if model.upper().startswith("AMD") else f"AMD {model}".strip())[:200]
        hwmons = _names(f"{device}/hwmon")
        self._hwmon = f"{device}/hwmon/{hwmons[0]}" if hwmons else ""
        self._temperature = self._find_temperature()
        node = _number(f"{device}/numa_node")
        self._numa = node if node is not None and node >= 0 else None

    def sample(self) -> dict[str, Any]:
        """The wire's Gpu."""
        busy = _number(f"{self.device}/gpu_busy_percent")
        total = _number(f"{self.device}/mem_info_vram_total")
        watts = _number(f"{self._hwmon}/power1_average") or _number(f"{self._hwmon}/power1_input")
        cap = _number(f"{self._hwmon}/power1_cap")
        degrees = _number(self._temperature) if self._temperature else None
        return {
            "index": self.index,
            "uuid": self.uuid,
            "vendor": "amd",
            "name": self._name,
            "arch": self._arch,
            "util_percent": float(busy) if busy is not None and 0 <= busy <= 100 else None,
            "mem_used": _count(_number(f"{self.device}/mem_info_vram_used")),
            "mem_total": _count(total),
            "temp_c": round(degrees / 1000, 1) if degrees is not None else None,
            "power_w": round(watts / 1e6, 1) if watts else None,
            "power_limit_w": round(cap / 1e6, 1) if cap else None,
            "numa_node": self._numa,
            "bus_id": self.bus_id,
            "error": "" if total is not None else "The kernel does not answer for this GPU; look at `dmesg`.",
        }

    def _find_temperature(self) -> str:
        """The sensor at the edge; data centre cards have none there, but at the hottest junction."""
        labels = {}
        for name in sorted(_names(self._hwmon)) if self._hwmon else ():
            if name.startswith("temp") and name.endswith("_input"):
                path = f"{self._hwmon}/{name}"
                labels[_read(path[:-6] + "_label") or name] = path
        for label in ("edge", "junction", "temp1_input"):
            if label in labels:
                return labels[label]
        return next(iter(labels.values()), "")


def kfd_nodes(sysfs: str) -> dict[int, tuple[int, str, str]]:
    """Render minor -> (node number, gpu_id, `gfx942`) of KFD's topology."""
    folder = f"{sysfs}/class/kfd/kfd/topology/nodes"
    out = {}
    for name in _names(folder):
        if not name.isdigit():
            continue
        properties = kfd_properties(_read(f"{folder}/{name}/properties", 8192))
        version, minor = properties.get("gfx_target_version", 0), properties.get("drm_render_minor", 0)
        if version and minor:
            out[minor] = (int(name), _read(f"{folder}/{name}/gpu_id"), gfx_name(version))
    return out


def kfd_properties(text: str) -> dict[str, int]:
    """Lines of `name number`."""
    out = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.strip().isdigit():
            out[name] = int(value)
    return out


def gfx_name(version: int) -> str:
    """KFD's decimal MMmmss to LLVM's name: 90402 is gfx942, 90010 gfx90a, 110001 gfx1101."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _read(path: str, size: int = 256) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(size).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _number(path: str) -> int | None:
    try:
        return int(_read(path, 64))
    except ValueError:
        return None


def _count(value: int | None) -> int | None:
    return value if value is not None and value >= 0 else None
