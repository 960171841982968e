"""The keeper on a real host with a real engine: what it starts, what it records, and who takes its place."""

from __future__ import annotations

import re
import threading
import time

import pytest

from tests.lab import HostSpec
from tests.lab.agent import kept_agent
from tests.lab.machine import wait_for

from .onhost import QUEUE, Queue

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]


def test_what_a_job_gets_and_what_is_told_of_it(queue):
    host = queue.host
    host.run(["mkdir", "-p", "/srv/data"])
    host.run(["chown", "alice:alice", "/srv/data"])
    script = (
        'echo "$NVIDIA_VISIBLE_DEVICES|$BERTH_JOB_ID|$(id -u)|$(pwd)|$GREETING"; echo bad >&2;'
        " grep Cpus_allowed_list /proc/self/status; df -k /dev/shm | tail -1; exit 7"
    )
    number = queue.submit(
        *("sh", "-c", script),
        user="alice",
        spec={
            "mounts": [["/srv/data", "/data", False]],
            "workdir": "/data",
            "env": [["GREETING", 'it\'s a "day"']],
            "shm": 16 << 20,
            "user": "5001:5001",
        },
        request={"gpus": 2, "cpus": 1, "memory": 64 << 20},
    )
    job = queue.over(number)
    assert (job["state"], job["exit_code"], job["owner"]) == ("failed", 7, "alice")
    assert len(job["gpus"]) == 2
    lines = queue.log(number).splitlines()
    assert f'{",".join(job["gpus"])}|{number}|5001|/data|it\'s a "day"' in lines
    assert "bad" in lines
    assert any(re.fullmatch(rf"Cpus_allowed_list:\s+{job['cpus'][0]}", line) for line in lines)
    assert any(" 16384 " in line for line in lines)
    kept = host.run(["stat", "-c", "%a %G", job["log"]]).stdout.strip()
    assert kept == "640 docker"
    assert (
        queue.job(number)["ended_at"] >= queue.job(number)["started_at"] >= queue.job(number)["submitted_at"]
    )
    queue.idle()
    assert queue.containers() == []


def test_podman_is_asked_for_gpus_in_its_own_words(new_lab):
    host = new_lab(HostSpec("pod", gpus="nvidia:4:A100", engine="podman", sshd=False)).host("pod")
    host.put("/opt/agent.pyz", kept_agent(), mode=0o755)
    queue = Queue(host)
    host.run(["mkdir", "-p", "/srv/data"])
    script = (
        "echo /dev/nvidia[0-9]*; grep Cpus_allowed_list /proc/self/status; id -u; echo $A; touch /d/x; exit 7"
    )
    spec = {"mounts": [["/srv/data", "/d", True]], "env": [["A", "b c"]], "user": "5001:5001"}
    number = queue.submit("sh", "-c", script, spec=spec, request={"gpus": 2, "memory": 64 << 20})
    job = queue.over(number)
    assert (job["state"], job["exit_code"], len(job["gpus"])) == ("failed", 7, 2)
    said = queue.log(number).splitlines()
    assert said[0] == "/dev/nvidia0 /dev/nvidia1"
    assert said[1].split() == ["Cpus_allowed_list:", str(job["cpus"][0])]
    assert said[2:4] == ["5001", "b c"]
    assert "Read-only" in said[4]
    stubborn = queue.submit("sleep", "1d")
    queue.until(stubborn, "running")
    queue.ask("cancel", {"ids": [stubborn]})
    assert (queue.over(stubborn)["state"], queue.job(stubborn)["exit_code"]) == ("cancelled", 137)
    queue.idle()


def test_jobs_without_gpus_are_given_none(queue):
    number = queue.submit("sh", "-c", "echo [$NVIDIA_VISIBLE_DEVICES]")
    assert queue.over(number)["state"] == "completed"
    assert queue.log(number) == "[void]\n"


def test_memory_is_a_limit_and_its_end_is_told(queue):
    number = queue.submit("tail", "/dev/zero", request={"memory": 32 << 20}, spec={"image": "busybox:latest"})
    job = queue.over(number)
    assert (job["state"], job["exit_code"]) == ("failed", 137)
    assert "out of memory" in job["error"]


