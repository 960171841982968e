"""How an attempt ended, in the queue's words: from what the engine told and what the queue did. Pure."""

from __future__ import annotations

from typing import Optional, Tuple

from . import jobs
from .container import Found
from .epoch import Since
from .jobs import Job

CANCELLED, TIME, IDLE = "cancelled", "time", "idle"
"""Why the queue itself ended a container."""
REMOVED = "its container was removed by hand"
MAYBE = "the engine went down while it was started: whether it ran cannot be told"
UNSEEN = "the engine went down while it ran, and nobody saw its end"

NEVER = "the engine went down while it was started: it never ran"
BEFORE = "its container was removed by hand before it started"
ODD = "the engine's record of its end makes no sense: how it ended cannot be told"

MADE_UP = (0, 255)
"""What Docker gives as the exit code of a container whose end it did not see, by version."""
_RESTORING = 60.0
"""Seconds in which an engine that starts looks after its containers."""


def doubt(found: Found, since: Optional[Since], *, ran: bool = False) -> str:
    """Why the engine's record of a container cannot be believed. `ran`: the queue itself saw it run.

    Docker writes down that a container runs after it was started: if it is killed in between, the record says
    `created` of one that ran. And of one whose end it did not see, it makes up that it ended when the engine
    came back. Podman forgets with each boot which of its containers ran. One that is being removed has an
    exit code of 0, whether it ran or not.
    """
    if found.state == "created":
        if ran:
            return UNSEEN
        old = since is not None and (found.created_at or 0.0) < since.latest
        return MAYBE if old and not found.error else ""
    if not found.ended:
        return ""
    if found.started_at is None:
        return UNSEEN if ran else BEFORE
    if found.exit_code not in MADE_UP:
        return ""
    if since is not None and found.started_at < since.latest:
        end = found.finished_at
        if end is None or since.earliest <= end < since.latest + _RESTORING:
            return UNSEEN
    return "" if found.proper else ODD


def verdict(
    job: Job, cause: str, code: Optional[int], said: str, *, oom: bool = False, by_hand: str = ""
) -> Tuple[str, Optional[int], str]:
    """State, exit code and error. `said` is what went wrong apart from the job; `by_hand` a signal's name."""
    if cause == CANCELLED:
        return jobs.CANCELLED, code, f"cancelled by {job.cancel_by}" if job.cancel_by else ""
    if cause == TIME:
        return jobs.TIMEOUT, code, f"its time limit of {span(job.request.time_limit or 0.0)} was over"
    if cause == IDLE:
        return jobs.TIMEOUT, code, f"it did nothing for {span(job.spec.idle_limit or 0.0)}"
    if code == 0 and not said:
        return jobs.COMPLETED, code, ""
    if oom:
        limit = f" ({job.memory / 2**30:.3g} GiB)" if job.memory else ""
        return jobs.FAILED, code, f"it ran out of memory{limit}"
    if by_hand:
        signal = f" (signal {by_hand})" if by_hand != "?" else ""  # Podman does not tell
        return jobs.CANCELLED, code, f"ended by hand, through the engine{signal}"
    return jobs.FAILED, code, said or _meaning(code)


def span(seconds: float) -> str:
    """A time as people say it: `90 s`, `5 min`, `1 h 30 min`."""
    whole = round(seconds)
    if whole <= 90:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(whole // 60, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join(part for part in parts if part)


def _meaning(code: Optional[int]) -> str:
    if code is None:
        return "nobody saw its end"
    if code in (126, 127):
        return "its command could not be run" if code == 126 else "its command was not found"
    if 128 < code < 160:
        return f"killed by signal {code - 128}, which the queue did not send"
    return ""
