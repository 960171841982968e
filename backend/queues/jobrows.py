"""What a host tells of its queue -> rows. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from backend.model import GpuRow, Job, JobRow

WAITING = ("queued", "held")
ACTIVE = ("starting", "running")
ENDED = ("completed", "failed", "cancelled", "timeout")


def job_rows(
    host: str, jobs: Iterable[Job], gpus: Mapping[str, GpuRow] | None = None, *, stale: bool = False
) -> list[JobRow]:
    """Rows in the order of `jobs`. `gpus`: the host's, by UUID, for what they really do."""
    found: list[JobRow] = []
    place = 0
    for job in jobs:
        place += job.state == "queued"
        row = _row(host, job, gpus or {}, place if job.state == "queued" else None, stale)
        found.append(row)
    return found


def _row(host: str, job: Job, gpus: Mapping[str, GpuRow], place: int | None, stale: bool) -> JobRow:
    request, spec = job.request, job.spec
    mine = [gpus[uuid] for uuid in job.gpus if uuid in gpus] if job.state == "running" else []
    started = _moment(job.started_at)
    util, used, idle = measured(mine, started)
    return JobRow(
        host=host,
        engine="docker",
        id=str(job.id),
        name=job.name,
        owner=job.owner,
        state=job.state,
        reason=job.error or _cancelled(job) or job.reason,
        priority=job.priority,
        place=place,
        gpus=request.gpus,
        gpu_uuids=job.gpus,
        cpus=len(job.cpus) or request.cpus,
        memory=job.memory or request.memory or None,
        time_limit=request.time_limit,
        submitted_at=_moment(job.submitted_at or None),
        started_at=started,
        ended_at=_moment(job.ended_at),
        expected_start=_moment(job.expected_start),
        exit_code=job.exit_code,
        image=spec.image_name or spec.image,
        image_id=spec.image,
        command=spec.script or shlex.join(spec.command),
        project=spec.project,
        container=job.container,
        array=f"{job.array}_{job.array_index}" if job.array else "",
        attempt=job.attempt,
        retries=job.retries,
        after=tuple(str(number) if kind == "ok" else f"{kind}:{number}" for number, kind in job.after),
        util_percent=util,
        gpu_mem_used=used,
        idle_since=idle,
        interactive=spec.tty,
        log=job.log or spec.outfile,
        stale=stale,
    )


def _cancelled(job: Job) -> str:
    return f"cancelled by {job.cancel_by}" if job.state == "cancelled" and job.cancel_by else ""


def measured(
    gpus: Sequence[GpuRow], started: datetime | None
) -> tuple[float | None, int | None, datetime | None]:
    """What a job's GPUs do: mean utilisation, memory in use, since when none of them worked."""
    util = [gpu.util_percent for gpu in gpus if gpu.util_percent is not None]
    used = [gpu.mem_used for gpu in gpus if gpu.mem_used is not None]
    return (
        sum(util) / len(util) if util else None,
        sum(used) if used else None,
        _idle_since([gpu.idle_since for gpu in gpus], started),
    )


def _idle_since(idle: list[datetime | None], started: datetime | None) -> datetime | None:
    """Since when all of its GPUs rest, but not since before it had them."""
    known = [moment for moment in idle if moment is not None]
    if not idle or len(known) < len(idle):
        return None
    return max([*known, *([started] if started else [])])


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
