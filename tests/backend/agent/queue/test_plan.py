"""What a plan decides, case by case: order, backfill, reasons, expected starts, what cannot be met."""

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
    Spec,
)
from backend.agent.queue.machine import Machine
from backend.agent.queue.plan import LOOK_AGAIN, Limits, impossible, plan
from backend.agent.queue.room import PATIENCE
from tests.backend.agent.queue.simulate import GB, job, machine, running

NOW = 1000.0


def planned(jobs, host=None, limits=None, now=NOW):
    return plan(jobs, host or machine(gpus=4), limits or Limits(), now)


def started(made):
    return [start.job for start in made.starts]


def changed(host, number, **words):
    """The machine with another GPU of that number."""
    gpus = [gpu._replace(**words) if gpu.number == number else gpu for gpu in host.gpus]
    return host._replace(gpus=tuple(gpus))


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


# --------------------------------------------------------------------------------- backfill


def test_small_jobs_do_not_hold_up_a_large_one():
    made = planned([running(1, [0]), job(2, gpus=4), job(3, gpus=1, owner="bob"), job(4, gpus=0)])
    assert started(made) == [4]
    assert made.reasons == {
        2: "needs 4 GPUs, 3 are free; first in line, after job 1 of ann",
        3: "job 2 of ann goes first",
    }


def test_free_gpus_are_kept_first_then_those_that_are_free_soonest_then_of_the_oldest_jobs():
    busy = [
        running(1, [0], started_at=500.0),
        running(2, [1], started_at=100.0),
        running(3, [2], time_limit=2000.0),
    ]
    for gpus, text in ((2, "job 3 of ann"), (3, "jobs 2 and 3"), (4, "jobs 1, 2 and 3")):
        made = planned([*busy, job(4, gpus=gpus), job(5, gpus=1)])
        assert started(made) == []
        assert made.reasons[4] == f"needs {gpus} GPUs, 1 is free; first in line, after {text}"
    ends = planned(
        [*busy, job(4, gpus=2), job(5, gpus=1, time_limit=1000.0), job(6, gpus=1, time_limit=999.0)]
    )
    assert started(ends) == [5]
    assert ends.expected == {4: 2000.0, 6: None}


def test_a_job_that_is_surely_over_in_time_goes_ahead():
    ahead = [running(1, [0], time_limit=600.0, started_at=NOW), job(2, gpus=4)]
    quick = job(3, gpus=1, time_limit=600.0)
    slow = job(4, gpus=1, time_limit=601.0)
    made = planned([*ahead, slow, quick])
    assert started(made) == [3]
    assert made.expected[2] == NOW + 600
    stubborn = quick._replace(spec=Spec("sha256:0", grace=10.0))
    assert started(planned([*ahead, stubborn])) == []


def test_a_running_job_past_its_limit_ends_any_moment():
    late = running(1, [0], time_limit=10.0, started_at=0.0)
    made = planned([late, job(2, gpus=4), job(3, gpus=1, time_limit=1.0)])
    assert started(made) == []
    assert made.expected[2] == NOW


def test_cpus_and_memory_are_kept_as_well():
    host = machine(gpus=4, cpus=16, memory=64 * GB)
    busy = running(1, cpus=range(4), memory=16 * GB)
    made = planned([busy, job(2, cpus=14), job(3, cpus=1), job(4, gpus=1, cpus=0)], host)
    assert started(made) == [4]
    assert made.reasons[2] == "needs 14 CPUs, 12 are free; first in line"
    assert made.reasons[3] == "job 2 of ann goes first"
    made = planned([busy, job(2, memory=60 * GB), job(3, memory=GB), job(4)], host)
    assert started(made) == [4]
    assert made.reasons[2] == "needs 60 GB of memory, 48 GB are free; first in line"


