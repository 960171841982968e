"""What people do with jobs that are there: wait, follow, end, move, retry; arrays; the rules of a queue."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backend.queues.labs import IMAGE, Berth, until
from tests.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

RUN = ("run", "--host", "q1", "--image", IMAGE)


def queued(berth: Berth, *words: str) -> str:
    """Queue a job; `q1/12`."""
    return berth(*RUN, "-d", *words).strip()


def row_of(berth: Berth, place: str) -> dict[str, Any]:
    host, _, number = place.partition("/")
    return next(job for job in berth.jobs("--all", "--host", host) if job["id"] == number)


@contextlib.contextmanager
def reading(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_job_wait_ends_with_each_job_and_with_its_exit_code(berth: Berth) -> None:
    good = queued(berth, "--", "sh", "-c", "sleep 1")
    bad = queued(berth, "--", "sh", "-c", "exit 7")
    assert "completed: exit code 0" in berth("job", "wait", good)
    both = berth("job", "wait", good, bad, code=7)
    assert "failed: exit code 7" in both and "completed" in both
    late = queued(berth, "-t", "1s", "--", "sleep", "300")
    told = json.loads(berth("job", "wait", late, "--json", code=124))
    assert told["state"] == "timeout"
    berth("job", "wait", "q1/99999", code=4)


def test_the_output_of_a_running_job_is_followed_to_its_end(berth: Berth, cluster: Lab) -> None:
    place = queued(berth, "--", "sh", "-c", "echo one; until [ -e /tmp/go ]; do sleep 0.1; done; echo two")
    with reading(berth.popen("job", "logs", "-f", place)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"
        running = until(lambda: row_of(berth, place)["container"])
        cluster.hosts["q1"].docker("exec", running, "touch", "/tmp/go")
        assert process.stdout.read() == "two\n"
        assert process.wait(60) == 0


def test_of_a_job_that_waits_it_is_said_why_there_is_no_output(berth: Berth) -> None:
    place = queued(berth, "--hold", "--", "true")
    assert berth("job", "logs", place) == ""
    assert f"q1: job {place.partition('/')[2]} does not run yet: held" in berth.said
    berth("job", "kill", place)


def test_the_output_of_several_jobs_says_whose_each_line_is(berth: Berth) -> None:
    places = berth(*RUN, "--array", "1-3", "--", "sh", "-c", "echo $BERTH_ARRAY_INDEX").split()
    out = berth("job", "logs", "-f", *places)
    assert sorted(out.splitlines()) == sorted(f"{place}: {index}" for index, place in enumerate(places, 1))


def test_an_array_runs_so_many_at_a_time_and_names_its_indices(berth: Berth) -> None:
    places = berth(
        *RUN,
        "-d",
        "--name",
        "eval",
        "--array",
        "3-6%1",
        "--",
        "sh",
        "-c",
        "echo $BERTH_ARRAY_INDEX; sleep 0.3",
    ).split()
    assert len(places) == 4
    most = 0

    def over() -> bool:
        nonlocal most
        now = [job for job in berth.jobs("--host", "q1") if f"q1/{job['id']}" in places]
        most = max(most, sum(job["state"] in ("running", "starting") for job in now))
        return not now

    until(over)
    assert most == 1
    assert [berth("job", "logs", place) for place in places] == ["3\n", "4\n", "5\n", "6\n"]
    listed = berth("jobs", "--all", "--host", "q1")
    assert "eval[3]" in listed and "eval[6]" in listed


def test_a_job_that_fails_is_tried_again_and_told_so(berth: Berth) -> None:
    tries = "echo try $BERTH_JOB_ATTEMPT; exit 4"
    out = berth(*RUN, "--retries", "3", "--", "sh", "-c", tries, code=4)
    assert out == "try 1\ntry 2\ntry 3\ntry 4\n"  # however short each of them was
    assert "attempt 1 failed; attempt 2 begins" in berth.said
    assert "failed: exit code 4" in berth.said
    row = next(job for job in berth.jobs("--all", "--host", "q1", "-n", "1") if job["ended_at"])
    assert (row["attempt"], row["retries"]) == (4, 3)
    assert berth("job", "logs", f"q1/{row['id']}") == "try 4\n"
    assert "exit code 4" in berth("job", "show", f"q1/{row['id']}")
    [told] = json.loads(berth("job", "show", f"q1/{row['id']}", "--json"))
    assert told["data"]["job"]["attempt"] == 4 and told["data"]["job"]["exit_code"] == 4
    assert "sh" in told["data"]["spec"]["command"] and told["data"]["events"]
    place = f"q1/{row['id']}"
    assert "was queued again" in berth("job", "retry", place)
    berth("job", "wait", place, code=4)
    berth("job", "forget", place, code=5)
    assert "nobody to ask" in berth.said
    until(lambda: not row_of(berth, place)["container"])
    assert "is forgotten" in berth("job", "forget", place, "--yes")
    berth("job", "show", place, code=4)


def test_time_that_is_up_is_said_at_the_end(berth: Berth) -> None:
    berth(*RUN, "-t", "1s", "--", "sleep", "300", code=124)
    assert "its time limit of 1 s was over (exit code 124)" in berth.said


def test_ones_own_job_is_ended_without_a_question_several_are_asked_about(berth: Berth) -> None:
    one, two, three = (queued(berth, "--hold", "--", "true") for _ in range(3))
    berth("job", "kill", one)
    assert row_of(berth, one)["state"] == "cancelled"
    berth("job", "kill", two, three, code=5)
    assert row_of(berth, two)["state"] == "held"
    berth("job", "kill", f"{two[:-1]}*", code=5)  # a pattern names what nobody wrote down
    berth("job", "kill", two, three, "--yes")
    assert row_of(berth, three)["state"] == "cancelled"


def test_the_job_of_somebody_else_is_asked_about_and_theirs_to_end(
    berth: Berth, cluster: Lab, tmp_path: Path
) -> None:
    bob = Berth(cluster.config_dir, berth.folder, tmp_path / "bob", user="bob")
    place = queued(bob, "--hold", "--", "true")
    berth("job", "kill", place, code=5)
    assert "of bob on q1" in berth.said and "nobody to ask" in berth.said
    berth("job", "kill", place, "--yes", code=5)
    assert row_of(berth, place)["state"] == "held"
    bob("job", "kill", place)


def test_a_job_that_runs_may_get_another_name_and_less_time_and_nothing_else(berth: Berth) -> None:
    place = queued(berth, "-t", "2h", "--", "sleep", "300")
    until(lambda: row_of(berth, place)["state"] == "running")
    assert "name short, time limit 1 h" in berth("job", "edit", place, "--name", "short", "--time", "1h")
    assert (row_of(berth, place)["name"], row_of(berth, place)["time_limit"]) == ("short", 3600)
    berth("job", "edit", place, "--time", "3h", code=5)
    assert "only root may give it more time" in berth.said
    berth("job", "edit", place, "--cpus", "2", code=5)
    berth("job", "kill", place)


def test_without_a_terminal_no_shell_is_left_in_the_queue(berth: Berth) -> None:
    before = {job["id"] for job in berth.jobs("--all", "--host", "q1")}
    berth("shell", "--host", "q1", "--image", IMAGE, code=2)
    assert "needs a terminal" in berth.said
    assert {job["id"] for job in berth.jobs("--all", "--host", "q1")} == before


def test_a_job_is_moved_and_changed_in_the_words_of_the_command_line(berth: Berth) -> None:
    first, second = (queued(berth, "--hold", "--", "true") for _ in range(2))
    try:
        number = first.partition("/")[2]
        assert f"goes before job {number}" in berth("job", "move", second, "before", number)
        order = [f"q1/{job['id']}" for job in berth.jobs("--host", "q1")]
        assert order.index(second) < order.index(first)
        berth("job", "move", second, "after", first)
        berth("job", "move", second, "sideways", code=2)
        said = berth("job", "edit", first, "--priority", "3", "--time", "4h", "--mem", "1")
        assert said.strip().endswith("priority 3, memory 1.0 G, time limit 4 h")
        row = row_of(berth, first)
        assert (row["priority"], row["time_limit"], row["memory"]) == (3, 14400.0, 1 << 30)
    finally:
        berth("job", "kill", first, second, "--yes")


def test_what_the_gpus_of_a_running_job_do_is_measured(berth: Berth, cluster: Lab) -> None:
    place = queued(berth, "-g", "1", "--", "sleep", "300")
    try:
        container = until(lambda: row_of(berth, place)["container"])
        row = row_of(berth, place)
        gpus = cluster.hosts["q1"].gpus
        index = next(gpu.index for gpu in gpus.gpus if gpu.uuid == row["gpu_uuids"][0])
        cluster.hosts["q1"].use_gpu(container, index, 3 << 30)
        gpus = cluster.hosts["q1"].gpus
        gpus.set(index, util=61)
        measured = until(lambda: (now := row_of(berth, place))["util_percent"] == 61 and now)
        assert measured["gpu_mem_used"] >= 3 << 30
        gpus.set(index, util=0)
        until(lambda: row_of(berth, place)["util_percent"] == 0)
        assert "idle" not in berth("jobs", "--host", "q1")  # one look cannot tell a pause from waste
    finally:
        berth("job", "kill", place)


def test_the_rules_of_a_queue_are_shown_and_only_root_changes_them(berth: Berth) -> None:
    assert berth("queue", "settings", "q1").splitlines()[0] == "jobs-per-user    no limit"
    berth("queue", "settings", "q1", "jobs-per-user=4", code=5)
    assert "root" in berth.said
    berth("queue", "settings", "q1", "jobs-per-user=many", code=2)
    berth("--read-only", "queue", "settings", "q1")
    berth("--read-only", "queue", "settings", "q1", "jobs-per-user=4", code=5)
    berth("job", "wait", queued(berth, "--", "true"))
    berth("queue", "forget", "q1", "--days", "0", code=5)
    assert "ended job" in berth.said and "nobody to ask" in berth.said
    assert "no job ended more than" in berth("queue", "forget", "q1", "--days", "300")


def test_root_changes_the_rules_and_forgets_what_is_over(berth: Berth, cluster: Lab, tmp_path: Path) -> None:
    root = Berth(cluster.config_dir, berth.folder, tmp_path / "root", user="root")
    try:
        assert "jobs-per-user    1\n" in root("queue", "settings", "q2", "jobs-per-user=1")
    finally:
        root("queue", "settings", "q2", "jobs-per-user=0")
    berth("run", "--host", "q2", "--image", IMAGE, "--", "true")
    number = berth.jobs("--ended", "--host", "q2", "-n", "1")[0]["id"]
    said = root("queue", "forget", "q2", "--days", "0", "--yes")
    assert "forgotten" in said and number in root.said
    assert berth.jobs("--ended", "--host", "q2") == []
    berth("job", "show", f"q2/{number}", code=4)
