"""New jobs: all of a submit or none, and once only for each key of the asker's."""

from __future__ import annotations

import time
from typing import Dict, List, Optional, Sequence, Set, Tuple

from ..errors import MissingError, UsageError
from ..jobs import AFTER_ANY, AFTER_OK, ENDED, HELD, QUEUED, Job
from ..plan import CLOSED_HINT, closed
from . import schema
from .lifecycle import Lifecycle
from .rows import IllegalError


class Submits(Lifecycle):
    """Takes jobs in. `by` is who asked."""

    def submit(self, jobs: Sequence[Job], by: str, now: Optional[float] = None, key: str = "") -> List[int]:
        """Queue all of them or none; their numbers. With a `key` that was used before, the numbers of then.

        In `after` and `array`, -1 is the first of these jobs, -2 the second. Raises UsageError for a job
        that waits for itself, in whatever way, or for one that is not there; IllegalError while draining.
        """
        now = time.time() if now is None else now
        with self._change() as connection:
            if key:
                connection.execute(schema.SUBMITS)
                before = self.submitted(by, key)
                if before:
                    return before
            refused = closed(self.limits())
            if refused:
                raise IllegalError(f"{refused}.", CLOSED_HINT)
            first = self._take_ids(len(jobs))
            numbers = list(range(first, first + len(jobs)))
            ready = [_numbered(job, first + at, first, len(jobs)) for at, job in enumerate(jobs)]
            self._check_after(ready, set(numbers))
            for job in ready:
                new = job._replace(
                    state=HELD if job.state == HELD else QUEUED, position=float(job.id), submitted_at=now
                )
                text = "submitted, held" if new.state == HELD else "submitted"
                self._insert(new, self._spec_number(new.spec), by, text, now)
            if key:
                self._sql("INSERT INTO submits VALUES (?, ?, ?)", (first, len(jobs), _key(by, key)))
        return numbers

    def submitted(self, by: str, key: str) -> List[int]:
        """What this person submitted by that key; nothing, or what is left of it."""
        if not self._sql("SELECT 1 FROM sqlite_master WHERE name = 'submits'"):
            return []
        row = self._sql("SELECT first, count FROM submits WHERE key = ?", (_key(by, key),))
        if not row:
            return []
        first, count = row[0]
        return [
            one
            for (one,) in self._sql(
                "SELECT id FROM jobs WHERE id >= ? AND id < ? ORDER BY id", (first, first + count)
            )
        ]

    # -- dependencies

    def _check_after(self, jobs: Sequence[Job], fresh: Set[int]) -> None:
        """Raise for what can never come true. `fresh`: numbers of this submit."""
        edges: Dict[int, Tuple[int, ...]] = {job.id: tuple(one for one, _ in job.after) for job in jobs}
        for job in jobs:
            for number, kind in job.after:
                if kind not in (AFTER_OK, AFTER_ANY):
                    raise UsageError(f"after {number}: {kind!r} is neither {AFTER_OK} nor {AFTER_ANY}.")
                if number not in fresh and number not in edges:
                    found = self.get(number)
                    if found is None:
                        raise MissingError(f"after {number}: there is no job {number}.", "See: berth jobs")
        for job in jobs:
            self._no_cycle(job.id, edges)

    def _no_cycle(self, start: int, edges: Dict[int, Tuple[int, ...]]) -> None:
        """Raise UsageError if `start` waits for itself. `edges` learns what is read."""
        seen: Set[int] = set()
        waiting = list(edges[start])
        while waiting:
            number = waiting.pop()
            if number == start:
                raise UsageError(
                    f"job {start} would wait for itself (after {', '.join(map(str, edges[start]))})."
                )
            if number in seen:
                continue
            seen.add(number)
            if number not in edges:
                found = self.get(number)
                done = found is None or found.state in ENDED
                edges[number] = () if done else tuple(one for one, _ in found.after)  # type: ignore[union-attr]
            waiting.extend(edges[number])


def _key(by: str, key: str) -> str:
    """Of one person: nobody gets another's jobs for an answer."""
    return f"{by} {key}"


def _numbered(job: Job, number: int, first: int, count: int) -> Job:
    """The job with its number, and those of the others of its submit in place of -1, -2 ..."""

    def real(one: int, what: str) -> int:
        if one >= 0:
            return one
        if -one > count:
            raise UsageError(f"{what} {one}: this submit has {count} jobs.", "-1 is the first of them.")
        return first - one - 1

    after = tuple((real(one, "after"), kind) for one, kind in job.after)
    return job._replace(id=number, after=after, array=real(job.array, "array"))
