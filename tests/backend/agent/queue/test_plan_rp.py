"""The faults of rp's queue, replayed: each shows on rp's way of queueing and not on ours.

rp has no queue but many waiting programs. Each looks every ten seconds, in whatever order the machine wakes
them, whether the containers that run leave enough for it, and if so starts its own.
"""

from __future__ import annotations

import random

import pytest

from backend.agent.queue.jobs import STARTING
from backend.agent.queue.plan import Plan, Start, plan
from tests.backend.agent.queue.simulate import Simulation, job, machine, running, violations

HOUR = 3600.0
SEEDS = 100
NAMED = ("GPU-1", "GPU-2", "GPU-5", "GPU-7")


class Rp:
    """rp's waiting programs. Sees only `RUNNING` jobs: a container that is being made is not there yet."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __call__(self, jobs, host, limits, now) -> Plan:
        held = {gpu for one in jobs if one.state == "running" for gpu in one.gpus}
        free = [gpu.id for gpu in host.gpus if gpu.id not in held]
        starts, waiting = [], [one for one in jobs if one.state == "queued"]
        self._random.shuffle(waiting)
        for one in waiting:
            if one.request.gpus <= len(free):
                mine, free = free[: one.request.gpus], free[one.request.gpus :]
                starts.append(Start(one.id, tuple(mine), (), 0))
        started = {start.job for start in starts}
        reasons = {one.id: "waits" for one in waiting if one.id not in started}
        return Plan(tuple(starts), reasons, dict.fromkeys(reasons), {})


def stream(seed, planner, request, small, slots, hours=12.0):
    """A large request among an endless stream of small ones that always fill the host; and its number.

    One small job runs in each of `slots` when the large one comes, and two more wait all the time.
    """
    rng = random.Random(seed)
    host = Simulation(machine(gpus=slots, cpus=slots, memory=slots), planner=planner, seed=seed)
    length = {"runs": lambda: float(rng.randint(600, 2 * 3600))}
    for _ in range(slots):
        host.add(runs=length["runs"](), **small)
    host.run(until=0.0)
    before = dict(host.started)
    large = host.add(runs=HOUR, at=1.0, owner="bob", **request)
    for _ in range(2):
        host.add(runs=length["runs"](), at=1.0, **small)

    def refill() -> None:
        waiting = sum(one.state == "queued" for one in host.jobs.values()) - (large not in host.started)
        for _ in range(max(0, 2 - waiting)):
            host.add(runs=length["runs"](), **small)

    host.run(until=1.0)
    while large not in host.started and host.now < hours * HOUR:
        refill()
        host.run(until=host._events[0][0])
    return host, before, large


CASES = {
    "4 of 4 GPUs": (4, {"gpus": 4, "cpus": 0}, {"gpus": 1, "cpus": 0}, 4),
    "4 of 8 GPUs": (8, {"gpus": 4, "cpus": 0}, {"gpus": 1, "cpus": 0}, 4),
    "4 of 8 CPUs": (8, {"cpus": 4}, {"cpus": 1}, 4),
    "4 of 8 bytes": (8, {"cpus": 0, "memory": 4}, {"cpus": 0, "memory": 1}, 4),
    "4 named GPUs": (8, {"gpu_ids": NAMED, "cpus": 0}, {"gpus": 1, "cpus": 0}, 4),
}


@pytest.mark.parametrize("case", CASES)
def test_a_large_job_starts_as_soon_as_enough_of_those_before_it_have_ended(case):
    slots, request, small, needed = CASES[case]
    for seed in range(SEEDS):
        host, before, large = stream(seed, plan, request, small, slots)
        ends = {one: host.ended[one] for one in before if one in host.ended}
        named = request.get("gpu_ids")
        if named:
            first = host.plans[0].starts
            due = max(host.ended[start.job] for start in first if set(start.gpus) & set(named))
        else:
            due = sorted(ends.values())[needed - 1]
        assert host.started[large] == due, f"seed {seed}"


def test_the_same_stream_starves_it_under_rp():
    """In twelve hours it does not start, although rp's programs look here whenever something changes."""
    slots, request, small, _ = CASES["4 of 8 GPUs"]
    starved = 0
    for seed in range(SEEDS // 4):
        host, _, large = stream(seed, Rp(seed), request, small, slots)
        starved += large not in host.started
    assert starved > SEEDS // 4 // 3


def in_turn(planner) -> list[int]:
    """The order in which ten equal jobs run on one GPU."""
    host = Simulation(machine(gpus=1), planner=planner)
    for _ in range(10):
        host.add(gpus=1, cpus=0, runs=60.0)
    host.run()
    return sorted(host.started, key=host.started.__getitem__)


def test_first_come_first_served_and_not_by_chance():
    assert in_turn(Rp(1)) != list(range(1, 11))
    assert in_turn(plan) == list(range(1, 11))


def test_a_gpu_is_not_given_again_while_its_container_is_being_made():
    host = machine(gpus=1)
    slow = running(1, [0], state=STARTING, started_at=None)
    jobs = [slow, job(2, gpus=1, cpus=0)]
    limits = Simulation(host).limits
    assert "gpus are booked twice" in violations(jobs, host, limits, 15.0, Rp(0)(jobs, host, limits, 15.0))
    made = plan(jobs, host, limits, 15.0)
    assert made.starts == ()
    assert made.reasons[2] == "needs 1 GPU, none is free; first in line, after job 1 of ann"


def test_a_freed_gpu_is_given_at_once():
    host = Simulation(machine(gpus=1))
    first, second = host.add(gpus=1, runs=61.7), host.add(gpus=1, runs=1.0)
    host.run()
    assert host.started[second] == host.ended[first]
