"""Jobs as rows and rows as jobs, and the one way in which a row changes: together with its event."""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, Iterable, List, Optional, Tuple

try:
    from _blake2 import blake2b  # hashlib would load all of OpenSSL, which is 4 MB of a keeper
except ImportError:
    from hashlib import blake2b

from ..errors import MissingError, QueueError
from ..jobs import (
    ACTIVE,
    ENDED,
    HELD,
    QUEUED,
    WAITING,
    Job,
    Request,
    Spec,
    job_from,
    job_json,
    spec_from,
    spec_json,
)
from ..plan import Limits
from .base import Base

_COLUMNS = "jobs.id, jobs.revision, jobs.doc, specs.text, jobs.spec"
_FROM = "FROM jobs JOIN specs ON specs.id = jobs.spec"
_UNFINISHED = "('queued', 'held', 'starting', 'running')"
_SHARED = 1000
_AT_ONCE = 500
"""Values in one statement: old SQLites take 999."""
_LEGAL = {
    (QUEUED, HELD),
    (HELD, QUEUED),
    *((old, new) for old in WAITING for new in ENDED),
    (QUEUED, "starting"),
    ("starting", "running"),
    *((old, new) for old in ACTIVE for new in (*ENDED, QUEUED)),
    *((old, QUEUED) for old in ENDED),
}
"""Every change of state that there is."""


class IllegalError(QueueError):
    """The job is not in a state from which this could be done. Trying again does not help."""

    kind = "refused"


def compact(data: Any) -> str:
    """One line of ASCII JSON."""
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