def test_nothing_is_kept_that_is_surely_given_back_by_then():
    """The first in line waits for GPUs whose jobs have the CPUs and the memory it will use."""
    host = machine(gpus=2, cpus=16, memory=64 * GB)
    busy = [running(one, [one], cpus=range(4 * one, 4 * one + 4), memory=16 * GB) for one in (0, 1)]
    head = job(2, gpus=1, cpus=6, memory=20 * GB)
    made = planned([*busy, head, job(3, cpus=6, memory=28 * GB), job(4, cpus=1)], host)
    assert started(made) == [3]  # whichever GPU comes first, 4 CPUs and 16 GB come with it
    assert made.reasons[4] == "job 2 of ann goes first"


def test_of_what_comes_with_the_gpus_only_the_least_is_counted_on():
    host = machine(gpus=3, cpus=16)
    busy = [running(1, [0], cpus=range(8)), running(2, [1], cpus=[8]), running(3, [2], cpus=[9, 10])]
    made = planned([*busy, job(4, gpus=2, cpus=8), job(5, cpus=1)], host)
    assert started(made) == []  # jobs 2 and 3 may be the first to end: 3 CPUs with them, 5 are free
    assert made.reasons[5] == "job 4 of ann goes first"
    made = planned([*busy, job(4, gpu_ids=("GPU-0", "GPU-1"), cpus=8), job(5, cpus=5)], host)
    assert started(made) == [5]  # these two and no others


def test_a_strangers_gpu_brings_nothing_with_it():
    host = changed(machine(gpus=2, cpus=8), 0, busy="python (pid 7) of eve", since=NOW - 1)
    busy = running(1, [1], cpus=range(4))
    made = planned([busy, job(2, gpus=1, cpus=4), job(3, cpus=1)], host)
    assert started(made) == []
    assert made.reasons[3] == "job 2 of ann goes first"


def test_limits_tell_what_is_given_back_until_it_starts():
    host = machine(gpus=1, cpus=16)
    busy = [
        running(1, [0], cpus=[0], time_limit=100.0, started_at=NOW),
        running(2, cpus=range(1, 9), time_limit=50.0, started_at=NOW),
        running(3, cpus=[9, 10], time_limit=500.0, started_at=NOW),
    ]
    head = job(4, gpus=1, cpus=12)
    assert started(planned([*busy, head, job(5, cpus=3)], host)) == []
    made = planned([*busy, head, job(5, cpus=2)], host)
    assert started(made) == [5]  # 9 of the 12 are back at the start, 5 are free now: 2 are left
    assert made.expected[4] == NOW + 100


