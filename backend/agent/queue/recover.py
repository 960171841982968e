"""After a crash, a restart, or a time without the engine: database, labels and engine agree again.

in the database         in the engine         what is done
starting, running       running               it goes on
starting                created               started; unless the engine died over it, see `_unclear`
starting, running       ended                 its end is recorded, with its exit code
starting                nothing               begun again, or queued again: it never ran
running                 created               its end is recorded: nobody saw it
running                 nothing               its end is recorded: removed by hand
ended, or a later try   ended                 its output is saved, and it is removed
ended, or a later try   created               removed: it never ran
forgotten               not running           removed
not there               any                   taken in as its labels tell it, if it is of this queue
another queue's         any                   left alone; its GPUs count as taken
"""

from __future__ import annotations

import json
import time
from typing import AbstractSet, Any, List, Optional

from . import container, epoch, jobs, remains
from .container import Found
from .crew import Crew
from .epoch import Since
from .jobs import ACTIVE, RUNNING, STARTING, Job
from .runs import Run
from .tasks import Task, sleep
from .verdict import MAYBE, NEVER, doubt

_NO_CONTAINER = "its container was never made"
_AGAIN = 0.5
"""Seconds until an engine is asked again that could not answer."""


def ours(listed: List[Any], ids: AbstractSet[str]) -> List[Found]:
    """The containers of these queues in the engine's answer to `/containers/json?all=1`."""
    found = [one for one in map(container.listed, listed) if one is not None]
    return [one for one in found if one.queue in ids]


async def recover(crew: Crew, found: List[Found]) -> None:
    """Set right what does not fit. Raises what the database raises; then it has to be called again."""
    store = crew.store
    by_container = {one.id: one for one in found}
    by_name = {(one.job, one.attempt): one for one in found}
    active = {(job.id, job.attempt): job for job in store.unfinished() if job.state in ACTIVE}
    for key in [key for key in crew.runs if key not in active]:
        if not crew.runs[key].over:
            crew.drop(key)
    since = await epoch.since(crew.engine) if found else None
    taken = set()
    for key, job in active.items():
        one = by_container.get(job.container) if job.container else by_name.get(key)
        if one is not None:
            taken.add(one.id)
        _set_right(crew, job, one, since)
    for one in found:
        if one.id not in taken:
            await _stray(crew, one, since)
    crew.recovered()


def _set_right(crew: Crew, job: Job, found: Optional[Found], since: Optional[Since]) -> None:
    """An active job, and its container if it has one."""
    run = crew.runs.get((job.id, job.attempt))
    if run is not None and run.over:
        return  # its end waits to be written
    if found is not None:
        _resume(crew, job, found, since, ran=job.state == RUNNING)
    elif job.state == RUNNING:
        crew.adopt(job).vanished()
    elif run is not None and run.begun:
        run.edited(job)
        run.begin()  # the engine went away under our own request
    else:
        crew.store.unbook(job.id, job.attempt, _NO_CONTAINER)


def _resume(crew: Crew, job: Job, found: Found, since: Optional[Since], *, ran: bool) -> None:
    """Go on with a job from its container; in a task of its own, as the engine may take its time.

    `ran`: the queue wrote down that it runs.
    """
    run = crew.adopt(job)
    run.container = found.id

    async def go_on() -> None:
        while True:
            reply = await crew.engine.ask("GET", f"/containers/{found.id}/json")
            if reply.error is not None or run.over:
                return
            if reply.status in (200, 404):
                break
            await sleep(crew.loop, _AGAIN)
        seen = container.inspected(json.loads(reply.body)) if reply.status == 200 else None
        if seen is None:
            run.vanished()
            return
        why = doubt(seen, since, ran=ran)
        if why and seen.state == "created":
            await _unclear(crew, run, seen, why)
        else:
            old = since is not None and (seen.started_at or 0.0) < since.latest
            run.resume(seen, why, unseen=old)

    Task(go_on(), lambda error: crew.fault(f"job {job.id}", error))


async def _unclear(crew: Crew, run: Run, found: Found, why: str) -> None:
    """The engine says that it was never started, and went down after it was asked to start it.

    What never ran is queued again; what still runs is waited for; of the rest nobody knows.
    """
    job, left = run.job, remains.processes(found.id)
    if why == MAYBE and await remains.never_ran(crew.engine, found, left):
        crew.drop(run.key)
        crew.write(lambda: crew.store.unbook(job.id, job.attempt, NEVER))
        remains.end(left)
        await crew.tidy.remove(found.id)
    elif any(not process.waits for process in left):
        run.outlive(found)
    else:
        run.resume(found, why)


async def _stray(crew: Crew, found: Found, since: Optional[Since]) -> None:
    """A container of ours that no active job belongs to."""
    row = crew.store.get(found.job)
    if row is not None and row.attempt >= found.attempt:
        # its list says for a moment that it runs though its end was told; or somebody started it again
        if found.running:
            found = await _inspect(crew, found) or found
        if found.state == "created":
            await crew.tidy.remove(found.id)
        elif not found.running:
            crew.tidy.add(row._replace(attempt=found.attempt), found.id)
        return
    if row is None and found.queue == crew.queue_id and found.job < crew.store.next_id():
        if not found.running:
            await crew.tidy.remove(found.id)
        return
    seen = await _inspect(crew, found)
    job = told(seen) if seen is not None else None
    if job is not None:
        _resume(crew, crew.store.adopt(job, found.id, time.time()), found, since, ran=False)


async def _inspect(crew: Crew, found: Found) -> Optional[Found]:
    reply = await crew.engine.ask("GET", f"/containers/{found.id}/json")
    return container.inspected(json.loads(reply.body)) if reply.status == 200 else None


def told(found: Found) -> Optional[Job]:
    """The job as its container's labels tell it, active; None where they make no sense."""
    try:
        job = jobs.job_from(json.loads(found.labels[jobs.LABEL_JOB_JSON]))
    except (KeyError, ValueError, TypeError):
        return None
    if (job.id, job.attempt) != (found.job, found.attempt):
        return None
    state = STARTING if found.state == "created" else RUNNING
    return job._replace(state=state, container=found.id, started_at=found.started_at)
