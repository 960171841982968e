"""Which GPUs and CPUs a job gets: near each other, and leaving whole what is whole."""

from __future__ import annotations

from backend.agent.queue.choose import choose_cpus, choose_gpus
from backend.agent.queue.machine import Cpu, Gpu
from backend.agent.queue.plan import Limits, plan
from tests.backend.agent.queue.simulate import job, machine, running


def given(*jobs, host, **limits):
    """job -> (numbers of GPUs, CPUs)."""
    made = plan(jobs, host, Limits(**limits), 0.0)
    return {start.job: ([int(gpu[4:]) for gpu in start.gpus], list(start.cpus)) for start in made.starts}


def test_gpus_of_one_node_and_the_cpus_beside_them():
    host = machine(gpus=8, cpus=16, nodes=2)
    assert given(job(1, gpus=4, cpus=4), job(2, gpus=4, cpus=4), host=host) == {
        1: ([0, 1, 2, 3], [0, 1, 2, 3]),
        2: ([4, 5, 6, 7], [8, 9, 10, 11]),
    }


def test_a_small_job_leaves_the_larger_block_whole():
    host = machine(gpus=8, cpus=16, nodes=2)
    busy = running(1, [4, 5], cpus=[8])
    assert given(busy, job(2, gpus=1), host=host)[2] == ([6], [9])
    assert given(busy, job(2, gpus=2), job(3, gpus=4), host=host) == {
        2: ([6, 7], [9]),
        3: ([0, 1, 2, 3], [0]),
    }


def test_a_large_job_goes_over_nodes_where_it_has_to():
    host = machine(gpus=8, cpus=16, nodes=2)
    busy = [running(1, [0, 1]), running(2, [4])]
    assert given(*busy, job(3, gpus=4, cpus=8), host=host)[3] == ([2, 5, 6, 7], [0, 1, 8, 9, 10, 11, 12, 13])


def test_a_node_without_cpus_left_is_the_second_choice():
    host = machine(gpus=4, cpus=8, nodes=2)
    busy = [running(1, cpus=[0, 1, 2, 3]), running(2, [0])]
    assert given(*busy, job(3, gpus=1, cpus=2), host=host)[3] == ([2], [4, 5])
    full = running(4, [2, 3])
    assert given(*busy, full, job(3, gpus=1, cpus=2), host=host)[3] == ([1], [4, 5])


def test_a_job_without_gpus_leaves_the_cpus_beside_free_gpus():
    host = machine(gpus=4, cpus=8, nodes=2)
    assert given(running(1, [2, 3]), job(2, cpus=2), host=host)[2] == ([], [4, 5])
    assert given(running(1, [0, 1]), job(2, cpus=2), host=host)[2] == ([], [0, 1])


def test_whole_cores_before_single_threads():
    host = machine(cpus=8, threads=2)  # core 0 is CPUs 0 and 4
    assert given(job(1, cpus=4), host=host)[1][1] == [0, 1, 4, 5]
    assert given(job(1, cpus=3), job(2, cpus=1), job(3, cpus=4), host=host) == {
        1: ([], [0, 1, 4]),
        2: ([], [5]),
        3: ([], [2, 3, 6, 7]),
    }


def test_a_single_thread_comes_from_a_core_in_use():
    host = machine(cpus=8, threads=2)
    assert given(running(1, cpus=[2]), job(2, cpus=1), host=host)[2][1] == [6]
    assert given(running(1, cpus=[2]), job(2, cpus=3), host=host)[2][1] == [0, 4, 6]
    assert given(running(1, cpus=[0, 1, 2, 3]), job(2, cpus=3), host=host)[2][1] == [4, 5, 6]


def test_the_systems_cpus_are_left_alone():
    assert given(job(1, cpus=2), host=machine(cpus=8), reserved_cpus=3)[1][1] == [3, 4]


def test_unknown_nodes_and_cores():
    gpus = [Gpu(f"GPU-{one}", one) for one in range(4)]
    assert [gpu.number for gpu in choose_gpus(gpus, 2, 1, {0: 8})] == [0, 1]
    cpus = [Cpu(one) for one in range(4)]
    assert choose_cpus(cpus, 2, gpus[:1], gpus[1:]) == (0, 1)
    assert choose_cpus(cpus, 0, [], []) == ()


def test_gpus_with_and_without_a_known_node_are_not_near_each_other():
    gpus = [Gpu("a", 0), Gpu("b", 1, 0), Gpu("c", 2, 0)]
    assert [gpu.id for gpu in choose_gpus(gpus, 2, 1, {0: 4})] == ["b", "c"]
    assert [gpu.id for gpu in choose_gpus(gpus, 1, 1, {0: 4})] == ["b"]  # its node has CPUs
