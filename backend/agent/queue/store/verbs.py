"""What people change of what is there: cancel, hold, move, edit, retry, the queue's settings.

Who may do so is decided in `api`.
"""

from __future__ import annotations

import json
import time
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from ..errors import UsageError
from ..jobs import ACTIVE, CANCELLED, ENDED, HELD, QUEUED, WAITING, Job
from ..plan import Limits
from .lifecycle import waiting_again
from .rows import IllegalError, compact
from .submits import Submits

_FIELDS = frozenset(
    "name priority request begin_at after retries array_limit".split(),
)
"""What `edit` changes of a waiting job."""


class Verbs(Submits):
    """Changes that people ask for. `by` is who asked."""

    def cancel(self, numbers: Iterable[int], by: str) -> Dict[int, str]:
        """End jobs: `cancelled` waited, `stopping` runs and is ended by the keeper, `ended` had ended before.

        Raises MissingError, and changes nothing then.
        """
        out: Dict[int, str] = {}
        now = time.time()
        with self._change():
            for number in dict.fromkeys(numbers):
                job, _, _ = self._one(number)
                if job.state in ENDED:
                    out[number] = "ended"
                elif job.state in WAITING:
                    new = job._replace(state=CANCELLED, cancel_by=by, ended_at=now)
                    self._put(job, new, by, "cancelled while it waited", now=now)
                    out[number] = CANCELLED
                else:
                    if not job.cancel_by:
                        self._put(job, job._replace(cancel_by=by), by, "its end was asked for", now=now)
                    out[number] = "stopping"
        return out

    def hold(self, numbers: Iterable[int], by: str) -> List[Job]:
        """Let waiting jobs wait until they are released. Raises IllegalError for others."""
        return self._between(numbers, by, HELD, "held")

    def release(self, numbers: Iterable[int], by: str) -> List[Job]:
        """The reverse of `hold`."""
        return self._between(numbers, by, QUEUED, "released")

    def _between(self, numbers: Iterable[int], by: str, state: str, text: str) -> List[Job]:
        out = []
        with self._change():
            for number in dict.fromkeys(numbers):
                job, _, _ = self._one(number)
                if job.state not in WAITING:
                    raise IllegalError(f"job {number} does not wait: it is {job.state}.")
                if job.state != state:
                    job = self._put(job, job._replace(state=state), by, text, now=time.time())
                out.append(job)
        return out

    def move(
        self, number: int, where: str, other: Optional[int] = None, *, by: str, among: Optional[str] = None
    ) -> Job:
        """Change a waiting job's turn: `first`, `last`, `before` or `after` the job `other`.

        The jobs that change places are those of the same priority, and of the owner `among` if given: they
        share out the places that they have, so that everybody else keeps theirs.
        """
        with self._change():
            job, _, _ = self._one(number)
            pool = self._select(
                "jobs.state IN ('queued', 'held') AND jobs.priority = ? AND (? IS NULL OR jobs.owner = ?) "
                "ORDER BY jobs.position, jobs.id",
                (job.priority, among, among),
            )
            order = [each.id for each in pool]
            if number not in order:
                raise IllegalError(f"job {number} does not wait: it is {job.state}.")
            order.remove(number)
            order.insert(self._target(order, job, where, other), number)
            places = sorted({each.position for each in pool})
            if len(places) < len(pool):  # after an adoption two may share one
                places = [places[0] + at / len(pool) for at in range(len(pool))]
            by_id = {each.id: each for each in pool}
            for place, each in zip(places, order):
                old = by_id[each]
                if old.position != place:
                    text = (
                        f"moved {where}{'' if other is None else f' {other}'}" if each == number else "moved"
                    )
                    self._put(old, old._replace(position=place), by, text, now=time.time())
            return self._one(number)[0]

    def _target(self, order: List[int], job: Job, where: str, other: Optional[int]) -> int:
        if where == "first":
            return 0
        if where == "last":
            return len(order)
        if where not in ("before", "after") or other is None:
            raise UsageError(f"{where!r} is no place.", "Say first, last, before NUMBER or after NUMBER.")
        if other == job.id:
            raise UsageError(f"job {other} cannot go {where} itself.")
        if other not in order:
            found, _, _ = self._one(other)
            if found.state not in WAITING:
                raise UsageError(f"job {other} does not wait: it is {found.state}.")
            if found.priority != job.priority:
                raise UsageError(
                    f"job {other} has priority {found.priority}, job {job.id} has {job.priority}: places "
                    "are changed among equals.",
                    f"berth job edit {job.id} --priority {found.priority}",
                )
            raise IllegalError(f"job {other} is not yours: places are changed among your own jobs.")
        return order.index(other) + (where == "after")

    def edit(self, number: int, by: str, **changes: Any) -> Job:
        """Change fields of a waiting job; of one that runs, `name` and the time limit only.

        Fields: name, priority, request, begin_at, after, retries, array_limit, which is its whole array's.
        """
        unknown = set(changes) - _FIELDS
        if unknown:
            raise UsageError(
                f"{sorted(unknown)[0]} cannot be changed.", "Can be: " + ", ".join(sorted(_FIELDS))
            )
        with self._change():
            job, _, _ = self._one(number)
            if job.state in ENDED:
                raise IllegalError(f"job {number} has ended: it is {job.state}.", f"berth job retry {number}")
            new = job._replace(**changes)
            if job.state in ACTIVE:
                same = new.request._replace(time_limit=job.request.time_limit)
                if same != job.request or new._replace(name=job.name, request=job.request) != job:
                    raise IllegalError(
                        f"job {number} is {job.state}: only its name and time limit can change."
                    )
            if "after" in changes:
                self._check_after([new], set())
            now = time.time()
            if "array_limit" in changes and job.array:
                self._limit_array(job, changes["array_limit"], by, now)
            return self._put(job, new, by, "changed: " + ", ".join(sorted(changes)), now=now)

    def _limit_array(self, job: Job, limit: int, by: str, now: float) -> None:
        """So many of its array at a time: what holds for one holds for the others that wait."""
        where = "jobs.array_id = ? AND jobs.id != ? AND jobs.state IN ('queued', 'held')"
        for other in self._select(where, (job.array, job.id)):
            if other.array_limit != limit:
                new = other._replace(array_limit=limit)
                self._put(other, new, by, f"changed: array_limit, with job {job.id}", now=now)

    def retry(self, number: int, by: str) -> Job:
        """Queue an ended job once more, as it was, last in line, with all its retries."""
        with self._change():
            job, _, _ = self._one(number)
            if job.state not in ENDED:
                raise IllegalError(f"job {number} has not ended: it is {job.state}.")
            row = self._sql("SELECT max(position) FROM jobs WHERE state IN ('queued', 'held')")
            new = waiting_again(job)._replace(
                position=max(float(row[0][0] or 0) + 1, float(job.id)), submitted_at=time.time()
            )
            return self._put(job, new, by, "queued once more", now=time.time(), failures=0, losses=0)

    # -- the queue itself

    def set_limits(self, by: str, **changes: Any) -> Limits:
        """Change some of the fields of `Limits`."""
        with self._change():
            old = self.limits()
            new = old._replace(**changes)
            if new != old:
                usual = Limits()._asdict()
                kept = {key: value for key, value in new._asdict().items() if value != usual[key]}
                self._set_meta("limits", compact(kept))
                told = [key for key in sorted(changes) if not key.endswith("_at")]
                said = ", ".join(f"{key} = {changes[key] or 'none'}" for key in told)
                self._event(None, 0, "", "", by, said, time.time(), dict(changes))
            return new

    def forget(self, older_than: float, keep: int = 0, most: int = 0) -> Tuple[List[int], List[str]]:
        """Remove jobs that ended before this time, or before the newest `keep`: their numbers, their logs.

        Left are those that unfinished jobs wait for, and those whose output is still in a container. `most`:
        the oldest so many. 0 is without limit.
        """
        with self._change() as connection:
            gone = self._forgettable(older_than, keep, most)
            logs = self._remove(gone)
            connection.execute("DELETE FROM events WHERE job IS NULL AND at < ?", (older_than,))
        return gone, logs

    def forgettable(self, older_than: float) -> List[int]:
        """Those that `forget` would remove."""
        self._ready()
        return self._forgettable(older_than, 0, 0)

    def remove(self, numbers: Sequence[int]) -> List[str]:
        """Remove these jobs; their logs. Raises IllegalError for what has to stay, and removes none then."""
        with self._change():
            wanted = {one: job.id for job in self.unfinished() for one, _ in job.after}
            for number in numbers:
                job, _, _ = self._one(number)
                if job.state not in ENDED:
                    raise IllegalError(f"job {number} has not ended: it is {job.state}.")
                if number in wanted:
                    raise IllegalError(f"job {wanted[number]} waits for job {number}.")
                if job.container:
                    raise IllegalError(f"the output of job {number} is only in its container yet.")
            return self._remove(numbers)

    def _forgettable(self, older_than: float, keep: int, most: int) -> List[int]:
        before = max(older_than, self._newest(keep)) if keep else older_than
        wanted = {one for job in self.unfinished() for one, _ in job.after}
        found: List[int] = []
        for number, doc in self._each(
            "SELECT id, doc FROM jobs WHERE ended_at < ? ORDER BY ended_at, id", (before,)
        ):
            if number not in wanted and not json.loads(doc).get("container"):
                found.append(number)
                if len(found) == most:
                    break
        return found

    def _remove(self, numbers: Sequence[int]) -> List[str]:
        logs: List[str] = []
        for number in numbers:
            texts = self._sql("SELECT data FROM events WHERE job = ?", (number,))
            logs += {path for (text,) in texts for path in [json.loads(text).get("log")] if path}
            self._sql("DELETE FROM jobs WHERE id = ?", (number,))
        if numbers:
            self._sql("DELETE FROM specs WHERE id NOT IN (SELECT spec FROM jobs)")
            self._specs.clear()
        return logs

    def _newest(self, count: int) -> float:
        """When the oldest of so many jobs ended that ended last; 0 where there are not so many."""
        row = self._sql(
            "SELECT ended_at FROM jobs WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 1 OFFSET ?",
            (count - 1,),
        )
        return float(row[0][0]) if row else 0.0

    def remembered(self, key: str) -> str:
        """A text that was kept with the queue; empty if none was."""
        row = self._sql("SELECT value FROM meta WHERE key = ?", (f"kept {key}",))
        return str(row[0][0]) if row else ""

    def remember(self, key: str, text: str) -> None:
        """Keep a text with the queue."""
        with self._change():
            self._set_meta(f"kept {key}", text)

    def notice_seen(self, by: str) -> None:
        """People know of the database that was set aside."""
        with self._change():
            self._set_meta("notice", "")
            self._event(None, 0, "", "", by, "read that the database was set aside", time.time())
        self.notice = ""