def test_limits_prove_it_for_cpus_and_memory_too():
    host = machine(cpus=16, memory=64 * GB)
    busy = [
        running(1, cpus=range(8), time_limit=100.0, started_at=NOW),
        running(2, memory=32 * GB, time_limit=200.0, started_at=NOW),
    ]
    for words, at in (({"cpus": 16}, 100.0), ({"cpus": 1, "memory": 64 * GB}, 200.0)):
        small = {"cpus": words["cpus"] // 4 or 1, "memory": words.get("memory", 0) // 4}
        line = [job(4, time_limit=at + 1, **small), job(5, time_limit=at, **small)]
        made = planned([*busy, job(3, **words), *line], host)
        assert started(made) == [5]
        assert made.expected[3] == NOW + at


def test_a_queue_for_gpus_does_not_hold_up_jobs_without():
    host = machine(gpus=4, cpus=16)
    busy = [running(one, [one], cpus=[2 * one, 2 * one + 1]) for one in range(4)]
    line = [job(one, gpus=1, cpus=2) for one in range(10, 20)]
    made = planned([*busy, *line, job(30, cpus=8)], host)
    assert started(made) == [30]


def test_who_needs_other_things_than_the_first_in_line_does_not_starve_behind_it():
    busy = [running(1, [0])]
    first = job(2, gpu_ids=("GPU-0",))
    large = job(3, gpus=3)
    made = planned([*busy, running(4, [1]), first, large, job(5, gpus=1)])
    assert started(made) == []
    assert made.reasons == {
        2: "GPU 0 is used by job 1 of ann; first in line",
        3: "needs 3 GPUs, 2 are free",
        5: "job 3 of ann goes first",
    }


def test_named_gpus_are_kept_and_only_those():
    made = planned([running(1, [0]), job(2, gpu_ids=("GPU-0", "GPU-1")), job(3, gpus=2), job(4, gpus=1)])
    assert started(made) == [3]
    assert made.starts[0].gpus == ("GPU-2", "GPU-3")
    assert made.reasons[4] == "job 2 of ann goes first"


# -------------------------------------------------------------- what the queue does not hold


def test_a_gpu_in_use_by_others_is_not_given_and_its_user_named():
    host = changed(machine(gpus=4), 3, busy="python (pid 123) of ann", since=NOW - 1)
    made = planned([job(1, gpus=4), job(2, gpus=3)], host)
    assert started(made) == []
    assert made.reasons[1].startswith("GPU 3 is used by python (pid 123) of ann; needs 4 GPUs")
    assert made.reasons[2] == "job 1 of ann goes first"
    assert made.wake_at == NOW + LOOK_AGAIN


def test_nobody_waits_for_ever_behind_a_gpu_that_does_not_come_back():
    for words in ({"busy": "python (pid 123) of ann"}, {"broken": "GPU is lost"}):
        host = changed(machine(gpus=4), 3, since=NOW - PATIENCE, **words)
        made = planned([job(1, gpus=4), job(2, gpu_ids=("GPU-3",)), job(3, gpus=3)], host)
        assert started(made) == [3]
        assert made.doomed == {}
        assert made.expected[1] is None
        assert "GPU 3 is " in made.reasons[1] and "GPU 3 is " in made.reasons[2]


def test_a_broken_gpu_is_never_given():
    host = changed(machine(gpus=4), 0, broken="GPU is lost")
    made = planned([job(1, gpus=3), job(2, gpu_ids=("GPU-0",))], host)
    assert made.starts[0].gpus == ("GPU-1", "GPU-2", "GPU-3")
    assert made.reasons[2] == "GPU 0 is broken: GPU is lost"


def test_a_booked_gpu_that_looks_busy_is_no_conflict():
    """Its own container's process, to whoever does not know whose it is."""
    host = changed(machine(gpus=1), 0, busy="python (pid 9) of bob", since=0.0)
    made = planned([running(1, [0], time_limit=5000.0), job(2, gpus=1)], host)
    assert made.starts == () and made.doomed == {}
    assert made.reasons == {2: "needs 1 GPU, none is free; first in line, after job 1 of ann"}
    assert made.expected == {2: 5000.0}
    assert made.wake_at == 5000.0  # nothing outside the queue is waited for


def test_a_driver_that_does_not_answer_dooms_nobody():
    for gpus in ((), machine(gpus=2).gpus):
        host = machine()._replace(gpus=gpus, error="the driver does not answer")
        line = [job(1, gpus=4), job(2, gpu_ids=("GPU-9",)), job(3, gpus=1), job(4)]
        made = planned(line, host)
        assert started(made) == [4]
        assert made.doomed == {}
        assert made.reasons[1] == "GPUs cannot be told: the driver does not answer"
        assert made.reasons[2] == "GPU GPU-9 is not there: the driver does not answer"
        assert made.wake_at == NOW + LOOK_AGAIN
        assert impossible(line[0], host, Limits()) == ""


# ------------------------------------------------------------------------- cannot be met at all


@pytest.mark.parametrize(
    ("words", "limits", "text"),
    [
        ({"gpus": 9}, {}, "asks for 9 GPUs; this host has 8"),
        ({"gpu_ids": ("GPU-x",)}, {}, "asks for GPU GPU-x; this host has none of that name"),
        ({"cpus": 65}, {}, "asks for 65 CPUs; this host has 64"),
        ({"cpus": 61}, {"reserved_cpus": 4}, "asks for 61 CPUs; this host has 60 for jobs"),
        ({"memory": 513 * GB}, {}, "asks for 513 GB of memory; this host has 512 GB"),
        (
            {"memory": 512 * GB},
            {"reserved_memory": GB // 2},
            "asks for 512 GB of memory; this host has 511.5 GB for jobs",
        ),
        ({"gpus": 5}, {"max_gpus_per_user": 4}, "asks for 5 GPUs; one person may use 4"),
        ({"gpus": 8, "cpus": 64, "memory": 512 * GB}, {}, ""),
    ],
)
def test_requests_that_cannot_be_met(words, limits, text):
    assert impossible(job(1, **words), machine(gpus=8), Limits(**limits)) == text


def test_a_host_without():
    host = Machine(machine(cpus=4).cpus)
    assert impossible(job(1, gpus=1), host, Limits()) == "asks for 1 GPU; this host has none"
    assert (
        impossible(job(1, memory=1), host, Limits()) == "asks for memory; how much this host has is not known"
    )
    assert planned([job(1, memory=1)], host).doomed == {}


def test_what_the_machine_lost_dooms_but_a_setting_does_not():
    line = [job(1, gpus=5), job(2, gpus=1, cpus=63), job(3, cpus=65)]
    made = planned(line, limits=Limits(reserved_cpus=2))
    assert made.doomed == {
        1: "asks for 5 GPUs; this host has 4",
        3: "asks for 65 CPUs; this host has 62 for jobs",
    }
    assert made.reasons == {2: "asks for 63 CPUs; this host has 62 for jobs"}


def test_a_machine_that_could_not_be_read_dooms_nobody():
    unread = Machine(cpus=(), error="the machine cannot be read")
    made = planned([job(1, gpus=1, memory=GB), job(2)], unread)
    assert made.starts == () and made.doomed == {}
    assert made.reasons.keys() == {1, 2}


# --------------------------------------------------------------------------------- two vendors


def test_gpus_of_two_makers_are_never_mixed():
    host = machine(gpus=2, amd=1)
    made = planned([job(1, gpus=1), job(2, gpus=1), job(3, gpus=1)], host)
    assert [start.gpus for start in made.starts] == [
        ("GPU-0",),
        ("GPU-1",),
    ]  # not the small one inside the CPU
    assert impossible(job(1, gpus=3), host, Limits()) == "asks for 3 GPUs; this host has 2"
    (start,) = planned([job(1, gpu_ids=("amd-0", "GPU-1"))], host).starts
    assert set(start.gpus) == {"amd-0", "GPU-1"}
    (start,) = planned([job(1, gpus=2)], machine(amd=4)).starts
    assert start.gpus == ("amd-0", "amd-1")


# ------------------------------------------------------------------------------ times to come


def test_when_each_will_start():
    busy = [running(1, [0, 1], time_limit=2000.0), running(2, [2, 3], time_limit=3000.0)]
    line = [
        job(3, gpus=2, time_limit=500.0),
        job(4, gpus=4, time_limit=100.0),
        job(5, gpus=1),
        job(6, gpus=4),
    ]
    made = planned([*busy, *line])
    assert made.expected == {3: 2000.0, 4: 3000.0, 5: 3100.0, 6: None}
    assert made.wake_at == 2000.0


def test_expected_start_of_what_waits_for_times_and_jobs():
    busy = running(1, [0], time_limit=2000.0)
    line = [
        job(2, after=((1, AFTER_OK),), time_limit=50.0),
        job(3, after=((2, AFTER_ANY),)),
        job(4, begin_at=5000.0),
        job(5, state=HELD),
        job(6, after=((5, AFTER_OK),)),
    ]
    made = planned([busy, *line])
    assert made.expected == {2: 2000.0, 3: 2050.0, 4: 5000.0, 5: None, 6: None}
    assert planned(line[2:]).wake_at == 5000.0


def test_nothing_to_wake_up_for():
    assert planned([job(1, gpus=1)]).wake_at is None
    assert planned([]) == ((), {}, {}, {}, None)


def test_a_long_line_is_told_its_times_only_in_front():
    busy = running(1, [0, 1, 2, 3], time_limit=2000.0)
    made = planned([busy, *(job(one, gpus=1, time_limit=10.0) for one in range(2, 402))])
    told = [one for one, when in made.expected.items() if when is not None]
    assert told == list(range(2, 202))
    assert len(made.reasons) == 400
