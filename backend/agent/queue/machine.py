"""What a host has to give, and what of it is taken by things the queue did not start."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ..times import seconds_from_engine
from .jobs import LABEL_QUEUE

MAX_AGE = 2.0
"""Seconds. Asking the driver for processes costs milliseconds for each GPU, and slows down who computes."""
_RUNNING = frozenset({"running", "paused", "restarting"})
_NAME_LIMIT = 40
_REMEMBERED = 10_000
_Busy = Tuple[str, float]
"""(by whom, since when)."""


class Cpu(NamedTuple):
    """A logical CPU that may be used."""

    id: int
    node: int = 0
    """NUMA node."""
    core: int = -1
    """Physical core (threads of one core share it); -1 where unknown: the CPU counts as its own core."""


class Gpu(NamedTuple):
    """A GPU."""

    id: str
    """UUID."""
    number: int = 0
    """Its index on the host."""
    node: int = -1
    """NUMA node; -1 where unknown."""
    vendor: str = "nvidia"
    """`nvidia` or `amd`: decides how a container gets it."""
    devices: Tuple[str, ...] = ()
    """Device files of an AMD GPU (`/dev/kfd`, `/dev/dri/renderD128`)."""
    busy: str = ""
    """Who holds it apart from the queue, for people: `python (pid 123) of ann`, `container x of bob`."""
    broken: str = ""
    """Why it cannot be used at all (the driver cannot read it)."""
    since: float = 0.0
    """When it came to be busy or broken, in Unix time; 0 where that is unknown, which means long ago."""


class Machine(NamedTuple):
    """One host at one moment."""

    cpus: Tuple[Cpu, ...]
    gpus: Tuple[Gpu, ...] = ()
    memory: int = 0
    """Bytes that jobs may book in all; 0 where unknown: then no job with a memory request is accepted."""
    boot_id: str = ""
    error: str = ""
    """Why its GPUs cannot be told at all (the driver does not answer). Then `gpus` may lack some: jobs for
    GPUs wait, and none of them is given up."""


class MachineWatch:
    """Reads the machine for the keeper, again and again; drivers stay open in between.

    Make it in the process that uses it: it has a thread and open drivers, which a fork would not take along.
    CPU and memory limits of containers that the queue did not start do not count: they say how much such a
    container may use at most, not what it uses. `Limits.reserved_cpus` and `reserved_memory` are for those.
    """

    def __init__(self, load: Optional[Callable[[], Any]] = None, proc: str = "", sysfs: str = "") -> None:
        """`load` gives pynvml; `proc` and `sysfs` are for tests (also BERTH_PROC_ROOT, BERTH_SYSFS_ROOT)."""
        from ..owner import Owners  # plans and people's verbs never need these
        from .gpus import GpuReader
        from .topology import Topology

        self._proc = proc or os.environ.get("BERTH_PROC_ROOT") or "/proc"
        sysfs = sysfs or os.environ.get("BERTH_SYSFS_ROOT") or "/sys"
        self._topology = Topology(self._proc, sysfs)
        self._reader = GpuReader(load or _load_nvml, self._proc, sysfs)
        self._owners = Owners()
        self._broken_since: Dict[str, float] = {}
        self._ours: Dict[str, None] = {}

    @property
    def names(self) -> Any:
        """`grants.HostGpus`: what requests of containers can name, after the first `read`."""
        return self._reader.names

    def read(
        self, containers: Iterable[Any], max_age: float = MAX_AGE, ours: Optional[Iterable[str]] = None
    ) -> Machine:
        """The machine now. `containers`: the engine's, as `containers.Entry` or as the wire's Container.

        An Entry's GPUs are found here; a wire dictionary needs its `gpus`. GPUs are asked anew where the last
        answer is older than `max_age` seconds. The queue's own containers are no strangers: what they hold is
        booked. They are those with the ids `ours`; without it, all with the queue's label. They are
        remembered, so that a process that takes a moment to die with its container is no stranger either.
        Blocks two seconds at most (ten the first time) where a driver does not answer.
        """
        reading = self._reader.read(max_age)
        wires = [self._wire(one) for one in containers]
        if ours is None:
            ours = [wire["id"] for wire in wires if LABEL_QUEUE in (wire.get("labels") or {})]
        self._ours.update(dict.fromkeys(ours))
        while len(self._ours) > _REMEMBERED:
            del self._ours[next(iter(self._ours))]
        busy = {**self._claimed(wires, len(reading.gpus)), **self._used(reading.processes, wires)}
        devices = {uuid: ("/dev/kfd", f"/dev/dri/{node}") for _, uuid, node in self._reader.names.amd if node}
        gpus = tuple(self._gpu(gpu, busy.get(gpu["uuid"]), devices) for gpu in reading.gpus)
        return Machine(self._topology.read(), gpus, self._memory(), self._boot_id(), reading.error)

    def utilisation(self, max_age: float = MAX_AGE) -> Dict[str, float]:
        """Percent by UUID, of the GPUs whose driver tells it. Blocks as `read` does."""
        gpus = self._reader.read(max_age).gpus
        return {gpu["uuid"]: gpu["util_percent"] for gpu in gpus if gpu.get("util_percent") is not None}

    def _wire(self, one: Any) -> Dict[str, Any]:
        grant = getattr(one, "grant", None)
        wire: Dict[str, Any] = getattr(one, "wire", one)
        return {**wire, "gpus": grant.resolve(self._reader.names)} if grant else wire

    def _claimed(self, wires: List[Dict[str, Any]], total: int) -> Dict[str, _Busy]:
        """GPU -> the container that was given it. One that was given all of several GPUs claims none: that is
        how people start a container that may use any GPU, not how they reserve eight."""
        found: Dict[str, _Busy] = {}
        for wire in sorted(wires, key=lambda one: str(one["id"])):
            gpus = wire.get("gpus") or ()
            if wire.get("state") in _RUNNING and wire["id"] not in self._ours and not 1 < total <= len(gpus):
                for uuid in gpus:
                    found.setdefault(uuid, (self._named(wire), unix(wire.get("started_at"))))
        return found

    def _used(self, processes: Iterable[Any], wires: List[Dict[str, Any]]) -> Dict[str, _Busy]:
        """GPU -> who computes on it: the first, and how many more."""
        by_id = {wire["id"]: wire for wire in wires}
        found: Dict[str, Dict[str, float]] = {}
        for one in sorted(processes, key=lambda process: int(process.pid)):
            if one.container in self._ours:
                continue
            if one.container in by_id:
                text = self._named(by_id[one.container])
            else:
                text = f"{one.program or 'a process'} (pid {one.pid}){_of(one.user)}"
            found.setdefault(one.gpu, {}).setdefault(text, one.since)
        out = {}
        for uuid, users in found.items():
            more = f" and {len(users) - 1} more" if len(users) > 1 else ""
            out[uuid] = (next(iter(users)) + more, min(users.values()))
        return out

    def _named(self, wire: Dict[str, Any]) -> str:
        owner = wire.get("owner") or self._owners.owner(wire) or ""
        return f"container {_shown(wire.get('name') or wire['id'][:12])}{_of(owner)}"

    def _gpu(self, gpu: Dict[str, Any], busy: Optional[_Busy], devices: Mapping[str, Tuple[str, ...]]) -> Gpu:
        uuid, broken = gpu["uuid"], gpu.get("error") or ""
        text, since = busy or ("", 0.0)
        if not broken:
            self._broken_since.pop(uuid, None)
        else:
            since = self._broken_since.setdefault(uuid, time.time())
        node = gpu.get("numa_node")
        where = -1 if node is None else node
        return Gpu(uuid, gpu["index"], where, gpu["vendor"], devices.get(uuid, ()), text, broken, since)

    def _memory(self) -> int:
        """Bytes of RAM."""
        for line in self._text("meminfo", 4096).splitlines():
            if line.startswith("MemTotal:"):
                number = line.split()[1:2]
                return int(number[0]) * 1024 if number and number[0].isdigit() else 0
        return 0

    def _boot_id(self) -> str:
        return self._text("sys/kernel/random/boot_id", 64).strip()

    def _text(self, name: str, size: int) -> str:
        try:
            with open(f"{self._proc}/{name}", "rb") as file:
                return file.read(size).decode("ascii", "replace")
        except OSError:
            return ""


def read(containers: Iterable[Any] = ()) -> Machine:
    """The machine once; who reads again keeps a `MachineWatch`."""
    return MachineWatch().read(containers)


def unix(text: Any) -> float:
    """The wire's time in seconds since the epoch; 0 where there is none."""
    return seconds_from_engine(text) or 0.0


def _of(user: str) -> str:
    return f" of {_shown(user)}" if user else ""


def _shown(text: str) -> str:
    """A name from a stranger, without what could harm a terminal."""
    return "".join(char for char in text if char.isprintable())[:_NAME_LIMIT]


def _load_nvml() -> Any:
    from ..probe import nvml_load

    return nvml_load.load()
