"""Verbs on jobs."""

from __future__ import annotations

import json
from typing import Any, Dict

from .asked import MOST_JOBS, PRIORITIES, after_of, jobs_of, name_of, request_of
from .desk import Answer, Desk, Listed, counts
from .errors import MissingError, RefusedError, UsageError
from .fields import Fields
from .jobs import ACTIVE, ENDED, Job, job_json, request_json


def submit(desk: Desk, body: Any) -> Answer:
    """`jobs` (see `asked`), and for root `owner`: their numbers.

    `key`: a text that the asker makes up. What was submitted by it before is not submitted again (`again`
    says so): who never got an answer can ask once more.
    """
    from .images import Images

    fields = Fields(body, "submit", ("jobs", "owner", "key"))
    key = fields.text("key", longest=100, line=True).strip()
    before = desk.store.submitted(desk.who.name, key) if key else []
    if before:
        return {"ids": before, "again": True}
    jobs = jobs_of(fields.data.get("jobs"), desk.owner(fields), Images(desk.place.socket))
    never = desk.never(jobs)
    if never:
        raise UsageError(f"{never}.")
    desk.changed = True
    return {"ids": desk.store.submit(jobs, desk.who.name, key=key)}


def submitted(desk: Desk, body: Any) -> Answer:
    """`key`: the numbers of what the asker submitted by it that have not ended."""
    key = Fields(body, "submitted", ("key",)).text("key", longest=100, line=True).strip()
    states = desk.store.owners(desk.store.submitted(desk.who.name, key)) if key else {}
    return {"ids": [number for number, (_, state) in states.items() if state not in ENDED]}


def listing(desk: Desk, body: Any) -> Answer:
    """`which` (unfinished, ended, all), `owner`, `limit`, `ids`: the jobs, and how many there are."""
    fields = Fields(body, "list", ("which", "owner", "limit", "ids"))
    which = fields.word("which", ("unfinished", "ended", "all"), "unfinished")
    numbers = fields.numbers() if fields.has("ids") else None
    limit = fields.whole("limit", 0, 0, 10_000_000)
    found = desk.store.listing(which, fields.text("owner", longest=64), limit, numbers)
    return {"jobs": Listed(found), **counts(desk)}


def show(desk: Desk, body: Any) -> Answer:
    """`id`: the job and what happened to it."""
    number = Fields(body, "show", ("id",)).job()
    found = desk.store.listing(numbers=[number])
    if not found:
        raise MissingError(f"there is no job {number}.", "See: berth jobs")
    return {"job": json.loads(found[0]), "events": desk.store.events(number)}


def cancel(desk: Desk, body: Any) -> Answer:
    """`ids`: a sentence for each that says what was done."""
    numbers = Fields(body, "cancel", ("ids",)).numbers()
    desk.own(numbers, "end")
    done = desk.store.cancel(numbers, desk.who.name)
    states = desk.store.owners(done)
    desk.changed = True
    said = {
        "cancelled": "job {}: cancelled before it started.",
        "stopping": "job {}: it is being stopped.",
        "ended": "job {}: it had ended before ({}).",
    }
    return {
        "said": [said[how].format(number, states[number][1]) for number, how in done.items()],
        "results": {str(number): how for number, how in done.items()},
    }


def hold(desk: Desk, body: Any) -> Answer:
    """`ids`."""
    numbers = Fields(body, "hold", ("ids",)).numbers()
    desk.own(numbers, "hold")
    desk.changed = True
    return {"ids": [job.id for job in desk.store.hold(numbers, desk.who.name)]}


def release(desk: Desk, body: Any) -> Answer:
    """`ids`."""
    numbers = Fields(body, "release", ("ids",)).numbers()
    desk.own(numbers, "release")
    desk.changed = True
    return {"ids": [job.id for job in desk.store.release(numbers, desk.who.name)]}


def move(desk: Desk, body: Any) -> Answer:
    """`id`, `where` (first, last, before, after) and `other`: among one's own jobs, for root among all."""
    fields = Fields(body, "move", ("id", "where", "other"))
    number = fields.job()
    where = fields.word("where", ("first", "last", "before", "after"))
    if not where:
        raise fields.wrong("where", "first, last, before, after")
    other = fields.job("other") if where in ("before", "after") else None
    desk.own([number], "move")
    desk.changed = True
    among = None if desk.who.root else desk.who.name
    moved = desk.store.move(number, where, other, by=desk.who.name, among=among)
    return {"job": job_json(moved)}