@pytest.mark.parametrize(
    ("command", "spec", "code", "told"),
    [
        (("no-such-program",), {}, 127, "not found"),
        (("true",), {"mounts": [["/srv/nowhere", "/x", False]]}, None, "/srv/nowhere"),
        (("true",), {"network": "nowhere"}, None, "network nowhere not found"),
    ],
)
def test_what_cannot_be_run_has_failed_with_a_reason(queue, command, spec, code, told):
    host = queue.host
    if spec:
        host.run(["mkdir", "-p", "/srv/nowhere"])  # there when it was submitted
        queue.ask("pause", {"reason": "a test"})
    number = queue.submit(*command, spec=spec)
    if spec:
        host.run(["rmdir", "/srv/nowhere"])
        queue.ask("resume")
    job = queue.over(number)
    assert (job["state"], job.get("exit_code")) == ("failed", code)
    assert told in job["error"]


def test_output_goes_to_a_file_of_the_project(queue):
    host = queue.host
    host.run(["install", "-d", "-o", "alice", "-g", "alice", "/srv/my project/out put"])
    number = queue.submit(
        *("sh", "-c", 'echo "$1"; echo err >&2', "sh", "$(touch /p/injected) 'x'"),
        user="alice",
        spec={
            "mounts": [["/srv/my project", "/p", False]],
            "user": "5001:5001",
            "outfile": "/srv/my project/out put/it's.log",
        },
    )
    assert queue.over(number)["state"] == "completed"
    text = host.run(["cat", "/srv/my project/out put/it's.log"]).stdout
    assert text == "$(touch /p/injected) 'x'\nerr\n"
    assert host.run(["ls", "/srv/my project"]).stdout == "out put\n"


def test_a_failed_job_is_tried_as_often_as_it_asked_for(queue):
    number = queue.submit("sh", "-c", "echo try $BERTH_JOB_ATTEMPT; exit 3", retries=2)
    job = queue.until(number, "failed", check=lambda job: job.get("log"))
    assert (job["attempt"], job["exit_code"]) == (3, 3)
    assert queue.log(number) == "try 3\n"
    logs = queue.host.run(["sh", "-c", f"cat {QUEUE}/logs/{number}.log {QUEUE}/logs/{number}.2.log"]).stdout
    assert logs == "try 1\ntry 2\n"


def test_a_cancelled_job_gets_its_signal_and_then_the_end(queue):
    polite = queue.submit("sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.1; done")
    stubborn = queue.submit("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done")
    for number in (polite, stubborn):
        container = queue.until(number, "running")["container"]
        wait_for(lambda one=container: queue.host.docker("logs", one) == "up", "its trap to be set")
    queue.ask("cancel", {"ids": [polite, stubborn]})
    assert (queue.over(polite)["state"], queue.job(polite)["exit_code"]) == ("cancelled", 5)
    assert queue.log(polite) == "up\nbye\n"
    assert (queue.over(stubborn)["state"], queue.job(stubborn)["exit_code"]) == ("cancelled", 137)


def test_a_time_limit_warns_and_ends(queue):
    script = "trap 'echo warned' USR1; trap 'echo stopped; exit 9' TERM; while :; do sleep 0.1; done"
    number = queue.submit(
        *("sh", "-c", script),
        request={"time_limit": 2.0},
        spec={"warn_signal": "SIGUSR1", "warn_before": 1.0},
    )
    job = queue.over(number)
    assert (job["state"], job["exit_code"]) == ("timeout", 9)
    assert "2 s" in job["error"]
    assert queue.log(number) == "warned\nstopped\n"


def test_a_shell_that_nobody_uses_is_ended(queue):
    idle = queue.submit("sleep", "1d", spec={"idle_limit": 10.0})
    busy = queue.submit("sh", "-c", "while :; do :; done", spec={"idle_limit": 10.0})
    assert queue.over(idle)["state"] == "timeout"
    assert "did nothing" in queue.job(idle)["error"]
    assert queue.job(busy)["state"] == "running"


@pytest.mark.parametrize(("verb", "code"), [(("kill",), 137), (("rm", "--force"), 137)])
def test_what_is_ended_by_hand_counts_as_cancelled(queue, verb, code):
    number = queue.submit("sleep", "1d", retries=3)
    container = queue.until(number, "running")["container"]
    queue.host.docker(*verb, container)
    job = queue.over(number)
    assert (job["state"], job["exit_code"], job["attempt"]) == ("cancelled", code, 1)
    assert "by hand" in job["error"]


def test_the_standby_takes_over(queue):
    number = queue.gated("exit 4")
    queue.until(number, "running")
    keeper, standby = queue.keeper(), queue.standby()
    queue.kill(keeper)
    wait_for(lambda: queue.processes("berth-keeper") == [standby], "the standby to be keeper")
    assert queue.standby() != standby
    queue.kill(queue.standby())
    queue.let(number)
    assert queue.over(number)["exit_code"] == 4
    assert queue.job(number)["attempt"] == 1


