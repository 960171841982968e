"""The machine itself where there is no /proc (macOS), by psutil."""

from __future__ import annotations

import os
import time
from typing import Any

_NOT_OURS = ("lo", "bridge", "vmenet", "utun", "awdl", "llw", "gif", "stf", "anpi")


class PsutilHostProbe:
    """Section `host`. Raises ImportError where psutil is missing."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._psutil.cpu_percent(None)
        self._last_net: tuple[float, int, int] | None = None
        self.mem_total = int(psutil.virtual_memory().total)
        """Bytes."""
        self._first = True

    def sample(self) -> dict[str, Any]:
        """The wire's HostStats."""
        memory, swap = self._psutil.virtual_memory(), self._psutil.swap_memory()
        load = os.getloadavg()
        out: dict[str, Any] = {
            "mem_used": int(memory.total - memory.available),
            "mem_total": int(memory.total),
            "swap_used": int(swap.used),
            "swap_total": int(swap.total),
            "load1": round(load[0], 2),
            "load5": round(load[1], 2),
            "load15": round(load[2], 2),
        }
        percent = self._psutil.cpu_percent(None)
        if not self._first:
            out["cpu_percent"] = min(100.0, max(0.0, float(percent)))
        self._first = False
        self._add_net(out)
        return out

    def _add_net(self, out: dict[str, Any]) -> None:
        counters = self._psutil.net_io_counters(pernic=True)
        ours = [value for name, value in counters.items() if not name.startswith(_NOT_OURS)]
        received, sent = sum(nic.bytes_recv for nic in ours), sum(nic.bytes_sent for nic in ours)
        now = time.monotonic()
        if self._last_net is not None and now > self._last_net[0]:
            before, rx, tx = self._last_net
            out["net_rx"] = max(0, int((received - rx) / (now - before)))
            out["net_tx"] = max(0, int((sent - tx) / (now - before)))
        self._last_net = (now, received, sent)


def boot_seconds() -> float | None:
    """When the machine started, unix time; None without psutil."""
    try:
        import psutil

        return float(psutil.boot_time())
    except Exception:
        return None
