"""All GPUs of the host, whoever made them: sections `gpus`, `processes` and `topology`.

Sampling runs in a background thread. If it gets stuck in a driver, the report says so, and the GPUs come
back by themselves when the driver does.
"""

from __future__ import annotations

import os
import time
from typing import Any

from ..background import Worker
from ..emit import Outbox
from ..grants import HostGpus
from ..loop import Loop
from ..roster import Roster
from ..times import rfc3339
from .amd import AmdProbe
from .idle import IdleClock
from .nvidia import NvidiaProbe
from .processes import ProcessFacts

_PROCESSES_EVERY = 5.0
_STUCK = 15.0
_VALUES = ("util_percent", "mem_used", "temp_c", "power_w")


class GpuWatch:
    """Samples all GPUs and tells the roster which there are."""

    def __init__(self, loop: Loop, outbox: Outbox, roster: Roster) -> None:
        self._outbox = outbox
        self._roster = roster
        self._worker = Worker(loop, "gpus")
        self._sysfs = sysfs = os.environ.get("BERTH_SYSFS_ROOT") or "/sys"
        self._nvidia = NvidiaProbe(_load_nvml, sysfs)
        self._amd = AmdProbe(sysfs)
        self._facts = ProcessFacts()
        self._clocks: dict[str, IdleClock] = {}
        self._holders: set[str] = set()
        self._names: tuple[Any, Any] = ([], [])
        self._linked: tuple[Any, Any] = ([], [])
        """The GPUs whose links were told."""
        self._processes_at = -1e9
        self._last: dict[str, Any] = {"gpus": []}
        self.done = False
        """Whether there was a whole sample."""

    def tick(self) -> None:
        """Take a sample, unless the last one is still under way."""
        if not self._worker.busy:
            self._worker.run(self._sample, self._sampled)
        elif self._worker.busy_for > _STUCK:
            gpus = [{key: gpu[key] for key in gpu if key not in _VALUES} for gpu in self._last["gpus"]]
            self._send(
                {
                    **self._last,
                    "gpus": gpus,
                    "error": "The GPU driver does not answer.",
                    "hint": "Look at `dmesg | grep -iE 'xid|nvrm|amdgpu'`; often only a reboot helps.",
                }
            )

    def _topology(self, gpus: list[dict[str, Any]]) -> dict[str, Any] | None:
        """In the thread: links, and the CPUs beside each GPU, if there are other GPUs than last time."""
        names = (self._nvidia.names, self._amd.names)
        if names == self._linked or self._nvidia.error:
            return None
        from . import links

        self._linked = names
        places = [
            {"gpu": gpu["uuid"], "cpus": links.near(self._sysfs, gpu.get("bus_id", ""))} for gpu in gpus
        ]
        return {"gpus": places, "links": [*self._nvidia.links(), *self._amd.links()]}

    def _sample(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None, dict[str, Any] | None]:
        """In the thread: all GPUs, their processes if it is time, their links if they are new."""
        gpus = [*self._nvidia.sample(), *self._amd.sample()]
        topology = self._topology(gpus)
        now = time.monotonic()
        if now - self._processes_at < _PROCESSES_EVERY - 0.1:
            return gpus, None, topology
        self._processes_at = now
        processes = []
        for uuid, pid, used in [*self._nvidia.processes(), *self._amd.processes()]:
            process = {"gpu": uuid, "pid": pid, "mem_used": used, **self._facts.facts(pid)}
            processes.append({key: value for key, value in process.items() if value not in (None, "")})
        return gpus, processes, topology

    def _sampled(self, result: Any, error: BaseException | None) -> None:
        if error is not None:
            self._outbox.fault("gpus", error)
            self.done = True
            return
        gpus, processes, topology = result
        if topology is not None:
            self._outbox.section("topology", topology)
        if processes is not None:
            self._holders = {process["gpu"] for process in processes}
        now = time.time()
        for gpu in gpus:
            clock = self._clocks.setdefault(gpu["uuid"], IdleClock())
            clock.sample(now, gpu.get("util_percent"), gpu.get("mem_used"), gpu["uuid"] in self._holders)
            if clock.since is not None:
                gpu["idle_since"] = rfc3339(clock.since)
        names = (self._nvidia.names, self._amd.names)
        if names != self._names:
            self._names = names
            known = HostGpus()
            known.nvidia, known.amd = names
            self._roster.gpus_known(known)
        nvidia = self._nvidia
        self._last = {"gpus": gpus, "driver": nvidia.driver, "error": nvidia.error, "hint": nvidia.hint}
        self._send(self._last)
        if processes is not None:
            self._outbox.section("processes", processes)
        self.done = True

    def _send(self, report: dict[str, Any]) -> None:
        gpus = [
            {key: value for key, value in gpu.items() if value is not None and value != ""}
            for gpu in report["gpus"]
        ]
        self._outbox.section("gpus", {**{key: value for key, value in report.items() if value}, "gpus": gpus})


def _load_nvml() -> Any:
    from . import nvml_load  # ctypes and all that only where there may be a GPU

    return nvml_load.load()
