"""What of a machine is free, who holds the rest, and what is kept for the jobs that are first in line.

Keeping works on two kinds of things. GPUs are kept one by one. CPUs and memory are kept as amounts.
A kept thing may still be used by a job whose time limit proves that it is over before the keeper can start.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from .choose import choose_cpus, choose_gpus
from .jobs import Job, Request
from .machine import Cpu, Gpu, Machine

NEVER = float("inf")
PATIENCE = 600.0
"""Seconds that a GPU is waited for which something outside the queue holds, or which is broken. So long the
job that is first in line keeps its other GPUs idle for it, no longer: nobody can tell when it comes back."""


class Kept(NamedTuple):
    """What is kept for a job that is ahead of others."""

    job: Job
    gpus: FrozenSet[str]
    """Free ones first, then those whose jobs end first, then those of the jobs that run longest."""
    cpus: int
    """Of those that are free now: what its start lacks beside what is given back until then."""
    memory: int
    """The same of what is free now."""
    at: float
    """When it can start at the latest; NEVER where nobody can tell."""

    def bars(self, end: float) -> bool:
        """Whether a job that ends at `end` at the latest has to leave all of it alone."""
        return self.at == NEVER or end > self.at


class Holder(NamedTuple):
    """A job on a GPU."""

    job: Job
    end: float
    cpus: int
    memory: int


class Room:
    """One machine at one moment. Changes as a plan goes on."""

    def __init__(self, machine: Machine, cpus: int, memory: int, now: float) -> None:
        """`cpus`, `memory`: left for the system, the CPUs with the lowest ids."""
        self.now = now
        self.machine = machine
        self.vendor = main_vendor(machine)
        self.gpus: Dict[str, Gpu] = {gpu.id: gpu for gpu in machine.gpus}
        self.free_gpus: Dict[str, Gpu] = {
            gpu.id: gpu for gpu in machine.gpus if not gpu.busy and not gpu.broken
        }
        self._counted = [] if machine.error else [gpu for gpu in machine.gpus if gpu.vendor == self.vendor]
        self._unkept = list(self._counted)
        allowed = sorted(machine.cpus, key=lambda cpu: cpu.id)[max(0, cpus) :]
        self.free_cpus: Dict[int, Cpu] = {cpu.id: cpu for cpu in allowed}
        self.cpu_count = len(self.free_cpus)
        self.memory = self.free_memory = max(0, machine.memory - memory)
        self.holders: Dict[str, Holder] = {}
        self.kept: List[Kept] = []
        self._kept_cpus = self._kept_memory = 0
        self.releases: List[Tuple[float, int, int]] = []
        """(end, CPUs, memory) of each job that holds something."""

    def take(self, job: Job, gpus: Iterable[str], cpus: Iterable[int], memory: int, end: float) -> None:
        """Book it for `job` until `end`. What the machine does not have any more is passed over."""
        taken = sum(self.free_cpus.pop(cpu, None) is not None for cpu in cpus)
        for gpu in gpus:
            self.free_gpus.pop(gpu, None)
            self.holders[gpu] = Holder(job, end, taken, memory)
        self.free_memory -= memory
        self.releases.append((end, taken, memory))

    def candidates(self, request: Request) -> List[Gpu]:
        """The GPUs that may ever serve it, busy ones too."""
        if request.gpu_ids:
            return [self.gpus[one] for one in request.gpu_ids if one in self.gpus]
        return self._counted if request.gpus else []

    def free_for(self, request: Request) -> List[Gpu]:
        """Those of them that are free, kept or not."""
        return [gpu for gpu in self.candidates(request) if gpu.id in self.free_gpus]

    def fits(self, request: Request, kept: Sequence[Kept]) -> bool:
        """Whether it can start now and leave alone what is in `kept`."""
        cpus, memory = len(self.free_cpus), self.free_memory
        for one in kept:
            cpus -= one.cpus
            memory -= one.memory
        if request.cpus > max(0, cpus) or request.memory > max(0, memory):
            return False
        return not request.gpus or len(self._open(request, kept)) >= request.gpus

    def _open(self, request: Request, kept: Sequence[Kept]) -> List[Gpu]:
        free = self.free_for(request)
        return [gpu for gpu in free if not any(gpu.id in one.gpus for one in kept)] if kept else free

    def place(self, request: Request, kept: Sequence[Kept]) -> Tuple[Tuple[str, ...], Tuple[int, ...]]:
        """The GPUs and CPUs for what `fits`."""
        gpus = self._chosen(request, self._open(request, kept)) if request.gpus else ()
        spare = [gpu for gpu in self.free_gpus.values() if gpu.vendor == self.vendor]
        cpus = choose_cpus(self.free_cpus.values(), request.cpus, gpus, spare)
        return tuple(gpu.id for gpu in gpus), cpus

    def _chosen(self, request: Request, free: List[Gpu]) -> Tuple[Gpu, ...]:
        if len(free) == request.gpus:
            return tuple(sorted(free, key=lambda gpu: (gpu.number, gpu.id)))
        near: Dict[int, int] = {}
        for cpu in self.free_cpus.values():
            near[cpu.node] = near.get(cpu.node, 0) + 1
        return choose_gpus(free, request.gpus, request.cpus, near)

    def keep(self, job: Job) -> Optional[Kept]:
        """Keep for `job` what will be free for it first; None where it cannot be done.

        The first in line keeps all it needs but for CPUs and memory that are surely given back until it
        starts. Those after it keep GPUs that the ones before them leave, and CPUs and memory once they have
        their GPUs: else a queue for GPUs would hold up jobs without.
        """
        request = job.request
        near = self._nearest(request)
        if near is None:
            return None
        gpus = frozenset(gpu.id for _, gpu in near)
        at = max([self.now] + [when for when, _ in near])
        cpus = memory = 0
        if not self.kept or all(gpu in self.free_gpus for gpu in gpus):
            cpus, memory = request.cpus, request.memory
            all_cpus, all_memory = self._kept_cpus + cpus, self._kept_memory + memory
            if all_cpus > self.cpu_count or all_memory > self.memory:
                return None
            at = max(at, self._when(all_cpus if cpus else 0, all_memory if memory else 0))
            self._kept_cpus, self._kept_memory = all_cpus, all_memory
            if not self.kept:
                back_cpus, back_memory = self._back(request, at)
                cpus, memory = max(0, cpus - back_cpus), max(0, memory - back_memory)
            cpus = min(cpus, max(0, len(self.free_cpus) - sum(one.cpus for one in self.kept)))
            memory = min(memory, max(0, self.free_memory - sum(one.memory for one in self.kept)))
        self.kept.append(Kept(job, gpus, cpus, memory, at))
        self._unkept = [gpu for gpu in self._unkept if gpu.id not in gpus]
        return self.kept[-1]

    def _nearest(self, request: Request) -> Optional[List[Tuple[float, Gpu]]]:
        """(time it is free, GPU) of those to keep, or None where there are not enough."""
        if not request.gpus:
            return []
        if not self.kept:
            self._unkept = [gpu for gpu in self._counted if not self.lost(gpu)]
        unkept = self._unkept
        if request.gpu_ids:
            kept = self._kept_gpus()
            unkept = [gpu for gpu in self.candidates(request) if gpu.id not in kept and not self.lost(gpu)]
        if len(unkept) < request.gpus:
            return None
        return [(self.free_at(gpu), gpu) for gpu in sorted(unkept, key=self._turn)[: request.gpus]]

    def _kept_gpus(self) -> FrozenSet[str]:
        return frozenset().union(*(one.gpus for one in self.kept))

    def lost(self, gpu: Gpu) -> bool:
        """Whether nothing can be expected of it."""
        return self.outside(gpu) and gpu.since + PATIENCE <= self.now

    def outside(self, gpu: Gpu) -> bool:
        """Whether it is no job of the queue that keeps it from others. The container of the job that has it
        may well look like a stranger's."""
        return bool(gpu.broken or (gpu.busy and gpu.id not in self.holders))

    def free_at(self, gpu: Gpu) -> float:
        """When it is free at the latest."""
        if gpu.id in self.free_gpus:
            return self.now
        holder = self.holders.get(gpu.id)
        return NEVER if holder is None or gpu.broken else holder.end

    def _turn(self, gpu: Gpu) -> Tuple[float, bool, float, int, str]:
        holder = self.holders.get(gpu.id)
        started = (holder.job.started_at or self.now) if holder is not None else 0.0
        outside = self.outside(gpu)
        return (self.free_at(gpu), outside, gpu.since if outside else started, gpu.number, gpu.id)

    def _back(self, request: Request, at: float) -> Tuple[int, int]:
        """CPUs and memory that are surely given back until `request` can start, whoever ends first."""
        if at != NEVER:
            back = [(cpus, memory) for end, cpus, memory in self.releases if end <= at]
            return sum(cpus for cpus, _ in back), sum(memory for _, memory in back)
        gpus = [gpu for gpu in self.candidates(request) if not self.lost(gpu)]
        missing = request.gpus - sum(gpu.id in self.free_gpus for gpu in gpus)
        held: Dict[int, List[Holder]] = {}
        for gpu in gpus:
            holder = self.holders.get(gpu.id)
            if holder is not None:
                held.setdefault(holder.job.id, []).append(holder)
            elif gpu.id not in self.free_gpus:
                missing -= 1  # a stranger's: with it nothing is given back
        jobs = [(len(some), some[0]) for some in held.values()]
        return (
            _least(missing, [(count, holder.cpus) for count, holder in jobs]),
            _least(missing, [(count, holder.memory) for count, holder in jobs]),
        )

    def _when(self, cpus: int, memory: int) -> float:
        """When so much is free, if nothing else starts."""
        free_cpus, free_memory = len(self.free_cpus), self.free_memory
        at = self.now
        for end, some_cpus, some_memory in [*sorted(self.releases), (NEVER, 0, 0)]:
            if (not cpus or free_cpus >= cpus) and (not memory or free_memory >= memory):
                return at
            at = end
            free_cpus += some_cpus
            free_memory += some_memory
        return NEVER


def _least(gpus: int, jobs: Iterable[Tuple[int, int]]) -> int:
    """What is given back at least by jobs that together hold so many GPUs: (GPUs, amount) of each."""
    least = 0
    for count, amount in sorted(jobs, key=lambda one: one[1] / one[0]):
        if gpus <= 0:
            break
        least += amount * min(gpus, count) // count
        gpus -= count
    return least


def main_vendor(machine: Machine) -> str:
    """Whose GPUs a job gets that asks for a number of them: those of which there are more.

    Many workstations have a small AMD GPU inside the processor beside the NVIDIA GPUs people mean.
    """
    nvidia = sum(gpu.vendor == "nvidia" for gpu in machine.gpus)
    return "nvidia" if nvidia * 2 >= len(machine.gpus) else "amd"
