"""What a plan decides, case by case: order, dependencies, limits of people."""

from __future__ import annotations

import pytest

from backend.agent.queue.jobs import (
    AFTER_ANY,
    AFTER_OK,
    CANCELLED,
    COMPLETED,
    FAILED,
    HELD,
    STARTING,
    TIMEOUT,
)
from backend.agent.queue.plan import Limits
from tests.backend.agent.queue.planning import NOW, planned, started
from tests.backend.agent.queue.simulate import GB, job, machine, running

# ------------------------------------------------------------------------------------- order


def test_priority_then_position_then_number():
    line = [
        job(1, gpus=1),
        job(2, gpus=1, position=0.5),
        job(3, gpus=1, priority=5),
        job(4, gpus=1, position=0.5),
    ]
    assert started(planned(line)) == [3, 2, 4, 1]


def test_what_a_job_gets():
    (start,) = planned([job(1, gpus=2, cpus=4, memory=8 * GB)], machine(gpus=4, cpus=8, nodes=2)).starts
    assert start == (1, ("GPU-0", "GPU-1"), (0, 1, 2, 3), 8 * GB)


def test_nothing_starts_while_paused():
    made = planned([job(1, gpus=1), job(2, state=HELD)], limits=Limits(paused="ann: new driver"))
    assert made.starts == ()
    assert made.reasons == {1: "paused by ann: new driver", 2: "held"}
    assert made.expected == {1: None, 2: None}


def test_a_drained_queue_still_starts_what_it_has():
    assert started(planned([job(1, gpus=1)], limits=Limits(draining="ann"))) == [1]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"state": HELD}, "held"),
        ({"begin_at": NOW + 5}, "waits for its start time"),
        ({"after": ((7, AFTER_OK),)}, "waits for job 7"),
        ({"after": ((7, AFTER_ANY), (8, AFTER_OK), (9, AFTER_OK))}, "waits for jobs 7 and 8"),
        ({"cancel_by": "bob"}, "is being cancelled by bob"),
        ({"array": 7, "array_limit": 1}, "1 job of its array runs, 1 may at a time"),
    ],
)
def test_who_waits_for_something_else_keeps_nothing(words, reason):
    others = [
        running(7, [0], array=7),
        job(8, state=HELD, after=((7, AFTER_OK),)),
        running(9, state=COMPLETED),
    ]
    if "after" in words:
        others[1] = others[1]._replace(state=STARTING)
    made = planned([*others, job(10, gpus=4, **words), job(11, gpus=3)])
    assert started(made) == [11]
    assert made.reasons[10] == reason


def test_a_begin_time_that_has_passed():
    assert started(planned([job(1, gpus=1, begin_at=NOW)])) == [1]


# ------------------------------------------------------------------------------ dependencies


@pytest.mark.parametrize(
    ("state", "kind", "outcome"),
    [
        (COMPLETED, AFTER_OK, "starts"),
        (COMPLETED, AFTER_ANY, "starts"),
        (FAILED, AFTER_ANY, "starts"),
        (TIMEOUT, AFTER_ANY, "starts"),
        (FAILED, AFTER_OK, "job 1, whose success it needs, failed"),
        (CANCELLED, AFTER_OK, "job 1, whose success it needs, was cancelled"),
        (TIMEOUT, AFTER_OK, "job 1, whose success it needs, ran into its time limit"),
    ],
)
def test_dependencies(state, kind, outcome):
    made = planned([job(1, state=state), job(2, after=((1, kind),))])
    assert made.doomed.get(2, "starts") == outcome
    assert started(made) == ([2] if outcome == "starts" else [])
    assert made.reasons == {}


def test_a_dependency_that_is_tried_again_has_not_failed():
    retry = job(1, gpus=1, attempt=1, retries=2, exit_code=1, begin_at=NOW + 60)
    made = planned([retry, job(2, after=((1, AFTER_OK),))])
    assert made.doomed == {}
    assert made.reasons[2] == "waits for job 1"


def test_a_dependency_that_nobody_knows():
    made = planned([job(2, after=((1, AFTER_ANY),)), job(3, after=((3, AFTER_ANY),))])
    assert made.doomed == {2: "job 1, which it was to follow, does not exist", 3: "it was to wait for itself"}


def test_a_dependency_that_is_held_is_said_so():
    made = planned([job(1, state=HELD), job(2, after=((1, AFTER_OK),))])
    assert made.reasons[2] == "waits for job 1, which is held"


def test_a_circle_of_dependencies_is_given_up_but_not_who_waits_behind_it():
    circle = [job(1, after=((3, AFTER_OK),)), job(2, after=((1, AFTER_ANY),)), job(3, after=((2, AFTER_OK),))]
    behind = job(4, after=((3, AFTER_ANY),))
    made = planned([*circle, behind, job(5), job(6, after=((5, AFTER_OK),))])
    assert made.doomed.keys() == {1, 2, 3}
    assert made.doomed[1] == "it was to wait for itself, by way of jobs 2 and 3"
    assert made.reasons[4] == "waits for job 3"


# --------------------------------------------------------------------------- limits of people


def test_how_many_jobs_a_person_may_run():
    limits = Limits(max_running_per_user=2)
    made = planned([running(1), job(2), job(3), job(4, owner="bob")], limits=limits)
    assert started(made) == [2, 4]
    assert made.reasons == {3: "ann runs 2 jobs, as many as one person may"}


def test_how_many_gpus_a_person_may_use():
    limits = Limits(max_gpus_per_user=3)
    made = planned([running(1, [0, 1]), job(2, gpus=2), job(3, gpus=1), job(4)], limits=limits)
    assert started(made) == [3, 4]
    assert made.reasons == {2: "ann uses 2 GPUs, one person may use 3"}


def test_a_persons_small_job_does_not_use_up_what_the_large_one_ahead_of_it_may_have():
    limits = Limits(max_running_per_user=2)
    made = planned([running(1, [0]), job(2, gpus=4), job(3), job(4, owner="bob")], limits=limits)
    assert started(made) == [4]
    assert made.reasons[3] == "job 2 of ann goes first"


def test_an_array_runs_so_many_at_once():
    tasks = [job(one, gpus=1, array=1, array_index=one, array_limit=2) for one in (1, 2, 3)]
    made = planned([*tasks, job(4, gpus=1)])
    assert started(made) == [1, 2, 4]
    assert made.reasons == {3: "2 jobs of its array run, 2 may at a time"}


def test_what_is_said_of_an_array_counts_those_that_run_and_names_the_one_ahead():
    many = [running(one, cpus=[one], array=1) for one in (1, 2, 3, 4)]
    made = planned([*many, job(5, array=1, array_limit=2)])  # its limit was lowered while they ran
    assert made.reasons == {5: "4 jobs of its array run, 2 may at a time"}
    line = [job(one, gpus=2, array=2, array_index=one, array_limit=2) for one in (2, 3, 4)]
    made = planned([running(1, [0, 1, 2, 3], owner="bob"), *line])
    assert started(made) == []
    assert made.reasons[4] == "job 2 of its array goes first, 2 may at a time"


def test_what_is_said_of_a_persons_limit_counts_those_that_run():
    limits = Limits(max_running_per_user=2)
    line = [job(2, gpus=2), job(3, gpus=2), job(4)]
    made = planned([running(1, [0, 1, 2, 3], owner="bob"), *line], limits=limits)
    assert made.reasons[4] == "job 2 of ann goes first"
    busy = [running(1, [0, 1]), running(6, [2, 3]), running(7)]
    made = planned([*busy, *line], limits=limits)
    assert made.reasons[4] == "ann runs 3 jobs, as many as one person may"
