"""`python -m tests.bench.queue`: what the queue costs, as JSON."""

from __future__ import annotations

import json
import random
import statistics
import sys
import time

from backend.agent.queue.jobs import QUEUED, RUNNING, Job, Request, Spec
from backend.agent.queue.machine import Cpu, Gpu, Machine
from backend.agent.queue.plan import Limits, plan
from tests.bench.table import Figure, as_json

WAITING = 10_000
GPUS = 8
GB = 1 << 30


def figures(*, quick: bool = False) -> list[Figure]:
    """All of them."""
    from tests.bench import queue_host

    return [*_planning(5 if quick else 25), *queue_host.figures(quick=quick)]


def _planning(runs: int) -> list[Figure]:
    """One plan for a long line, as the keeper makes it whenever a job ends."""
    host = Machine(
        tuple(Cpu(one, one // 64, one % 64) for one in range(128)),
        tuple(Gpu(f"GPU-{one}", one, one // 4) for one in range(GPUS)),
        1024 * GB,
    )
    found = []
    for what, limit, jobs in (
        ("plan", 50.0, _line(alike=True)),
        ("plan, no two jobs alike", None, _line(alike=False)),
    ):
        times = []
        for _ in range(runs):
            before = time.perf_counter()
            made = plan(jobs, host, Limits(), 1000.0)
            times.append(1000 * (time.perf_counter() - before))
        note = f"{len(made.starts)} start, {len(made.reasons)} are told why not; worst {max(times):.0f} ms"
        found.append(
            Figure(f"{what}: {WAITING:,} jobs wait", statistics.median(times), "ms", limit, note=note)
        )
    return found


def _line(*, alike: bool) -> list[Job]:
    """All GPUs but one in use, by jobs with limits; and a line of all kinds behind them."""
    rng = random.Random(1)
    spec = Spec("sha256:0")
    jobs = []
    for number in range(1, GPUS):
        request = Request(1, (), 8, 64 * GB, 3600.0 * number)
        cpus = tuple(range(8 * number, 8 * number + 8))
        jobs.append(
            Job(
                number,
                "ann",
                1000,
                f"job-{number}",
                spec,
                request,
                RUNNING,
                position=float(number),
                started_at=0.0,
                gpus=(f"GPU-{number}",),
                cpus=cpus,
                memory=64 * GB,
            )
        )
    for number in range(GPUS, GPUS + WAITING):
        limit = rng.choice([None, 600.0, 3600.0, 86400.0])
        request = Request(rng.choice([0, 1, 1, 1, 2, 4, 8]), (), rng.choice([2, 8, 16]), 32 * GB, limit)
        if not alike:
            request = request._replace(memory=rng.randint(1, 512 * GB), time_limit=rng.uniform(60, 86400))
        owner, priority = rng.choice(["ann", "bob", "cleo"]), rng.choice([0, 0, 0, 10])
        jobs.append(Job(number, owner, 1000, f"job-{number}", spec, request, QUEUED, priority, float(number)))
    rng.shuffle(jobs)
    return jobs


if __name__ == "__main__":
    print(json.dumps(as_json(figures(quick="--quick" in sys.argv)), indent=1))
