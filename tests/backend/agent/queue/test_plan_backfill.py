"""What a plan lets go ahead of the first in line: what cannot delay it, and when each will start."""

from __future__ import annotations

from backend.agent.queue.jobs import (
    AFTER_ANY,
    AFTER_OK,
    HELD,
    Spec,
)
from tests.backend.agent.queue.planning import NOW, changed, planned, started
from tests.backend.agent.queue.simulate import GB, job, machine, running


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
