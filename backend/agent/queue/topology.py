"""The CPUs a job may be given: which there are, on which NUMA node, and which share a core.

Files as in the kernel's Documentation/ABI/stable/sysfs-devices-node and admin-guide/cputopology.rst.
"""

from __future__ import annotations

import os
from typing import Dict, List, Set, Tuple

from .machine import Cpu

_LIMIT = 65536
"""No machine has CPUs of higher numbers; a file that says so is not believed."""


class Topology:
    """Reads the CPUs; what cannot change while the set is the same is read once."""

    def __init__(self, proc: str = "/proc", sysfs: str = "/sys") -> None:
        self._proc = proc
        self._sysfs = sysfs
        self._key: Tuple[str, str] = ("", "")
        self._cpus: Tuple[Cpu, ...] = ()

    def read(self) -> Tuple[Cpu, ...]:
        """All CPUs that are on and that containers may use, by number.

        The mask of process 1 counts, not our own: the answer must not depend on who happens to ask. It leaves
        out isolated CPUs, and in a virtual host those of its neighbours.
        """
        online = _text(f"{self._sysfs}/devices/system/cpu/online")
        allowed = _allowed(f"{self._proc}/1/status") or _allowed(f"{self._proc}/self/status")
        if (online, allowed) != self._key or not self._cpus:
            self._key = (online, allowed)
            self._cpus = self._read(numbers(online), numbers(allowed))
        return self._cpus

    def _read(self, online: List[int], allowed: List[int]) -> Tuple[Cpu, ...]:
        ids = sorted(set(online or allowed or range(os.cpu_count() or 1)) & set(allowed or online))
        ids = ids or online or list(range(os.cpu_count() or 1))
        nodes = self._nodes()
        return tuple(Cpu(one, nodes.get(one, 0), self._core(one)) for one in ids)

    def _nodes(self) -> Dict[int, int]:
        folder = f"{self._sysfs}/devices/system/node"
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return {}
        return {
            cpu: int(name[4:])
            for name in names
            if name.startswith("node") and name[4:].isdigit()
            for cpu in numbers(_text(f"{folder}/{name}/cpulist"))
        }

    def _core(self, cpu: int) -> int:
        """Named by the lowest of its threads: `core_id` is unique within one socket only."""
        folder = f"{self._sysfs}/devices/system/cpu/cpu{cpu}/topology"
        # the second is what Linux before 5.3 has
        found = numbers(_text(f"{folder}/core_cpus_list")) or numbers(_text(f"{folder}/thread_siblings_list"))
        return min(found, default=-1)


def numbers(text: str) -> List[int]:
    """`0-3,8` as the kernel writes lists; what is no such list has none."""
    found: Set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit() and (last or first).isdigit() and int(last or first) < _LIMIT:
            found.update(range(int(first), int(last or first) + 1))
    return sorted(found)


def _allowed(path: str) -> str:
    for line in _text(path).splitlines():
        if line.startswith("Cpus_allowed_list:"):
            return line.partition(":")[2].strip()
    return ""


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(65536).decode("ascii", "replace").strip()
    except OSError:
        return ""