def test_a_job_that_ends_while_nobody_watches(queue):
    number = queue.gated("echo alone; exit 6")
    waiting = queue.submit("true", request={"cpus": 2})
    container = queue.until(number, "running")["container"]
    queue.kill(queue.standby(), queue.keeper())
    queue.let(number)
    queue.host.docker("wait", container)
    queue.ask("list")  # whoever looks starts a keeper
    assert queue.over(number)["exit_code"] == 6
    assert queue.log(number) == "alone\n"
    assert queue.over(waiting)["state"] == "completed"


def test_a_keeper_that_is_started_beside_an_open_database(queue):
    """A dashboard's agent has threads and open files, none of which a keeper may inherit."""
    number = queue.gated("exit 2")
    queue.until(number, "running")
    queue.kill(queue.standby(), queue.keeper())
    agent = queue.host.popen(["python3", "-I", "-S", "/opt/agent.pyz", "--interval", "0.5"])
    try:
        assert queue.keeper()
        assert queue.standby()
    finally:
        agent.kill()
        agent.communicate()
    queue.let(number)
    assert queue.over(number)["exit_code"] == 2


def test_jobs_wait_for_an_engine_that_hangs_or_is_gone(queue):
    host = queue.host
    first = queue.gated("exit 8")
    second = queue.submit("true", request={"gpus": 4, "cpus": 2})
    third = queue.submit("true", request={"gpus": 4})
    queue.until(first, "running")
    host.hang_engine()
    time.sleep(1.5)
    assert queue.job(first)["state"] == "running"
    assert queue.job(second).get("state", "queued") == "queued"
    host.thaw_engine()
    queue.let(first)
    assert queue.over(first)["exit_code"] == 8
    for number in (second, third):
        assert queue.over(number)["state"] == "completed"
    running = queue.submit("sleep", "1d")
    waiting = [queue.submit("true", request={"cpus": 2}, user="bob") for _ in range(2)]
    queue.until(running, "running")
    host.stop_engine()
    assert (
        "engine"
        in queue.until(waiting[1], "queued", check=lambda job: "answer" in job.get("reason", ""))["reason"]
    )
    host.start_engine()
    job = queue.over(running)
    assert job["state"] == "failed"
    assert job["exit_code"] in (137, 143)
    for number in waiting:
        assert queue.over(number)["state"] == "completed"


def test_power_cut(queue):
    host = queue.host
    running, waiting = queue.submit("sleep", "1d", retries=1), queue.submit("true", request={"cpus": 2})
    queue.until(running, "running")
    host.power_cut()
    host.boot()
    queue.ask("resume")
    assert queue.until(running, "running")["attempt"] == 2
    queue.ask("cancel", {"ids": [running]})
    assert queue.over(waiting)["state"] == "completed"


def test_running_jobs_of_a_lost_database_are_taken_in(queue):
    host = queue.host
    number = queue.gated("echo still here; exit 11", user="alice", request={"gpus": 1})
    gpus = queue.until(number, "running")["gpus"]
    host.run(
        [
            "sh",
            "-c",
            f"dd if=/dev/urandom of={QUEUE}/queue.db bs=4k count=8 conv=notrunc; rm {QUEUE}/queue.db-*",
        ]
    )
    queue.kill(queue.standby(), queue.keeper())
    queue.ask("list")
    job = queue.until(number, "running")
    assert (job["owner"], job["gpus"]) == ("alice", gpus)
    queue.let(number)
    assert queue.over(number)["exit_code"] == 11
    assert queue.log(number) == "still here\n"


def test_a_gpu_that_a_stranger_holds_is_waited_for(queue):
    host = queue.host
    host.docker("run", "-d", "--name", "stranger", "--gpus", "device=0", "busybox:latest", "sleep", "1d")
    try:
        number = queue.submit("true", request={"gpus": 4})
        job = queue.until(number, "queued", check=lambda job: "stranger" in job.get("reason", ""))
        assert job.get("attempt", 0) == 0
    finally:
        host.docker("rm", "-f", "stranger")
    assert queue.over(number)["state"] == "completed"


def test_many_at_once_from_two_users(queue):
    said: list[int] = []

    def submit(user: str) -> None:
        said.extend(queue.submit("true", user=user) for _ in range(6))

    threads = [threading.Thread(target=submit, args=(user,)) for user in ("alice", "bob", "alice")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(said)) == 18
    for number in said:
        assert queue.over(number)["state"] == "completed"
    starts = [queue.job(number)["started_at"] for number in sorted(said)]
    assert all(later - earlier > -2 for earlier, later in zip(starts, starts[2:], strict=False))
