"""How jobs are told: their ends, why they wait, where they go, what was changed, and the rules of a queue."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.agent.queue.plan import Limits
from backend.config import Config, HostConfig
from backend.errors import UsageError
from backend.joblist import _first
from backend.model import JobRow
from backend.queues import overview, placement, rules, words
from backend.queues.base import Detail, Estimate, QueueStatus, Submission
from backend.queues.describe import as_data, called, described, why
from backend.queues.ends import ended, exit_code
from tests.tui.fakes import NOW


def row(**more: Any) -> JobRow:
    values = {"host": "h", "engine": "docker", "id": "7", "name": "x", "owner": "ann", "state": "running"}
    return JobRow(**{**values, **more})


def over(state: str, **more: Any) -> JobRow:
    return row(state=state, ended_at=NOW - timedelta(minutes=5), **more)


@pytest.mark.parametrize(
    ("job", "line", "code"),
    [
        (over("completed", exit_code=0), "exit code 0, 5 m ago", 0),
        (over("failed", exit_code=3), "exit code 3, 5 m ago", 3),
        (over("failed", exit_code=137), "killed by SIGKILL, 5 m ago", 137),
        (over("failed", exit_code=1, reason="it ran out of memory"), "it ran out of memory, 5 m ago", 1),
        (over("failed"), "its exit code is not known, 5 m ago", 1),
        (over("timeout", time_limit=3600.0, exit_code=143), "its time limit of 1 h was over, 5 m ago", 124),
        (over("cancelled", reason="cancelled by bob"), "cancelled by bob, 5 m ago", 130),
    ],
)
def test_a_list_and_a_shell_are_told_how_a_job_ended(job: JobRow, line: str, code: int) -> None:
    assert why(job, NOW) == line
    assert exit_code(job) == code
    assert ended(job).startswith(f"job 7 ended, {job.state}")


def test_the_end_of_a_job_names_berths_exit_code_where_it_is_another_one() -> None:
    assert ended(over("timeout", time_limit=2.0)).endswith("its time limit of 2 s was over (exit code 124)")
    assert ended(over("failed", exit_code=3)).endswith(": exit code 3")


def test_why_a_job_waits_and_that_its_gpus_do_nothing() -> None:
    soon = NOW + timedelta(hours=2)
    assert why(row(state="queued", place=2, expected_start=soon, reason="needs 2 GPUs"), NOW) == (
        "#2, in 2 h: needs 2 GPUs"
    )
    assert why(row(state="held", reason="held by ann"), NOW) == "held by ann"
    assert why(row(gpus=1, idle_since=NOW - timedelta(minutes=9)), NOW) == "GPU idle for 9 m"
    assert why(row(), NOW) == ""


def test_the_index_of_an_array_is_in_the_name_where_the_number_does_not_say_it() -> None:
    assert called(row(array="3_17")) == "x[17]"
    assert called(row(engine="slurm", id="3_17", array="3_17")) == "x"


def test_a_place_is_one_word_or_two_and_may_name_the_host() -> None:
    assert words.place(("first",), "h") == "first"
    assert words.place(("before", "h/12"), "h") == "before 12"
    assert words.place(("after 12",), "h") == "after 12"
    for wrong in (("before",), ("second",), ("before", "other/12"), ()):
        with pytest.raises(UsageError):
            words.place(wrong, "h")


def test_what_was_changed_is_told_in_peoples_words() -> None:
    changes = {"gpus": 2, "gpu_ids": (), "memory": 8 << 30, "time_limit": None, "after": [[12, "ok"]]}
    assert words.changed(changes) == ["2 GPUs", "memory 8.0 G", "no time limit", "after 12"]
    assert words.changed({"gpus": 1, "gpu_ids": ("GPU-1",), "priority": 3}) == ["GPUs GPU-1", "priority 3"]


def test_rules_are_read_and_said_in_the_same_words() -> None:
    assert rules.read(["jobs-per-user=4", "reserved_memory=16g"]) == {
        "max_running_per_user": 4,
        "reserved_memory": 16 << 30,
    }
    assert list(rules.said({"max_running_per_user": 4, "reserved_memory": 0})) == [
        "jobs-per-user    4",
        "gpus-per-user    no limit",
        "reserved-cpus    none",
        "reserved-memory  none",
        "keep-days        all",
        "keep-jobs        all",
    ]
    for wrong in ("jobs-per-user", "paused=1", "reserved-cpus=-1", "reserved-memory=lots"):
        with pytest.raises(UsageError):
            rules.read([wrong])


def test_what_will_be_forgotten_is_named() -> None:
    old = [over("failed", id=str(number), owner="bob" if number == 3 else "ann") for number in (12, 3, 9)]
    assert rules.named(old) == "3 ended jobs of ann and bob (3, 9, 12)"
    many = [over("failed", id=str(number)) for number in range(40)]
    assert rules.named(many) == "40 ended jobs of ann (0 to 39)"


@pytest.mark.parametrize(
    ("starts", "said"),
    [
        ((0.0, 0.4), "chosen: h1 (h2 would start it as soon; h1 comes first in hosts.yaml)"),
        ((None, None), "chosen: h1 (h2 cannot tell when either; h1 comes first in hosts.yaml)"),
        ((60.0, 0.0), "chosen: h2"),
        ((0.0, None), "chosen: h1"),
    ],
)
async def test_of_two_hosts_that_are_as_good_it_is_said_why_the_first_was_taken(
    monkeypatch: pytest.MonkeyPatch, starts: tuple[float | None, ...], said: str
) -> None:
    hosts = tuple(HostConfig(name=name, host=name) for name in ("h1", "h2"))

    class Queue:
        def __init__(self, name: str) -> None:
            self.name = name

        async def estimate(self, job: Submission) -> Estimate:
            return Estimate(self.name, starts[int(self.name[1]) - 1], possible=True, why="")

    class Opened:
        def __init__(self, config: object, access: object, name: str) -> None:
            self.queue = Queue(name)

        async def __aenter__(self) -> Queue:
            return self.queue

        async def __aexit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(placement, "queue_of", Opened)
    config = Config(directory=Path("/nonexistent"), hosts=hosts)
    _, lines = await placement.choose(config, None, "any", Submission())  # type: ignore[arg-type]
    assert lines[0] == said


def test_a_code_that_berth_run_does_not_end_with_is_said_with_the_one_it_does() -> None:
    late = row(state="timeout", exit_code=143, ended_at=NOW)
    assert "exit code 143 (of `berth run`: 124)" in "\n".join(described(Detail(late, {})))
    failed = row(state="failed", exit_code=3, ended_at=NOW)
    assert "of `berth run`" not in "\n".join(described(Detail(failed, {})))


def test_the_rules_of_a_queue_as_data_have_every_name_every_time() -> None:
    told = rules.as_data("h", {"max_running_per_user": 8, "reserved_memory": 2**30}, changed=False)
    assert told == {
        "host": "h", "changed": False, "jobs_per_user": 8, "gpus_per_user": 0, "reserved_cpus": 0,
        "reserved_memory": 2**30, "keep_days": 0, "keep_jobs": 0,
    }  # fmt: skip


def test_every_rule_that_a_queue_has_can_be_read_and_set() -> None:
    of_people = {name for name in Limits._fields if not name.startswith(("paused", "draining"))}
    names = [line.split()[0] for line in rules.said(Limits()._asdict())]
    assert rules.read(f"{name}=0" for name in names) == dict.fromkeys(of_people, 0)
    assert [line.split(None, 1)[1] for line in rules.said(Limits()._asdict())][-2:] == ["30", "10000"]


def test_so_many_jobs_of_all_hosts_are_those_that_matter_most() -> None:
    rows = [
        row(host="a", id="3", state="queued"),
        over("failed", host="a", id="1"),
        row(host="b", id="2"),
        row(host="b", id="4", state="completed", ended_at=NOW),
    ]
    assert [each.id for each in _first(rows, 10)] == ["2", "3", "4", "1"]
    assert [each.id for each in _first(rows, 3)] == ["2", "3", "4"]


def test_queues_are_told_as_lines_as_cells_and_as_data() -> None:
    found = QueueStatus(
        "h", "docker", 1, 2, paused="ann: new disk", keeper=True, gpus_free=3, gpus_total=4,
        memory_free=2**30, memory_total=2**31, notes=["full"],
    )  # fmt: skip
    lines = list(overview.lines(found))
    assert "GPUs      3 of 4 free" in lines and "paused    ann: new disk" in lines
    cells = {column.title: column.cell(found) for column in overview.COLUMNS}
    assert (cells["STATE"], cells["GPUS FREE"], cells["CPUS FREE"]) == ("paused", "3/4", "-")
    assert (cells["MEM FREE"], cells["WHY"]) == ("1.0 G/2.0 G", "ann: new disk; full")
    told = overview.as_data(found)
    assert (told["state"], told["cpus_free"], told["notes"]) == ("paused", None, ["full"])
    assert overview.state(QueueStatus("h", "slurm", 0, 0, draining="ann")) == "drained"


def test_a_job_as_data_keeps_the_values_of_its_variables_to_itself() -> None:
    for env in ({"TOKEN": "hunter2"}, [["TOKEN", "hunter2"]]):
        spec = {"image": "x", "env": env, "command": ("sh",)}
        told = as_data(Detail(row(), {"id": 7, "spec": spec}))
        assert (told["spec"]["env"], list(told["spec"]["command"]), told["job"]["id"]) == (
            ["TOKEN"],
            ["sh"],
            "7",
        )
        assert "hunter2" not in repr(told)
