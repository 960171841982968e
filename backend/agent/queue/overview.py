"""The queue as a whole, and when a job would start."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Dict, List

from .jobs import ACTIVE, Job
from .machine import Machine
from .place import Place
from .plan import Limits, closed, impossible, plan

if TYPE_CHECKING:
    from .desk import Desk

_NEW = 2**53 - 1
"""Number of a job that is not queued yet: behind all others."""


def overview(desk: Desk, with_machine: bool) -> Dict[str, Any]:
    """Counts, settings, the keeper, and with the machine what of it is free."""
    counts = desk.store.counts()
    limits = desk.store.limits()
    answer: Dict[str, Any] = {
        "queue_id": desk.store.queue_id,
        "folder": desk.place.path,
        "socket": desk.place.socket,
        "user": desk.who.name,
        "counts": counts,
        "waiting": counts.get("queued", 0) + counts.get("held", 0),
        "active": counts.get("starting", 0) + counts.get("running", 0),
        "paused": limits.paused,
        "draining": limits.draining,
        "limits": dict(limits._asdict()),
        "notes": [desk.store.notice] if desk.store.notice else [],
        **keeper(desk.place),
    }
    if with_machine:
        machine = desk.machine_now()
        answer.update(free(machine, desk.store.active_jobs(), limits))
        if machine.error:
            answer["notes"].append(f"GPUs: {machine.error}")
    return answer


def keeper(place: Place) -> Dict[str, Any]:
    """Whether somebody keeps the queue, and who."""
    from .lock import held, keeper_pid

    try:
        return {"keeper": held(place), "keeper_pid": keeper_pid(place) or None}
    except OSError:
        return {"keeper": None, "keeper_pid": None}


def free(machine: Machine, active: List[Job], limits: Limits) -> Dict[str, Any]:
    """What of the machine could be booked now."""
    gpus = {gpu for job in active for gpu in job.gpus}
    cpus = {cpu for job in active for cpu in job.cpus}
    usable = sorted(cpu.id for cpu in machine.cpus)[limits.reserved_cpus :]
    memory = max(0, machine.memory - limits.reserved_memory)
    return {
        "gpus_total": len(machine.gpus),
        "gpus_free": sum(not gpu.busy and not gpu.broken and gpu.id not in gpus for gpu in machine.gpus),
        "gpus_busy": {gpu.id: gpu.busy or gpu.broken for gpu in machine.gpus if gpu.busy or gpu.broken},
        "cpus_total": len(usable),
        "cpus_free": len(set(usable) - cpus),
        "memory_total": memory or None,
        "memory_free": max(0, memory - sum(job.memory for job in active)) if memory else None,
    }


def forecast(desk: Desk, job: Job) -> Dict[str, Any]:
    """When the job would start, were it queued now; seconds from now, None where nobody knows."""
    limits = desk.store.limits()
    machine = desk.machine_now() if job.request.gpus else desk.machine()
    never = impossible(job, machine, limits)
    never = never or closed(limits)
    if never:
        return {"start": None, "possible": False, "why": never}
    now = time.time()
    jobs = desk.store.unfinished()
    ended = desk.store.needed(one for each in jobs for one, _ in each.after)
    new = job._replace(id=_NEW, position=float(_NEW), submitted_at=now)
    found = plan([*jobs, *ended, new], machine, limits, now)
    have = free(machine, [each for each in jobs if each.state in ACTIVE], limits)
    why = f"{have['gpus_free']} of {have['gpus_total']} GPUs are free"
    if not job.request.gpus:
        why = f"{have['cpus_free']} of {have['cpus_total']} CPUs are free"
    if any(start.job == _NEW for start in found.starts):
        return {"start": 0.0, "possible": True, "why": why}
    if _NEW in found.doomed:
        return {"start": None, "possible": False, "why": found.doomed[_NEW]}
    start = found.expected.get(_NEW)
    waits = found.reasons.get(_NEW, why)
    return {"start": None if start is None else max(0.0, start - now), "possible": True, "why": waits}
