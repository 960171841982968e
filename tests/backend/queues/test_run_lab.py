"""Jobs by the command line, over SSH on real hosts: rp's own command lines, and ours."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.backend.queues.labs import IMAGE, Berth, until
from tests.lab import Host, Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]


def host(lab: Lab, name: str) -> Host:
    return lab.hosts[name]


def test_an_rp_project_runs_with_rps_own_command_lines(berth: Berth, project: Path, cluster: Lab) -> None:
    out = berth("run", "--host=q1", "--script=hello.sh funny-name")
    assert out == "hook\nHello funny-name\n"
    assert "docker image successfully build!" in berth.said
    assert "waiting to be scheduled as <" in berth.said
    q1 = host(cluster, "q1")
    assert q1.run(["cat", "/home/alice/berth/demo/output/said"]).stdout == "funny-name\n"

    assert (
        berth(
            "run", "--host=q1", "--cpu=1", "--gpu=0", "--mem=1", "--outfile_name=myrun", "--script=hello.sh x"
        )
        == ""
    )
    logs = q1.run(["sh", "-c", "cat /home/alice/berth/demo/.rp/logs/myrun_*.log"]).stdout
    assert logs == "hook\nHello x\n"

    (project / "long.sh").write_text("sleep 300\n")
    place = berth("run", "--host=q1", "--detach=True", "--script=long.sh").strip()
    number = place.rpartition("/")[2]
    until(lambda: [job for job in berth.jobs("--host", "q1") if job["state"] == "running"])
    berth("kill", f"pid={number}")
    job = until(
        lambda: [
            job for job in berth.jobs("--all", "--host", "q1") if job["id"] == number and job["ended_at"]
        ]
    )
    assert job[0]["state"] == "cancelled"


def test_no_two_jobs_write_to_one_file(berth: Berth, project: Path, cluster: Lab) -> None:
    words = ("run", "--host=q1", "--gpu=0", "--outfile-name=each", "-d")
    places = berth(*words, "--sweep", "n=a,b", "--", "hello.sh", "{n}").split()
    berth("job", "wait", *places)
    assert [berth("job", "logs", place) for place in places] == ["hook\nHello a\n", "hook\nHello b\n"]
    files = host(cluster, "q1").run(["sh", "-c", "ls /home/alice/berth/demo/.rp/logs"]).stdout
    assert len([name for name in files.split() if name.startswith("each_")]) == 2
    berth(*words, "--array", "1-2", "--", "hello.sh", "x", code=2)
    assert "would write to one file" in berth.said


def test_what_can_never_run_is_refused_before_its_image_is_built(berth: Berth, project: Path) -> None:
    (project / "docker/Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo never\n")
    berth("run", "--host=q1", "--gpu=9", "--script=hello.sh x", code=2)
    assert "this host can never run hello.sh: asks for 9 GPUs; this host has 4" in berth.said
    assert "building" not in berth.said
    berth("run", "--host=q1", "--script=helo.sh x", code=4)
    assert "there is no script helo.sh in" in berth.said and "building" not in berth.said
    berth("queue", "drain", "q1", "--yes", "--reason", "moving")
    try:
        berth("run", "--host=q1", "--gpu=0", "--script=hello.sh x", code=5)
        assert "the queue takes no new jobs" in berth.said and "building" not in berth.said
    finally:
        berth("queue", "resume", "q1")


def test_what_only_projects_have_is_refused_without_one(berth: Berth) -> None:
    for word in ("--snapshot", "--outfile-name=x"):
        berth("run", "--host=q1", f"--image={IMAGE}", "-d", word, "--", "true", code=2)
        assert f"{word.partition('=')[0]} is for scripts of a project" in berth.said


def test_a_second_run_sends_what_changed_and_forgets_what_went(
    berth: Berth, project: Path, cluster: Lab
) -> None:
    (project / "old.txt").write_text("x")
    berth("run", "--host=q2", "--gpu=0", "--script=hello.sh a")
    (project / "old.txt").unlink()
    (project / "new.txt").write_text("y")
    berth("run", "--host=q2", "--gpu=0", "--script=hello.sh b")
    assert "building" not in berth.said
    there = host(cluster, "q2").run(["ls", "/home/alice/berth/demo"]).stdout.split()
    assert "new.txt" in there
    assert "old.txt" not in there
    assert "output" in there


def test_a_snapshot_runs_the_code_as_it_was(berth: Berth, project: Path) -> None:
    (project / "version.sh").write_text("sleep 2\ncat version\n")
    (project / "version").write_text("first\n")
    place = berth("run", "--host=q1", "--gpu=0", "--snapshot", "-d", "--", "version.sh").strip()
    (project / "version").write_text("second\n")
    berth("run", "--host=q1", "--gpu=0", "--", "version.sh")
    assert berth("job", "logs", "-f", place) == "hook\nfirst\n"


def test_the_exit_code_is_the_jobs(berth: Berth) -> None:
    assert (
        berth("run", "--host", "q1", "--image", IMAGE, "--", "sh", "-c", "echo out; exit 7", code=7)
        == "out\n"
    )


def test_a_job_gets_its_gpus_and_others_wait_for_them(berth: Berth) -> None:
    first = berth("run", "--host", "q2", "--image", IMAGE, "-g", "2", "-d", "--", "sleep", "300").strip()
    try:
        running = until(lambda: [job for job in berth.jobs("--host", "q2") if job["state"] == "running"])
        assert len(running[0]["gpu_uuids"]) == 2
        second = berth("run", "--host", "q2", "--image", IMAGE, "-g", "1", "-d", "--", "true").strip()
        waiting = until(
            lambda: [job for job in berth.jobs("--host", "q2") if job["state"] == "queued" and job["reason"]]
        )
        assert waiting[0]["place"] == 1
        assert f"q2/{waiting[0]['id']}" == second
        elsewhere = berth("run", "--host", "any", "--image", IMAGE, "-g", "1", "-d", "--", "true").strip()
        assert elsewhere.startswith("q1/")
    finally:
        berth("job", "kill", first, "--yes")
    until(lambda: not berth.jobs("--host", "q2"))


def test_ctrl_c_ends_the_job_and_a_lost_terminal_does_not(berth: Berth) -> None:
    for number, (sent, state) in enumerate(((signal.SIGINT, "cancelled"), (signal.SIGTERM, "running"))):
        process = berth.popen(
            "run", "--host", "q1", "--image", IMAGE, "--name", f"end{number}", "--", "sleep", "300"
        )
        try:
            job = until(
                lambda number=number: [
                    job
                    for job in berth.jobs("--host", "q1")
                    if job["name"] == f"end{number}" and job["state"] == "running"
                ]
            )[0]
            os.killpg(process.pid, sent)
            said = process.communicate(timeout=60)[1]
            assert process.returncode in (130, 143)
            assert ("job goes on. Its output: berth job logs -f q1/" in said) == (state == "running")
            now = until(
                lambda job=job, state=state: [
                    each
                    for each in berth.jobs("--all", "--host", "q1")
                    if each["id"] == job["id"] and each["state"] == state
                ]
            )
            assert now[0]["state"] == state
        finally:
            process.kill()
            process.communicate()
            if state == "running":
                berth("job", "kill", f"q1/{job['id']}", "--yes")


def test_a_sweep_waits_held_and_goes_on_when_released(berth: Berth) -> None:
    out = berth("run", "--host", "q1", "--image", IMAGE, "--hold", "--sweep", "lr=1,2", "--", "echo", "{lr}")
    places = out.split()
    assert len(places) == 2
    assert {job["state"] for job in berth.jobs("--host", "q1") if f"q1/{job['id']}" in places} == {"held"}
    berth("job", "release", "--json", *places)
    until(lambda: not [job for job in berth.jobs("--host", "q1") if f"q1/{job['id']}" in places])
    assert [berth("job", "logs", place) for place in places] == ["1\n", "2\n"]


def test_a_dependency_that_fails_ends_who_waits_for_it(berth: Berth) -> None:
    first = berth("run", "--host", "q1", "--image", IMAGE, "--hold", "-d", "--", "false").strip()
    number = first.rpartition("/")[2]
    waits = berth("run", "--host", "q1", "--image", IMAGE, "--after", number, "-d", "--", "true").strip()
    goes = berth(
        "run", "--host", "q1", "--image", IMAGE, "--after", f"any:{number}", "-d", "--", "true"
    ).strip()
    berth("job", "release", first)

    def states() -> dict[str, str] | None:
        found = {
            f"q1/{job['id']}": job["state"] for job in berth.jobs("--all", "--host", "q1") if job["ended_at"]
        }
        return found if {first, waits, goes} <= found.keys() else None

    ended = until(states)
    assert (ended[first], ended[goes]) == ("failed", "completed")
    assert ended[waits] != "completed"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--image", IMAGE, "-g", "9", "--", "true"), 2, "9 GPUs"),
        (("--image", "no/such:image", "--", "true"), 4, "no/such"),
        (("--image", IMAGE, "-v", "/no/such/folder", "--", "true"), 4, "/no/such/folder"),
        (("--image", IMAGE, "--after", "99999", "--", "true"), 4, "99999"),
        (("--", "true"), 2, "no project here"),
        (("--image", IMAGE, "--mem", "lots", "--", "true"), 2, "lots"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    berth: Berth, words: tuple[str, ...], code: int, said: str
) -> None:
    before = len(berth.jobs("--all", "--host", "q1"))
    process = berth.popen("run", "--host", "q1", *words)
    _, err = process.communicate(timeout=60)
    assert said in err
    assert process.returncode == code, err
    assert len(berth.jobs("--all", "--host", "q1")) == before


def test_read_only_queues_nothing(berth: Berth) -> None:
    before = berth.jobs("--all", "--host", "q1")
    berth("--read-only", "run", "--host", "q1", "--image", IMAGE, "--", "true", code=5)
    berth("--read-only", "job", "kill", "q1/1", "--yes", code=5)
    berth("--read-only", "queue", "pause", "q1", "--yes", code=5)
    assert [job["id"] for job in berth.jobs("--all", "--host", "q1")] == [job["id"] for job in before]
    assert "paused" not in berth("queue", "status", "q1")
    [status] = json.loads(berth("queue", "status", "q1", "--json"))
    assert (status["host"], status["state"], status["paused"]) == ("q1", "open", "")
    assert {"gpus_free", "gpus_total", "cpus_free", "memory_total", "keeper", "notes"} <= set(status)


def test_a_paused_queue_starts_nothing_and_says_who_paused_it(berth: Berth) -> None:
    berth("queue", "pause", "q2", "--reason", "new disk", "--yes")
    place = berth("run", "--host", "q2", "--image", IMAGE, "-d", "--", "true").strip()
    waiting = until(lambda: [job for job in berth.jobs("--host", "q2") if job["reason"]])
    assert "alice" in waiting[0]["reason"]
    assert "new disk" in waiting[0]["reason"]
    assert re.search(r"^q2\tdocker\tpaused\t0\t1\t.*alice: new disk", berth("queue", "status"), re.MULTILINE)
    told = {each["host"]: each for each in json.loads(berth("queue", "status", "--json"))}
    assert (told["q1"]["state"], told["q2"]["state"], told["q2"]["waiting"]) == ("open", "paused", 1)
    assert [each["host"] for each in json.loads(berth("queue", "status", "q2", "--json"))] == ["q2"]
    assert "queue of q2: its keeper is at work" in berth("queue", "wake", "q2") + berth.said
    assert "paused    alice: new disk" in berth("queue", "status", "q2")
    berth("queue", "resume", "q2")
    until(lambda: f"q2/{waiting[0]['id']}" == place and not berth.jobs("--host", "q2"))


def test_a_projects_job_goes_to_any_host(berth: Berth, project: Path) -> None:
    """Its image is not built yet when the hosts are asked."""
    assert "Hello x" in berth("run", "--host=any", "--gpu=0", "--script=hello.sh x")
    assert "chosen: q1" in berth.said
    assert "starts at once" in berth.said


def test_any_host_that_can_never_run_it_says_why_for_each(berth: Berth) -> None:
    berth("run", "--host", "any", "--image", IMAGE, "-g", "16", "-d", "--", "true", code=1)
    assert "q1" in berth.said
    assert "q2" in berth.said