_EDITABLE = (
    *("name", "priority", "begin_at", "after", "retries", "array_limit", "request"),
    *("gpus", "gpu_ids", "cpus", "memory", "time_limit"),
)


def edit(desk: Desk, body: Any) -> Answer:
    """`id` and `changes`: fields of a job, and of its request."""
    outer = Fields(body, "edit", ("id", "changes"))
    number = outer.job()
    desk.own([number], "change")
    job = desk.store.get(number)
    assert job is not None
    fields = Fields(outer.data.get("changes"), f"job {number}", _EDITABLE)
    changes = _changes(fields, job)
    if not changes:
        raise UsageError(f"job {number}: nothing to change.", f"Can be: {', '.join(_EDITABLE)}.")
    new = job._replace(**changes)
    if job.state in ACTIVE and not desk.who.root and _longer(new, job):
        raise RefusedError(
            f"job {number} runs: only root may give it more time, as others wait for its end.",
            "You may give it less.",
        )
    if "request" in changes and job.state not in ACTIVE:
        never = desk.never([new])
        if never:
            raise UsageError(f"{never}.")
    desk.changed = True
    return {"job": job_json(desk.store.edit(number, desk.who.name, **changes))}


def _changes(fields: Fields, job: Job) -> Dict[str, Any]:
    changes: Dict[str, Any] = {}
    given = fields.data
    if "name" in given:
        changes["name"] = name_of(fields) or job.name
    if "priority" in given:
        changes["priority"] = fields.whole("priority", 0, *PRIORITIES)
    if "begin_at" in given:
        changes["begin_at"] = fields.number("begin_at", 0, 2.0**33)
    if "after" in given:
        changes["after"] = after_of(fields)
    if "retries" in given:
        changes["retries"] = fields.whole("retries", 0, 0, 100)
    if "array_limit" in given:
        changes["array_limit"] = fields.whole("array_limit", 0, 0, MOST_JOBS)
    asked = dict(given.get("request") or {}) if isinstance(given.get("request") or {}, dict) else {"": ""}
    asked.update({key: given[key] for key in job.request._fields if key in given})
    if asked:
        old = request_json(job.request)
        if "gpus" in asked and "gpu_ids" not in asked:
            old.pop("gpu_ids", None)  # another number of them: any
        if "gpu_ids" in asked and "gpus" not in asked:
            old.pop("gpus", None)
        if "gpu_ids" in old:
            old["gpu_ids"] = list(old["gpu_ids"])
        changes["request"] = request_of({**old, **asked}, fields.what)
    return changes


def _longer(new: Job, old: Job) -> bool:
    before, after = old.request.time_limit, new.request.time_limit
    return before is not None and (after is None or after > before)


def retry(desk: Desk, body: Any) -> Answer:
    """`id`: its number, which stays the same."""
    number = Fields(body, "retry", ("id",)).job()
    desk.own([number], "retry")
    desk.changed = True
    return {"id": desk.store.retry(number, desk.who.name).id}


def log(desk: Desk, body: Any) -> Answer:
    """`id` and `attempt`: where its output is, in a container or in a file of this host."""
    fields = Fields(body, "log", ("id", "attempt"))
    number = fields.job()
    job = desk.store.get(number)
    if job is None:
        raise MissingError(f"there is no job {number}.", "See: berth jobs")
    attempt = fields.whole("attempt", job.attempt, 0, 10**6)
    answer = {"attempt": attempt, "tty": job.spec.tty, "state": job.state, "container": "", "file": ""}
    if job.spec.outfile:
        answer["file"] = job.spec.outfile
    elif attempt == job.attempt:
        answer["container"], answer["file"] = job.container, job.log
    else:
        for event in desk.store.events(number):
            if event["data"].get("of") == attempt and "log" in event["data"]:
                answer["file"] = event["data"]["log"]
    if not answer["container"] and not answer["file"]:
        raise MissingError(f"job {number}: {_no_output(desk, job, attempt)}.")
    return answer


def _no_output(desk: Desk, job: Job, attempt: int) -> str:
    """Why there is none."""
    if not job.attempt:
        return "it has not started yet"
    told = [event["text"] for event in desk.store.events(job.id) if event["data"].get("of") == attempt]
    return told[-1] if told else "it left no output: no container of it ever ran"
