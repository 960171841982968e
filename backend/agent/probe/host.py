"""The machine itself, from /proc."""

from __future__ import annotations

import os
import pwd
import re
import socket
import sys
import time
from typing import Any

from .. import PROTOCOL
from ..times import rfc3339
from .usage import Reader, net_bytes, stat_value

_NOT_OURS = tuple(b"lo veth docker br- cni podman virbr cali flannel tunl".split())
"""Interfaces that only carry what passes another one too, or never leaves the machine."""
_PRETTY = re.compile(r'^PRETTY_NAME=["\']?(.*?)["\']?$', re.M)


def hello(proc: str = "/proc", sysfs: str = "/sys") -> dict[str, Any]:
    """Section `hello`."""
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    name = os.uname()
    return {
        "protocol": PROTOCOL,
        "hostname": socket.gethostname()[:255],
        "os": _os_name()[:200],
        "kernel": name.release,
        "arch": name.machine,
        "python": ".".join(map(str, sys.version_info[:3])),
        "cpus": os.cpu_count() or 0,
        "numa_nodes": _numa_nodes(sysfs),
        "user": user,
        "uid": uid,
        "pid": os.getpid(),
        "boot_time": _boot_time(proc),
    }


class HostProbe:
    """Section `host` from /proc; rates need two samples, the first has none."""

    def __init__(self, proc: str = "/proc") -> None:
        self._stat = Reader(f"{proc}/stat", True)
        self._load = Reader(f"{proc}/loadavg", True)
        self._memory = Reader(f"{proc}/meminfo", True)
        self._net = Reader(f"{proc}/net/dev", True)
        self._last_cpu: tuple[int, int] | None = None
        self._last_net: tuple[float, int, int] | None = None
        self.mem_total = 0
        """Bytes, after the first sample."""
        self._memory.read(64)  # where there is no /proc this fails at once, and psutil takes over

    def sample(self) -> dict[str, Any]:
        """The wire's HostStats."""
        out: dict[str, Any] = {}
        memory = meminfo(self._memory.read(8192))
        self.mem_total = memory["mem_total"]
        out.update(memory)
        loads = self._load.read().split()
        out["load1"], out["load5"], out["load15"] = (float(load) for load in loads[:3])
        cpu = cpu_times(self._stat.read(512))
        if self._last_cpu is not None and cpu[1] > self._last_cpu[1]:
            busy, total = cpu[0] - self._last_cpu[0], cpu[1] - self._last_cpu[1]
            out["cpu_percent"] = round(min(100.0, max(0.0, 100.0 * busy / total)), 1)
        self._last_cpu = cpu
        now, (received, sent) = time.monotonic(), net_bytes(self._net.read(1 << 18), _NOT_OURS)
        if self._last_net is not None and now > self._last_net[0]:
            before, rx, tx = self._last_net
            if received >= rx and sent >= tx:  # an interface that went away takes its count with it
                out["net_rx"] = int((received - rx) / (now - before))
                out["net_tx"] = int((sent - tx) / (now - before))
        self._last_net = (now, received, sent)
        return out


def cpu_times(text: bytes) -> tuple[int, int]:
    """(busy, all) ticks of all CPUs from /proc/stat. Guest time is already inside user; iowait is idle."""
    fields = [int(field) for field in text.split(b"\n", 1)[0].split()[1:9]]
    total = sum(fields)
    return total - fields[3] - fields[4], total


def meminfo(text: bytes) -> dict[str, int]:
    """Memory and swap in bytes from /proc/meminfo. Kernels before 3.14 have no MemAvailable."""
    fields: dict[bytes, int] = {}
    for line in text.split(b"\n"):
        name, _, rest = line.partition(b":")
        number = rest.split()
        if number and number[0].isdigit():
            fields[name] = int(number[0]) * 1024
    total = fields.get(b"MemTotal", 0)
    loose = fields.get(b"MemFree", 0) + fields.get(b"Buffers", 0) + fields.get(b"Cached", 0)
    available = fields.get(b"MemAvailable", loose)
    swap = fields.get(b"SwapTotal", 0)
    return {
        "mem_used": max(0, total - available),
        "mem_total": total,
        "swap_used": max(0, swap - fields.get(b"SwapFree", 0)),
        "swap_total": swap,
    }


def _os_name() -> str:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                match = _PRETTY.search(file.read(16384))
        except OSError:
            continue
        if match:
            return match.group(1)
    if sys.platform == "darwin":
        import platform

        return f"macOS {platform.mac_ver()[0]}"
    return os.uname().sysname


def _numa_nodes(sysfs: str) -> int:
    try:
        names = os.listdir(f"{sysfs}/devices/system/node")
    except OSError:
        return 1
    return sum(name.startswith("node") and name[4:].isdigit() for name in names) or 1


def _boot_time(proc: str) -> str | None:
    try:
        with open(f"{proc}/stat", "rb") as file:
            seconds = stat_value(file.read(1 << 20), b"btime")
    except OSError:
        return None
    return rfc3339(seconds) if seconds else None
