"""What every plan keeps, whatever the jobs and the machine: found by search, not by example."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.agent.queue.jobs import (
    AFTER_ANY,
    AFTER_OK,
    COMPLETED,
    ENDED,
    FAILED,
    HELD,
    QUEUED,
    RUNNING,
    STARTING,
    WAITING,
)
from backend.agent.queue.plan import Limits, plan
from tests.backend.agent.queue.simulate import GB, Simulation, job, machine, running, violations

NOW = 1000.0
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def machines(draw, healthy=False):
    threads = draw(st.sampled_from([1, 2]))
    host = machine(
        gpus=draw(st.integers(0, 8)),
        cpus=threads * draw(st.integers(1, 8)),
        memory=draw(st.integers(0, 16)) * GB,
        nodes=draw(st.sampled_from([1, 2])),
        threads=threads,
        amd=0 if healthy else draw(st.sampled_from([0, 0, 1, 3])),
    )
    if healthy:
        return host
    gpus = []
    for gpu in host.gpus:
        state = draw(st.sampled_from(["", "", "", "busy", "broken"]))
        words = {state: "something", "since": draw(st.sampled_from([0.0, NOW - 5]))} if state else {}
        gpus.append(gpu._replace(**words))
    return host._replace(gpus=tuple(gpus), error=draw(st.sampled_from(["", "", "", "no answer"])))


def _mostly_little(most):
    """Of something there is `most` of: so that jobs run beside each other, and the large ones wait."""
    return st.sampled_from([one for one in (0, 0, 1, 1, 2, most // 2, most - 1, most) if 0 <= one <= most])


@st.composite
def requests(draw, host, limits=True, named=True):
    """The words of a request that the machine can meet, mostly."""
    words = {
        "gpus": draw(_mostly_little(len(host.gpus))),
        "cpus": draw(_mostly_little(len(host.cpus))),
        "memory": draw(_mostly_little(host.memory // GB)) * GB,
    }
    if named and host.gpus and draw(st.integers(0, 4)) == 0:
        chosen = draw(st.sets(st.sampled_from([gpu.id for gpu in host.gpus]), min_size=1))
        words["gpu_ids"] = tuple(sorted(chosen))
    if limits and draw(st.booleans()):
        words["time_limit"] = float(draw(st.integers(1, 50)))
    return words


@st.composite
def situations(draw):
    """(jobs, machine, limits): running jobs as an earlier plan may have left them, and all others."""
    host = draw(machines())
    limits = Limits(
        paused=draw(st.sampled_from(["", "", "", "ann"])),
        max_running_per_user=draw(st.sampled_from([0, 0, 1, 3])),
        max_gpus_per_user=draw(st.sampled_from([0, 0, 2])),
        reserved_cpus=draw(st.integers(0, 2)),
        reserved_memory=draw(st.integers(0, 2)) * GB,
    )
    jobs = []
    gpus, cpus, memory = [gpu.id for gpu in host.gpus], [cpu.id for cpu in host.cpus], host.memory
    for number in range(1, draw(st.integers(0, 4)) + 1):
        mine = [gpus.pop() for _ in range(draw(st.integers(0, len(gpus))))]
        own = [cpus.pop() for _ in range(draw(st.integers(0, len(cpus))))]
        size = draw(st.integers(0, memory // GB)) * GB
        memory -= size
        one = running(
            number,
            cpus=own,
            memory=size,
            owner=draw(st.sampled_from(["ann", "bob"])),
            time_limit=draw(st.sampled_from([None, 500.0, 1100.0])),
            state=draw(st.sampled_from([RUNNING, STARTING])),
            started_at=draw(st.sampled_from([None, 0.0, 990.0])),
        )
        jobs.append(one._replace(gpus=tuple(mine)))
    at_a_time = draw(st.sampled_from([0, 1, 2]))
    for number in range(len(jobs) + 1, len(jobs) + draw(st.integers(0, 12)) + 1):
        words = draw(requests(host))
        others = st.tuples(st.integers(1, 16), st.sampled_from([AFTER_OK, AFTER_ANY]))
        jobs.append(
            job(
                number,
                state=draw(st.sampled_from([QUEUED] * 8 + [HELD, COMPLETED, FAILED])),
                owner=draw(st.sampled_from(["ann", "bob"])),
                priority=draw(st.sampled_from([0, 0, 5])),
                begin_at=draw(st.sampled_from([None, None, None, 990.0, 1010.0])),
                after=tuple(draw(st.lists(others, max_size=2))) if draw(st.integers(0, 5)) == 0 else (),
                array=draw(st.sampled_from([0, 0, 1])),
                array_limit=at_a_time,
                **words,
            )
        )
    return jobs, host, limits


@QUICK
@given(situations(), st.randoms(use_true_random=False))
def test_books_nothing_twice_and_answers_the_same_in_any_order(situation, rng):
    jobs, host, limits = situation
    made = plan(jobs, host, limits, NOW)
    assert violations(jobs, host, limits, NOW, made) == []
    shuffled = rng.sample(jobs, len(jobs))
    shuffled_host = host._replace(
        cpus=tuple(rng.sample(host.cpus, len(host.cpus))), gpus=tuple(rng.sample(host.gpus, len(host.gpus)))
    )
    assert plan(shuffled, shuffled_host, limits, NOW) == made
    assert made.wake_at is None or made.wake_at > NOW
    assert all(when is None or when >= NOW for when in made.expected.values())


@QUICK
@given(situations())
def test_once_its_starts_are_done_a_plan_starts_nothing_more(situation):
    jobs, host, limits = situation
    made = plan(jobs, host, limits, NOW)
    starts = {start.job: start for start in made.starts}
    after = []
    for one in jobs:
        if one.id in starts:
            booked = starts[one.id]
            one = one._replace(
                state=STARTING, started_at=NOW, gpus=booked.gpus, cpus=booked.cpus, memory=booked.memory
            )
        after.append(one)
    assert plan(after, host, limits, NOW).starts == ()


@st.composite
def lines(draw, limits, exact=True):
    """A machine with running jobs and a line behind them, and how long each job truly takes."""
    host = draw(machines(healthy=True))
    jobs = []
    for _ in range(draw(st.integers(2, 14))):
        words = draw(requests(host, limits=False))
        runs = float(draw(st.integers(1, 50)))
        if limits:
            words["time_limit"] = runs if exact else runs + draw(st.integers(0, 30))
        jobs.append((words, runs))
    return host, draw(st.integers(1, len(jobs) - 1)), jobs


def first_waiting(host, running_jobs, line):
    """A simulation in which the first ones run since 0 and the others come at 1; and who is first in line."""
    simulation = Simulation(host)
    for words, runs in running_jobs:
        simulation.add(runs=runs, at=0.0, **words)
    simulation.run(until=0.0)
    for words, runs in line:
        simulation.add(runs=runs, at=1.0, **words)
    simulation.run(until=1.0)
    ahead = [one for one, text in simulation.plans[-1].reasons.items() if "first in line" in text]
    return simulation, ahead[0] if ahead else None


@pytest.mark.parametrize("limits", [True, False])
@QUICK
@given(st.data())
def test_the_first_in_line_starts_when_it_would_without_those_behind_it(limits, data):
    host, count, jobs = data.draw(lines(limits))
    simulation, ahead = first_waiting(host, jobs[:count], jobs[count:])
    if ahead is None:
        return
    before = {one for one, at in simulation.started.items() if at < 1.0}  # when another one was the first
    simulation.run()
    alone = Simulation(host)
    for number, (words, runs) in enumerate(jobs, 1):
        if number <= ahead or number in before:
            alone.add(id=number, runs=runs, at=0.0 if number <= count else 1.0, **words)
    alone.run()
    assert simulation.started[ahead] == alone.started[ahead]


@QUICK
@given(st.data())
def test_the_first_in_line_never_starts_later_than_it_was_told(data):
    host, count, jobs = data.draw(lines(limits=True, exact=False))
    jobs = [
        (words if number % 4 else {**words, "time_limit": None}, runs)
        for number, (words, runs) in enumerate(jobs)
    ]
    simulation, ahead = first_waiting(host, jobs[:count], jobs[count:])
    if ahead is None:
        return
    promised = simulation.plans[-1].expected[ahead]
    simulation.run()
    assert promised is None or simulation.started[ahead] <= promised


@QUICK
@given(st.data())
def test_what_is_kept_for_the_first_in_line_only_grows(data):
    """Without limits a GPU that is free for it stays free: the number never falls while it waits."""
    host, count, jobs = data.draw(lines(limits=False))
    simulation, ahead = first_waiting(host, jobs[:count], jobs[count:])
    free = -1
    while ahead is not None and simulation.jobs[ahead].state in WAITING:
        taken = {gpu for one in simulation.jobs.values() for gpu in one.gpus}
        request = simulation.jobs[ahead].request
        wanted = set(request.gpu_ids) or {gpu.id for gpu in host.gpus if request.gpus}
        now_free = min(len(wanted - taken), request.gpus)
        assert now_free >= free
        free = now_free
        step = simulation._events[0][0]
        simulation.run(until=step)


@QUICK
@given(st.data())
def test_every_job_runs_at_last(data):
    host = data.draw(machines(healthy=True))
    simulation = Simulation(host, Limits(max_running_per_user=data.draw(st.sampled_from([0, 2]))))
    rng = random.Random(data.draw(st.integers(0, 1000)))
    times = sorted(data.draw(st.lists(st.integers(0, 100), min_size=1, max_size=20)))
    for number, at in enumerate(times, 1):
        words = data.draw(requests(host))
        after = ((rng.randint(1, number - 1), AFTER_ANY),) if number > 1 and rng.random() < 0.2 else ()
        simulation.add(
            runs=float(rng.randint(1, 60)),
            at=float(at),
            after=after,
            priority=rng.choice([0, 0, 3]),
            owner=rng.choice(["ann", "bob"]),
            array=1 if rng.random() < 0.3 else 0,
            array_limit=1,
            **words,
        )
    simulation.run()
    assert len(simulation.started) == len(times)
    assert all(one.state in ENDED for one in simulation.jobs.values())