class Rows(Base):
    """Reads and writes single jobs, inside the transactions of the others."""

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self._specs: Dict[int, Spec] = {}
        self._requests: Dict[Request, Request] = {}
        self._cache: Dict[int, Job] = {}
        self._submitted = 0.0
        """When the job was submitted that was read last: thousands are at the same moment."""
        self._seen = -1

    def _forget(self) -> None:
        self._specs.clear()
        self._cache.clear()
        self._seen = -1

    def _undone(self) -> None:
        self._specs.clear()  # a number that was rolled back is given to another spec

    # -- reading

    def unfinished(self) -> List[Job]:
        """All that wait or hold resources, without `reason` and `expected_start`. Costs what changed."""
        self._ready()
        first = self._seen < 0
        row = self._sql("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        seen = int(row[0][0]) if row else 0
        if first or seen != self._seen:
            where = f"state IN {_UNFINISHED}" if first else f"revision > {self._seen}"
            columns = "id, state, doc, spec"
            rows = self._each(f"SELECT {columns} FROM jobs WHERE {where}")  # noqa: S608  # no text of others
            for number, state, doc, spec in rows:
                if state in ENDED:  # and may be forgotten by now, with its spec
                    self._cache.pop(number, None)
                else:
                    self._cache[number] = self._job(doc, "", spec)
            if not first and self._seen < 0:
                return self.unfinished()  # the database became another one meanwhile
            self._seen = seen
        return list(self._cache.values())

    def get(self, number: int) -> Optional[Job]:
        """One job with everything known of it."""
        found = self._select("jobs.id = ?", (number,))
        return found[0] if found else None

    def needed(self, numbers: Iterable[int]) -> List[Job]:
        """Those of the jobs that have ended (others wait for them)."""
        wanted = sorted(set(numbers))
        out: List[Job] = []
        for at in range(0, len(wanted), _AT_ONCE):
            some = wanted[at : at + _AT_ONCE]
            marks = ",".join("?" * len(some))
            out += self._select(f"jobs.id IN ({marks}) AND jobs.state NOT IN {_UNFINISHED}", some)
        return out

    def active_jobs(self) -> List[Job]:
        """Those that hold resources."""
        return self._select("jobs.state IN ('starting', 'running')", ())

    def latest(self, limit: int, since: float = 0.0) -> List[Job]:
        """The latest that ended, newest first."""
        return self._select("jobs.ended_at >= ? ORDER BY jobs.ended_at DESC LIMIT ?", (since, limit))

    def counts(self) -> Dict[str, int]:
        """How many jobs are in each state."""
        return {
            str(state): int(n) for state, n in self._sql("SELECT state, count(*) FROM jobs GROUP BY state")
        }

    def limits(self) -> Limits:
        """What the queue's people agreed on."""
        row = self._sql("SELECT value FROM meta WHERE key = 'limits'")
        found = json.loads(row[0][0]) if row else {}
        return Limits(**{key: found[key] for key in Limits._fields if key in found})

    def _select(self, where: str, values: Iterable[Any]) -> List[Job]:
        columns = f"{_COLUMNS}, waits.reason, waits.expected"
        source = f"{_FROM} LEFT JOIN waits ON waits.job = jobs.id"
        out = []
        for row in self._sql(f"SELECT {columns} {source} WHERE {where}", tuple(values)):
            _, _, doc, text, spec, reason, expected = row
            out.append(self._job(doc, text, spec)._replace(reason=reason or "", expected_start=expected))
        return out

    def _job(self, doc: str, text: str, number: int) -> Job:
        spec = self._specs.get(number)
        if spec is None:
            text = text or self._sql("SELECT text FROM specs WHERE id = ?", (number,))[0][0]
            spec = self._specs[number] = spec_from(json.loads(text))
        data = json.loads(doc)
        data["spec"] = _NO_SPEC
        job = job_from(data)
        if len(self._requests) > _SHARED:
            self._requests.clear()
        request = self._requests.setdefault(job.request, job.request)
        # what many jobs have in common is kept once: ten thousand of them wait in a keeper's memory
        owner, state, name = sys.intern(job.owner), sys.intern(job.state), sys.intern(job.name)
        if job.submitted_at != self._submitted:
            self._submitted = job.submitted_at
        return job._replace(
            spec=spec, request=request, owner=owner, state=state, name=name, submitted_at=self._submitted
        )

    # -- writing, inside a transaction

    def _one(self, number: int) -> Tuple[Job, int, int]:
        """The job, how often it failed, how often its container was lost. Raises MissingError."""
        columns = f"{_COLUMNS}, jobs.failures, jobs.losses"
        rows = self._sql(f"SELECT {columns} {_FROM} WHERE jobs.id = ?", (number,))
        if not rows:
            raise MissingError(f"there is no job {number}.")
        _, _, doc, text, spec, failures, losses = rows[0]
        return self._job(doc, text, spec), failures, losses

    def _attempt(self, number: int, attempt: int) -> Tuple[Job, int, int]:
        """The same, for an attempt that is under way. Raises IllegalError if it is not."""
        job, failures, losses = self._one(number)
        if job.attempt != attempt or job.state not in ACTIVE:
            raise IllegalError(f"attempt {attempt} of job {number} is over: it is {job.state}.")
        return job, failures, losses

    def _put(
        self,
        old: Job,
        new: Job,
        who: str,
        text: str,
        *,
        now: float,
        data: Optional[Dict[str, Any]] = None,
        failures: Optional[int] = None,
        losses: Optional[int] = None,
    ) -> Job:
        """Write a job as it is from now on, with the event that says why. Raises IllegalError."""
        if old.state != new.state and (old.state, new.state) not in _LEGAL:
            raise IllegalError(f"job {old.id} is {old.state}: it cannot become {new.state}.")
        revision = self._event(new.id, new.attempt, old.state, new.state, who, text, now, data)
        self._sql(
            "UPDATE jobs SET state = ?, owner = ?, priority = ?, position = ?, ended_at = ?, revision = ?, "
            "failures = coalesce(?, failures), losses = coalesce(?, losses), doc = ? WHERE id = ?",
            (
                *(new.state, new.owner, new.priority, new.position, new.ended_at, revision),
                *(failures, losses, document(new), new.id),
            ),
        )
        if old.state != new.state:
            self._sql("DELETE FROM waits WHERE job = ?", (new.id,))
        return new

    def _insert(self, job: Job, spec: int, who: str, text: str, now: float) -> None:
        revision = self._event(job.id, job.attempt, "", job.state, who, text, now)
        self._sql(
            "INSERT INTO jobs (id, state, owner, priority, position, array_id, ended_at, revision, "
            "spec, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(job.id, job.state, job.owner, job.priority, job.position, job.array, job.ended_at),
                *(revision, spec, document(job)),
            ),
        )

    def _event(  # noqa: PLR0917  # a row
        self,
        job: Optional[int],
        attempt: int,
        old: str,
        new: str,
        who: str,
        text: str,
        now: float,
        data: Optional[Dict[str, Any]] = None,
    ) -> int:
        """Write an event; its number."""
        self._sql(
            "INSERT INTO events (at, job, attempt, old, new, who, text, data) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (now, job, attempt, old, new, plain(who), plain(text[:2000]), compact(data or {})),
        )
        return int(self._sql("SELECT last_insert_rowid()")[0][0])

    def _spec_number(self, spec: Spec) -> int:
        """The row of the spec; equal ones share it."""
        text = compact(spec_json(spec))
        digest = blake2b(text.encode("ascii"), digest_size=32).hexdigest()
        self._sql("INSERT OR IGNORE INTO specs (hash, text) VALUES (?, ?)", (digest, text))
        return int(self._sql("SELECT id FROM specs WHERE hash = ?", (digest,))[0][0])


def plain(text: str) -> str:
    """The text as UTF-8 can hold it: names of processes and users are bytes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def document(job: Job) -> str:
    """The job without its spec and without what the plan says of it."""
    data = job_json(job)
    for key in ("spec", "reason", "expected_start"):
        data.pop(key, None)
    return compact(data)


_NO_SPEC: Dict[str, Any] = {"image": ""}
