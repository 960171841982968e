"""What a plan makes of a machine: GPUs of others, broken ones, and what can never be met."""

from __future__ import annotations

import pytest

from backend.agent.queue.machine import Machine
from backend.agent.queue.plan import LOOK_AGAIN, Limits, impossible
from backend.agent.queue.room import PATIENCE
from tests.backend.agent.queue.planning import NOW, changed, planned, started
from tests.backend.agent.queue.simulate import GB, job, machine, running


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
