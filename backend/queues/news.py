"""What happened to jobs between two states of the fleet: started, ended, failed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.model import FleetState, HostSnapshot, HostState, Job, JobRow
from backend.queues.describe import called
from backend.queues.ends import outcome
from backend.queues.jobrows import job_rows
from backend.text import duration, printable

if TYPE_CHECKING:
    from backend.config.schema import Notify

_FACT = 300
"""Characters of a fact that a host told."""


@dataclass(frozen=True)
class _Known:
    """What was known of a host's jobs."""

    queue: object
    cluster: object
    jobs: Mapping[str, tuple[str, int]]
    """State and attempt by number."""
    newest: float
    """When the last of those ended that had, on the host's clock."""


class News:
    """Remembers the jobs of each host, and tells what is new of them."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def feed(self, state: FleetState, wanted: Notify) -> list[JobRow]:
        """The jobs that came into one of the wanted states since the last time.

        Of a host that is seen for the first time nothing is news. What happened while a host was away is
        told when it is back.
        """
        found: list[JobRow] = []
        for host in state.hosts.values():
            if host.state is HostState.UP and (host.queue is not None or host.cluster is not None):
                found += self._host(host, wanted)
        return found

    def _host(self, host: HostSnapshot, wanted: Notify) -> list[JobRow]:
        before = self._known.get(host.name)
        if before is not None and before.queue is host.queue and before.cluster is host.cluster:
            return []
        jobs = {_key(job): job for job in _jobs(host)}
        ends = [end for job in jobs.values() if (end := _ended(job)) is not None]
        newest = max([*ends, before.newest if before else 0.0])
        states = {key: (job.state, job.attempt) for key, job in jobs.items()}
        self._known[host.name] = _Known(host.queue, host.cluster, states, newest)
        if before is None:
            return []
        me = host.hello.user if host.hello is not None else ""
        return [
            _row(host, job)
            for key, job in jobs.items()
            if job.state in wanted.states
            and before.jobs.get(key) != states[key]
            and (wanted.jobs == "all" or job.owner == me)
            and not _by(job, me)
            and (key in before.jobs or (_ended(job) or newest) > before.newest)
        ]


def sentence(row: JobRow) -> str:
    """`h1: job 12 (train) failed: exit code 3, after 2 h`."""
    what = "runs" if row.state == "running" else row.state
    end = outcome(row)
    if row.state == "cancelled" and end.startswith("cancelled"):  # `cancelled by bob`
        what, end = end, ""
    why = f": {end}" if row.state in ("failed", "timeout", "cancelled") and end else ""
    took = ""
    if row.started_at is not None and row.ended_at is not None:
        took = f", after {duration((row.ended_at - row.started_at).total_seconds())}"
    return printable(f"{row.host}: job {row.id} ({called(row)}) {what}{why}{took}", _FACT)


def summary(rows: Sequence[JobRow]) -> str:
    """One line for many: `12 jobs: 9 completed, 3 failed`."""
    if len(rows) == 1:
        return sentence(rows[0])
    counts: dict[str, int] = {}
    for row in rows:
        word = "started" if row.state == "running" else row.state
        counts[word] = counts.get(word, 0) + 1
    return f"{len(rows)} jobs: " + ", ".join(f"{count} {word}" for word, count in counts.items())


def facts(row: JobRow) -> dict[str, str]:
    """The environment of a command that is told of it."""
    took = ""
    if row.started_at is not None and row.ended_at is not None:
        took = f"{(row.ended_at - row.started_at).total_seconds():.0f}"
    found = {
        "HOST": row.host,
        "ID": row.id,
        "NAME": called(row),
        "OWNER": row.owner,
        "STATE": row.state,
        "EXIT": "" if row.exit_code is None or row.ended_at is None else str(row.exit_code),
        "REASON": outcome(row),
        "SECONDS": took,
        "GPUS": str(row.gpus),
        "ENGINE": row.engine,
        "TEXT": sentence(row),
    }
    return {f"BERTH_JOB_{name}": printable(value, _FACT) for name, value in found.items()}


def _jobs(host: HostSnapshot) -> Iterable[Job | JobRow]:
    if host.queue is not None:
        yield from host.queue.jobs
    if host.cluster is not None:
        yield from host.cluster.jobs


def _key(job: Job | JobRow) -> str:
    return str(job.id)


def _ended(job: Job | JobRow) -> float | None:
    if job.ended_at is None:
        return None
    return job.ended_at if isinstance(job.ended_at, float) else job.ended_at.timestamp()


def _by(job: Job | JobRow, me: str) -> bool:
    """Whether the person ended it: they know."""
    return isinstance(job, Job) and job.state == "cancelled" and bool(me) and job.cancel_by == me


def _row(host: HostSnapshot, job: Job | JobRow) -> JobRow:
    return job if isinstance(job, JobRow) else job_rows(host.name, [job])[0]
