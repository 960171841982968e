"""What the keeper writes: bookings, starts, ends, and what the plan says of those that wait."""

from __future__ import annotations

import time
from typing import Iterable, List, Mapping, Optional, Sequence

from ..jobs import (
    ACTIVE,
    AFTER_ANY,
    COMPLETED,
    ENDED,
    FAILED,
    HELD,
    QUEUED,
    RUNNING,
    STARTING,
    WAITING,
    Job,
)
from ..plan import Start
from .rows import IllegalError, Rows, plain

KEEPER = "keeper"
"""Who did what no person did."""
_ADOPTED = "state attempt container started_at gpus cpus memory".split()
_TOLERANCE = (5.0, 0.02)
"""An expected start that moved by less (seconds, and share of the wait) is not written again."""


class Lifecycle(Rows):
    """The keeper's changes. Each is one transaction; attempts that are over are never changed."""

    def book(self, starts: Sequence[Start], now: float, memory: Optional[int] = None) -> List[Job]:
        """Book what the plan found; the jobs that were booked, as they are now.

        Each start is checked against what is booked at this moment: a job that is no longer queued, whose
        request was changed, or whose GPUs, CPUs or memory (of `memory` bytes in all) were taken meanwhile is
        left out.
        """
        booked: List[Job] = []
        with self._change():
            if self.limits().paused:
                return []
            active = self.active_jobs()
            gpus = {gpu for job in active for gpu in job.gpus}
            cpus = {cpu for job in active for cpu in job.cpus}
            taken = sum(job.memory for job in active)
            for start in starts:
                found = self.get(start.job)
                if found is None or not self._bookable(found, start, now):
                    continue
                if gpus & set(start.gpus) or cpus & set(start.cpus):
                    continue
                if memory is not None and start.memory and taken + start.memory > memory:
                    continue
                gpus |= set(start.gpus)
                cpus |= set(start.cpus)
                taken += start.memory
                booked.append(self._book(found, start, now))
        return booked

    def _bookable(self, job: Job, start: Start, now: float) -> bool:
        """Whether the job is still as the plan saw it."""
        asked = job.request
        if job.state != QUEUED or job.cancel_by or (job.begin_at is not None and job.begin_at > now):
            return False
        if len(set(start.gpus)) != asked.gpus or len(set(start.cpus)) < asked.cpus:
            return False
        if start.memory < asked.memory or (asked.gpu_ids and set(asked.gpu_ids) != set(start.gpus)):
            return False
        for number, kind in job.after:
            before = self.get(number)
            state = COMPLETED if before is None and kind == AFTER_ANY else before.state if before else ""
            if state not in ENDED or (kind != AFTER_ANY and state != COMPLETED):
                return False
        return True

    def _book(self, job: Job, start: Start, now: float) -> Job:
        new = job._replace(
            state=STARTING,
            attempt=job.attempt + 1,
            gpus=tuple(start.gpus),
            cpus=tuple(start.cpus),
            memory=start.memory,
            started_at=None,
            ended_at=None,
            container="",
            exit_code=None,
            error="",
            log="",
            reason="",
            expected_start=None,
        )
        what = {"gpus": list(start.gpus), "cpus": list(start.cpus), "memory": start.memory}
        return self._put(job, new, KEEPER, f"attempt {new.attempt} starts", now=now, data=what)

    def started(self, number: int, attempt: int, container: str, now: float) -> Job:
        """Its container runs. The same once more changes nothing. Raises IllegalError."""
        with self._change(soft=True):
            job, _, _ = self._attempt(number, attempt)
            if job.state == RUNNING:
                if job.container != container:
                    raise IllegalError(f"job {number} runs in another container.")
                return job
            new = job._replace(state=RUNNING, container=container, started_at=now)
            what = {"container": container}
            return self._put(job, new, KEEPER, "runs", now=now, data=what, losses=0)

    def ended(  # noqa: PLR0917  # what the engine tells of an end
        self,
        number: int,
        attempt: int,
        state: str,
        exit_code: Optional[int],
        error: str,
        now: float,
        log: str = "",
    ) -> Job:
        """Record an end and free what was booked. A job that failed is queued again as often as it asked for.

        Raises IllegalError for an attempt that is over.
        """
        if state not in ENDED:
            raise IllegalError(f"{state} is no end.")
        with self._change(soft=True):
            job, failures, _ = self._attempt(number, attempt)
            what = {"exit_code": exit_code, "state": state, "container": job.container}
            text = _end_text(state, exit_code, error)
            if state == FAILED and failures < job.retries and not job.cancel_by:
                left = job.retries - failures - 1
                text += f"; queued again ({left} more times)" if left else "; queued again for the last time"
                again = waiting_again(job)
                return self._put(job, again, KEEPER, text, now=now, data=what, failures=failures + 1)
            new = job._replace(
                state=state,
                exit_code=exit_code,
                error=error,
                ended_at=now,
                log=log,
                container="" if log else job.container,
            )
            return self._put(job, new, KEEPER, text, now=now, data=what)

    def unbook(self, number: int, attempt: int, why: str, now: Optional[float] = None) -> Job:
        """It never got a container: queued again once, the second time it has failed. Raises IllegalError."""
        now = time.time() if now is None else now
        with self._change():
            job, _, losses = self._attempt(number, attempt)
            if job.state != STARTING:
                raise IllegalError(f"job {number} has a container.")
            if job.cancel_by or losses:
                state = "cancelled" if job.cancel_by else FAILED
                new = job._replace(state=state, error=why, ended_at=now)
                return self._put(job, new, KEEPER, why, now=now, losses=0)
            text = f"{why}; queued again"
            return self._put(job, waiting_again(job), KEEPER, text, now=now, losses=losses + 1)

    def doom(self, reasons: Mapping[int, str], now: float) -> List[Job]:
        """Jobs that can never run have failed; those that do not wait any more are left alone."""
        out = []
        with self._change():
            for number, why in reasons.items():
                job = self.get(number)
                if job is not None and job.state in WAITING:
                    new = job._replace(state=FAILED, error=why, ended_at=now)
                    out.append(self._put(job, new, KEEPER, why, now=now))
        return out

    def saved(self, number: int, attempt: int, log: str, why: str = "") -> None:
        """The output of an attempt that is over is in the file `log`, or nowhere, and `why`."""
        with self._change():
            job, _, _ = self._one(number)
            if job.attempt == attempt and job.state in ACTIVE:
                raise IllegalError(f"job {number} is still {job.state}.")
            new = job._replace(log=log, container="") if job.attempt == attempt else job
            text = "output saved" if log else f"no output was kept: {why or 'it had no container'}"
            self._put(job, new, KEEPER, text, now=time.time(), data={"log": log, "of": attempt})

    def unsaved(self, number: int, attempt: int, text: str) -> None:
        """The output of an attempt could not be saved; said once."""
        with self._change():
            job, _, _ = self._one(number)
            row = self._sql("SELECT text FROM events WHERE job = ? ORDER BY id DESC LIMIT 1", (number,))
            if not row or row[0][0] != text:
                self._put(job, job, KEEPER, text, now=time.time(), data={"of": attempt})

    def adopt(self, job: Job, container: str, now: float) -> Job:
        """Take in a job that has a container of which the database does not know, with its booking.

        Either the job itself is not known (its database was lost: numbers are never given twice in a folder,
        so it keeps its own), or its row waits and knows of fewer attempts (an older database was put back).
        Raises IllegalError where the row says otherwise.
        """
        text = f"adopted: it runs in container {container[:12]}"
        with self._change():
            new = job._replace(
                state=RUNNING,
                container=container,
                after=(),
                started_at=job.started_at or now,
                ended_at=None,
                position=job.position or float(job.id),
            )
            row = self.get(job.id)
            if row is None:
                self._skip_ids(job.id)
                self._insert(new, self._spec_number(new.spec), KEEPER, text, now)
                return new
            if row.state not in WAITING or row.attempt >= job.attempt or row.owner != job.owner:
                raise IllegalError(f"job {job.id} is {row.state}: it cannot be adopted.")
            booked = row._replace(
                **{key: getattr(new, key) for key in _ADOPTED}, reason="", expected_start=None
            )
            starting = row._replace(state=STARTING)
            self._put(row, starting, KEEPER, text, now=now)
            return self._put(starting, booked, KEEPER, text, now=now)

    def set_waiting(
        self, reasons: Mapping[int, str], expected: Optional[Mapping[int, Optional[float]]] = None
    ) -> int:
        """Write what the plan says of waiting jobs, as far as it changed; how many rows that were.

        No event: it says what will be, not what was. Expected starts that moved little are left.
        """
        expected = expected or {}
        now = time.time()
        changed, known = [], 0
        for number, reason, start in self._each("SELECT job, reason, expected FROM waits"):
            text = reasons.get(number)
            if text is not None:
                known += 1
                if plain(text[:1000]) != reason or _moved(start, expected.get(number), now):
                    changed.append(number)
        if known < len(reasons):
            old = {number for (number,) in self._each("SELECT job FROM waits")}
            changed += [number for number in reasons if number not in old]
        if changed:
            # thousands at a time: each is made when it is written
            rows = ((one, plain(reasons[one][:1000]), expected.get(one), one) for one in changed)
            with self._change(soft=True) as connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO waits SELECT ?, ?, ? FROM jobs WHERE id = ? "
                    "AND state IN ('queued', 'held')",
                    rows,
                )
        return len(changed)

    def note(self, number: int, text: str, who: str = KEEPER, now: Optional[float] = None) -> None:
        """Write an event that changes nothing."""
        with self._change():
            job, _, _ = self._one(number)
            self._put(job, job, who, text, now=time.time() if now is None else now)

    def _take_ids(self, count: int) -> int:
        """The first of `count` new numbers."""
        first = int(self._meta("next_id") or 1)
        self._set_meta("next_id", str(first + count))
        self._reserve(first + count)
        return first

    def next_id(self) -> int:
        """All numbers below were given."""
        return int(self._sql("SELECT value FROM meta WHERE key = 'next_id'")[0][0])

    def _skip_ids(self, number: int) -> None:
        if number >= int(self._meta("next_id") or 1):
            self._set_meta("next_id", str(number + 1))
            self._reserve(number + 1)

    def skip_ids(self, numbers: Iterable[int]) -> None:
        """Never give these numbers, nor lower ones: containers of a lost database have them."""
        highest = max(numbers, default=0)
        if highest >= self.next_id():
            with self._change():
                self._skip_ids(highest)


def waiting_again(job: Job) -> Job:
    """The job as it waits once more."""
    return job._replace(
        state=HELD if job.state == HELD else QUEUED,
        started_at=None,
        ended_at=None,
        gpus=(),
        cpus=(),
        memory=0,
        container="",
        exit_code=None,
        error="",
        cancel_by="",
        log="",
        reason="",
        expected_start=None,
    )


def _moved(old: Optional[float], new: Optional[float], now: float) -> bool:
    if old is None or new is None:
        return old is not new
    return abs(new - old) > max(_TOLERANCE[0], _TOLERANCE[1] * (new - now))


def _end_text(state: str, exit_code: Optional[int], error: str) -> str:
    code = "" if exit_code is None else f" with exit code {exit_code}"
    return f"{state}{code}{': ' + error if error else ''}"
