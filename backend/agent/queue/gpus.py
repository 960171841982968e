"""The GPUs of the host and who is on them, read in the background: a broken driver may never answer."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ..grants import HostGpus
from ..probe.amd import AmdProbe
from ..probe.nvidia import NvidiaProbe, has_nvidia_card
from ..probe.processes import ProcessFacts
from .machine import unix

_FIRST_WAIT = 10.0
"""Seconds. Without persistence mode the driver wakes up each GPU when it is first asked, one by one."""
_WAIT = 2.0
_ROOT_NAMESPACE = "pid:[4026531836]"
"""The machine's own PID namespace (PROC_PID_INIT_INO of the kernel)."""
_BYSTANDERS = frozenset(
    "Xorg X Xwayland gnome-shell gnome-remote-de kwin_x11 kwin_wayland sddm gdm-x-session lightdm "
    "nvidia-persistenced nv-hostengine nvidia-cuda-mps-server dcgm-exporter".split()
)
"""Programs that are on GPUs for the screen, or to watch and share them. They hold little, and all day long:
a GPU with only these is free. (MPS shows its clients as processes of their own.)"""


class Process(NamedTuple):
    """A process on a GPU."""

    gpu: str
    pid: int
    program: str
    user: str
    container: str
    """Full id; empty outside containers."""
    since: float
    """Unix time of its start; 0 where that is unknown."""
    visible: bool
    """Whether /proc knows it; from inside a PID namespace the driver's numbers say nothing."""


class Reading(NamedTuple):
    """What the drivers said."""

    gpus: Tuple[Dict[str, Any], ...] = ()
    """As on the wire."""
    processes: Tuple[Process, ...] = ()
    error: str = ""
    """Why GPUs may be missing from it."""


class GpuReader:
    """Keeps the drivers open; `read` is cheap while the last answer is young."""

    def __init__(self, load: Callable[[], Any], proc: str = "/proc", sysfs: str = "/sys") -> None:
        self._nvidia = NvidiaProbe(load, sysfs)
        self._amd = AmdProbe(sysfs)
        self._facts = ProcessFacts(proc)
        self._proc = proc
        self._sysfs = sysfs
        self._thread: Optional[threading.Thread] = None
        self._reading: Optional[Reading] = None
        self._fault = ""
        self._read_at = -1e9
        self._stuck = False

    @property
    def names(self) -> HostGpus:
        """What requests of containers can name; empty before the first answer."""
        known = HostGpus()
        known.nvidia, known.amd = self._nvidia.names, self._amd.names
        return known

    def read(self, max_age: float) -> Reading:
        """The answer of at most `max_age` seconds ago, without processes that have ended since.

        Waits a moment for a slow driver, once; while it does not answer, every GPU has an error.
        """
        now = time.monotonic()
        if self._thread is None and now - self._read_at > max_age:
            self._thread = threading.Thread(target=self._work, name="gpus", daemon=True)
            self._thread.start()
            self._stuck = False
        if self._thread is not None:
            if not self._stuck:
                self._thread.join(_WAIT if self._reading else _FIRST_WAIT)
            self._stuck = self._thread.is_alive()
            if not self._stuck:
                self._thread = None
        reading = self._reading or Reading(error="GPUs were not asked for yet")
        if self._stuck or self._fault:
            error = self._fault or "the GPU driver does not answer"
            gpus = tuple({**gpu, "error": gpu.get("error") or error} for gpu in reading.gpus)
            return Reading(gpus, (), error)
        return reading._replace(processes=tuple(one for one in reading.processes if self._alive(one)))

    def _work(self) -> None:
        """In the thread."""
        try:
            reading = self._ask()
        except Exception as error:
            self._fault = f"GPUs cannot be read: {error}"[:200]
        else:
            self._reading, self._fault = reading, ""
        self._read_at = time.monotonic()

    def _ask(self) -> Reading:
        gpus = [*self._nvidia.sample(), *self._amd.sample()]
        host = _link(f"{self._proc}/self/ns/pid") == _ROOT_NAMESPACE
        processes: List[Process] = []
        for gpu, pid, _ in [*self._nvidia.processes(), *self._amd.processes()]:
            facts = self._facts.facts(pid)
            program = _program(facts.get("command", ""))
            known = host or bool(facts)
            if program not in _BYSTANDERS:
                user, container = facts.get("user", ""), facts.get("container", "")
                since = unix(facts.get("started_at"))
                processes.append(Process(gpu, pid, program, user, container, since, known))
        error = self._nvidia.error
        if not gpus and not error and has_nvidia_card(self._sysfs):
            error = "NVIDIA's driver library is not there"
        return Reading(tuple(gpus), tuple(processes), error)

    def _alive(self, process: Process) -> bool:
        """Whether it is still there. A process that ended frees its GPU before the driver is asked again."""
        if not process.visible:
            return True
        try:
            with open(f"{self._proc}/{process.pid}/stat", "rb") as file:
                return file.read(2048).rpartition(b")")[2].split()[:1] not in ([b"Z"], [b"X"])
        except OSError:
            pass
        try:
            os.kill(process.pid, 0)  # /proc may hide other people's processes
        except ProcessLookupError:
            return False
        except OSError:
            pass
        return True


def _program(command: str) -> str:
    """`python` of `/usr/bin/python train.py`; what cannot be shown is left out."""
    name = (command.split(None, 1) or [""])[0].rpartition("/")[2]
    return "".join(char for char in name if char.isprintable())[:24]


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
