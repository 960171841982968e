"""Why a job waits, or never runs, in words for people: the most telling first, about 60 characters."""

from __future__ import annotations

from typing import Dict, List, Sequence

from .jobs import AFTER_OK, CANCELLED, COMPLETED, ENDED, FAILED, TIMEOUT, Job, Request
from .machine import Gpu
from .room import Kept, Room

_NAMED = 3
"""So many jobs are named; of more their number is told."""
_ENDS = {FAILED: "failed", CANCELLED: "was cancelled", TIMEOUT: "ran into its time limit"}


def number(count: int, what: str) -> str:
    """`1 GPU`, `4 GPUs`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def size(count: int) -> str:
    """Bytes, as people ask for memory: `64 GB`, `1.5 GB`, `512 MB`."""
    value, unit = (count / (1 << 30), "GB") if count >= 1 << 30 else (count / (1 << 20), "MB")
    return f"{value:.1f}".rstrip("0").rstrip(".") + f" {unit}"


def jobs(ids: Sequence[int]) -> str:
    """`job 12`, `jobs 12 and 14`, `5 jobs`."""
    if len(ids) == 1:
        return f"job {ids[0]}"
    if len(ids) > _NAMED:
        return f"{len(ids)} jobs"
    return f"jobs {', '.join(map(str, ids[:-1]))} and {ids[-1]}"


def waits_for(job: Job, by_id: Dict[int, Job]) -> str:
    """The jobs that have to end before it; empty where all did."""
    open_ = sorted({one for one, _ in job.after if one in by_id and by_id[one].state not in ENDED})
    if not open_:
        return ""
    held = [one for one in open_ if by_id[one].state == "held"]
    if held:
        return f"waits for {jobs(held)}, which {'is' if len(held) == 1 else 'are'} held"
    return f"waits for {jobs(open_)}"


def in_vain(job: Job, by_id: Dict[int, Job]) -> str:
    """Why what it waits for can never happen; empty while it can."""
    for one, kind in job.after:
        other = by_id.get(one)
        if one == job.id:
            return "it was to wait for itself"
        if other is None:
            return f"job {one}, which it was to follow, does not exist"
        if kind == AFTER_OK and other.state in ENDED and other.state != COMPLETED:
            return f"job {one}, whose success it needs, {_ENDS[other.state]}"
    return ""


def lacking_gpus(room: Room, request: Request) -> str:
    """Which GPUs are missing for it now, and why."""
    if request.gpu_ids:
        return _lacking_named(room, request)
    if not request.gpus:
        return ""
    if room.machine.error:
        return f"GPUs cannot be told: {room.machine.error}"
    free = len(room.free_for(request))
    return "" if free >= request.gpus else _lacking_count(room, request, free)


def lacking_rest(room: Room, request: Request) -> str:
    """What else of the machine is missing for it now."""
    if request.cpus > len(room.free_cpus):
        return f"needs {number(request.cpus, 'CPU')}, {_are(len(room.free_cpus))} free"
    if request.memory > max(0, room.free_memory):
        return f"needs {size(request.memory)} of memory, {size(max(0, room.free_memory))} are free"
    return ""


def first(room: Room, kept: Kept) -> str:
    """What is added for the job that goes next."""
    blockers = {room.holders[gpu].job.id: room.holders[gpu].job for gpu in kept.gpus if gpu in room.holders}
    if not blockers or kept.job.request.gpu_ids:
        return "first in line"
    if len(blockers) == 1:
        (job,) = blockers.values()
        return f"first in line, after job {job.id} of {job.owner}"
    return f"first in line, after {jobs(sorted(blockers))}"


def behind(room: Room, request: Request, kept: Sequence[Kept]) -> str:
    """Who goes first, where there is enough but it is kept; `kept`: what bars the job, in order."""
    for count in range(1, len(kept) + 1):
        if not room.fits(request, kept[:count]):
            job = kept[count - 1].job
            return f"job {job.id} of {job.owner} goes first"
    return "waits for its turn"


def _lacking_count(room: Room, request: Request, free: int) -> str:
    needs = f"needs {number(request.gpus, 'GPU')}"
    gpus = room.candidates(request)
    culprits = [gpu for gpu in gpus if room.outside(gpu)]
    if culprits and len(gpus) - len(culprits) < request.gpus:
        return f"{_culprit(room, culprits)}; {needs}"
    return f"{needs}, {_are(free)} free"


def _lacking_named(room: Room, request: Request) -> str:
    gpus: List[Gpu] = []
    for one in request.gpu_ids:
        gpu = room.gpus.get(one)
        if gpu is None:
            return f"GPU {one} is not there: {room.machine.error or 'another cannot be read'}"
        if one not in room.free_gpus:
            gpus.append(gpu)
    outside = [gpu for gpu in gpus if room.outside(gpu)]
    return _culprit(room, outside or gpus) if gpus else ""


def _culprit(room: Room, gpus: Sequence[Gpu]) -> str:
    """`GPU 3 is used by python (pid 123) of ann`: the first, and how many more."""
    gpu = min(gpus, key=lambda one: (one.number, one.id))
    holder = room.holders.get(gpu.id)
    if gpu.broken:
        text = f"GPU {gpu.number} is broken: {gpu.broken}"
    elif room.outside(gpu):
        text = f"GPU {gpu.number} is used by {gpu.busy}"
    elif holder is not None:
        text = f"GPU {gpu.number} is used by job {holder.job.id} of {holder.job.owner}"
    else:
        text = f"GPU {gpu.number} is not free"
    return text if len(gpus) == 1 else f"{text}, {len(gpus) - 1} more in use"


def _are(count: int) -> str:
    return {0: "none is", 1: "1 is"}.get(count, f"{count} are")


def unmet(request: Request, room: Room) -> str:
    """What of a request this machine does not have at all; empty if it has everything."""
    machine = room.machine
    gpus = _unmet_gpus(request, room)
    if gpus:
        return gpus
    if request.cpus > room.cpu_count:
        reserved = len(machine.cpus) > room.cpu_count
        return _over(f"asks for {number(request.cpus, 'CPU')}", str(room.cpu_count), reserved)
    if request.memory and not machine.memory:
        return "asks for memory; how much this host has is not known"
    if request.memory > room.memory:
        reserved = machine.memory > room.memory
        return _over(f"asks for {size(request.memory)} of memory", size(room.memory), reserved)
    return ""


def _unmet_gpus(request: Request, room: Room) -> str:
    machine = room.machine
    if request.gpu_ids:
        missing = [one for one in request.gpu_ids if one not in room.gpus]
        if missing and not machine.error and not any(gpu.broken for gpu in machine.gpus):
            return f"asks for GPU {missing[0]}; this host has none of that name"
    elif request.gpus and not machine.error:
        have = len(room.candidates(request))
        if request.gpus > have:
            return f"asks for {number(request.gpus, 'GPU')}; this host has {have or 'none'}"
    return ""


def shrunk(request: Request, room: Room) -> bool:
    """Whether what is unmet is the machine's own: settings can be changed again, and need no job's end."""
    machine = room.machine
    cpus = machine.cpus and request.cpus > len(machine.cpus)
    memory = machine.memory and request.memory > machine.memory
    return bool(_unmet_gpus(request, room) or cpus or memory)


def _over(asks: str, have: str, reserved: bool) -> str:
    return f"{asks}; this host has {have}{' for jobs' if reserved else ''}"
