"""From options to submissions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backend.errors import UsageError
from backend.projects import Defaults, Ready
from backend.queues import asking
from backend.queues.asking import Asked

GB = 1024**3
DEFAULTS = Defaults(cpus=4, gpus=1, memory=8 * GB, shm=64 * GB)
READY = Ready(
    folder="/home/ann/berth/demo",
    image="sha256:abc",
    mounts=(("/home/ann/berth/demo", "/home/user/demo", False),),
    workdir="/home/user/demo",
    user="1000:1000",
    groups=("44",),
    env={"HOME": "/home/user"},
    start=("/bin/sh", "-c", "x"),
)


def test_a_project_says_what_is_not_said() -> None:
    job = asking.read(Asked(command=("hello.sh", "a b")), DEFAULTS)
    assert (job.cpus, job.gpus, job.memory, job.shm) == (4, 1, 8 * GB, 64 * GB)
    assert (job.name, job.script) == ("hello.sh", "hello.sh 'a b'")


def test_what_is_said_wins_over_the_project() -> None:
    job = asking.read(Asked(command=("x",), gpus="0", cpus=2, mem="1"), DEFAULTS)
    assert (job.gpus, job.cpus, job.memory) == (0, 2, GB)


def test_rps_spelling_of_the_command() -> None:
    job = asking.read(Asked(script="train.sh 'two words' --lr 0.1"), None)
    assert job.command == ("train.sh", "two words", "--lr", "0.1")


def test_a_job_in_a_project_gets_its_mounts_user_and_start() -> None:
    job = asking.in_project(asking.read(Asked(command=("t.sh",), env=("HOME=/x",)), None), READY)
    assert job.command == ("/bin/sh", "-c", "x", "t.sh")
    assert job.image == "sha256:abc"
    assert job.user == "1000:1000"
    assert job.groups == ("44",)
    assert job.env == {"HOME": "/x"}
    assert job.workdir == "/home/user/demo"


def test_mounts_that_collide_are_named() -> None:
    job = asking.read(Asked(command=("t",), mount=("/other:/home/user/demo",)), None)
    with pytest.raises(UsageError, match="/home/ann/berth/demo and /other would both be mounted"):
        asking.in_project(job, READY)


def test_a_sweep_is_one_job_for_each_combination() -> None:
    asked = Asked(command=("t.sh", "{lr}"), sweep=("lr=0.1,0.2", "seed=1,2"))
    jobs = asking.swept(asking.read(asked, None), asked)
    assert [job.command[1] for job in jobs] == ["0.1", "0.1", "0.2", "0.2"]
    assert [job.env for job in jobs][1] == {"lr": "0.1", "seed": "2"}
    assert len({job.name for job in jobs}) == 4


def test_only_interactive_jobs_have_an_idle_limit() -> None:
    assert asking.read(Asked(command=("sh",)), None, interactive=True).idle_limit == 1800
    assert asking.read(Asked(command=("sh",), idle="0"), None, interactive=True).idle_limit is None
    assert asking.read(Asked(command=("sh",)), None).idle_limit is None


def test_begin_is_a_moment_to_come() -> None:
    at = asking.read(Asked(command=("x",), begin="2h"), None).begin_at
    assert at is not None
    assert 7190 < (at - datetime.now(UTC)).total_seconds() < 7210


def test_a_warning_signal() -> None:
    job = asking.read(Asked(command=("x",), warn="usr1@2m"), None)
    assert (job.warn_signal, job.warn_before) == ("SIGUSR1", 120)


@pytest.mark.parametrize(
    "asked",
    [
        Asked(command=("x",), script="y"),
        Asked(script="a 'b"),
        Asked(command=("x",), priority=101),
        Asked(command=("x",), retries=-1),
        Asked(command=("x",), cpus=0),
        Asked(command=("x",), array="1-2", sweep=("a=1",)),
        Asked(command=("x",), warn="SIGKILL"),
        Asked(command=("x",), begin="later"),
        Asked(command=("x",), begin="25:00"),
        Asked(command=("x",), begin="2020-01-31T22:00"),
        Asked(command=("x", "{seed}"), sweep=("lr=1,2",)),
    ],
)
def test_what_makes_no_sense(asked: Asked) -> None:
    with pytest.raises(UsageError):
        asking.read(asked, None)
