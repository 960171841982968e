"""The verbs: what people ask is done, or refused in words, and nothing is half done."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from backend.agent.queue import api, overview
from backend.agent.queue.api import VERBS
from backend.agent.queue.asked import Owner, spec_of
from backend.agent.queue.errors import MissingError, RefusedError, UsageError
from backend.agent.queue.plan import Start
from backend.agent.queue.store import IllegalError
from tests.backend.agent.queue.conftest import ANN, BOB, MACHINE, ROOT, body, submit

# ------------------------------------------------------------------------------------------ rights


@pytest.mark.parametrize(
    ("verb", "asked"),
    [
        ("cancel", {"ids": [1]}),
        ("hold", {"ids": [1]}),
        ("release", {"ids": [1]}),
        ("move", {"id": 1, "where": "first"}),
        ("edit", {"id": 1, "changes": {"priority": 1}}),
    ],
)
def test_other_peoples_jobs_are_theirs_and_roots(ask, verb, asked):
    submit(ask)
    with pytest.raises(RefusedError, match="job 1 is ann's"):
        ask(verb, asked, BOB)
    assert ask("show", {"id": 1}, BOB)["job"]["owner"] == "ann"
    ask(verb, asked, ROOT)


def test_retry_is_the_owners(ask):
    submit(ask)
    ask("cancel", {"ids": [1]})
    with pytest.raises(RefusedError):
        ask("retry", {"id": 1}, BOB)
    assert ask("retry", {"id": 1}) == {"id": 1}


@pytest.mark.parametrize(
    "verb", sorted(set(VERBS) & {"show", "cancel", "hold", "move", "edit", "retry", "log"})
)
def test_jobs_that_are_not_there(ask, verb):
    asked = {"ids": [7]} if verb in ("cancel", "hold") else {"id": 7}
    if verb == "move":
        asked["where"] = "first"
    with pytest.raises(MissingError, match="no job 7"):
        ask(verb, asked)


def test_settings_are_roots(ask):
    with pytest.raises(RefusedError):
        ask("settings", {"changes": {"max_gpus_per_user": 2}})
    assert ask("settings", {"changes": {"max_gpus_per_user": 2}}, ROOT)["max_gpus_per_user"] == 2
    assert ask("settings")["max_gpus_per_user"] == 2
    with pytest.raises(UsageError, match="'paused' is no field"):
        ask("settings", {"changes": {"paused": "x"}}, ROOT)


# ----------------------------------------------------------------------------------------- changes


def test_cancel_says_what_it_did(ask, store):
    submit(ask, body(), body(), body())
    store.book([Start(2, (), (0,), 0)], 1.0)
    ask("cancel", {"ids": [3]})
    answer = ask("cancel", {"ids": [1, 2, 3]})
    assert answer["results"] == {"1": "cancelled", "2": "stopping", "3": "ended"}
    assert "cancelled before it started" in answer["said"][0] and "had ended before" in answer["said"][2]


def test_edit_changes_what_is_asked_and_no_more(ask):
    submit(ask, body(request={"gpus": 2, "cpus": 2, "time_limit": 60}))
    ask("edit", {"id": 1, "changes": {"cpus": 3, "priority": -5, "name": "other"}})
    job = ask("show", {"id": 1})["job"]
    assert job["request"] == {"gpus": 2, "cpus": 3, "time_limit": 60.0}
    assert (job["priority"], job["name"]) == (-5, "other")
    ask("edit", {"id": 1, "changes": {"request": {"gpu_ids": ["GPU-1"], "time_limit": None}}})
    assert ask("show", {"id": 1})["job"]["request"] == {"gpus": 1, "gpu_ids": ["GPU-1"], "cpus": 3}
    ask("edit", {"id": 1, "changes": {"gpus": 2}})
    assert ask("show", {"id": 1})["job"]["request"] == {"gpus": 2, "cpus": 3}
    for changes, words in (
        ({"gpus": 9}, "can never run"),
        ({}, "nothing to change"),
        ({"image": "x"}, "no field"),
    ):
        with pytest.raises(UsageError, match=words):
            ask("edit", {"id": 1, "changes": changes})


def test_a_running_job_gets_more_time_from_root_only(ask, store):
    submit(ask, body(request={"time_limit": 60}))
    store.book([Start(1, (), (0,), 0)], 1.0)
    ask("edit", {"id": 1, "changes": {"time_limit": 30}})
    for longer in (40, None):
        with pytest.raises(RefusedError, match="only root"):
            ask("edit", {"id": 1, "changes": {"time_limit": longer}})
    ask("edit", {"id": 1, "changes": {"time_limit": 400}}, ROOT)
    with pytest.raises(IllegalError):
        ask("edit", {"id": 1, "changes": {"cpus": 2}})


def test_move_among_ones_own(ask):
    for who in (ANN, BOB, ANN):
        submit(ask, who=who)
    ask("move", {"id": 3, "where": "before", "other": 1})
    assert [job["id"] for job in ask("list")["jobs"]] == [3, 2, 1]
    with pytest.raises(IllegalError, match="not yours"):
        ask("move", {"id": 3, "where": "after", "other": 2})
    with pytest.raises(UsageError, match="where"):
        ask("move", {"id": 3})


def test_pause_and_drain_say_who_and_why(ask):
    assert ask("pause", {"reason": "driver update"}, BOB)["paused"] == "bob: driver update"
    assert ask("drain", None, ANN)["draining"] == "ann"
    with pytest.raises(
        IllegalError, match=r"takes no new jobs: ann drains it since 20\d\d-.* UTC\.$"
    ) as said:
        submit(ask)
    assert "berth queue resume" in said.value.hint
    assert "drains it since" in ask("estimate", {"job": body()})["why"]
    ask("drain", {"reason": "new disks"}, BOB)
    with pytest.raises(IllegalError, match=r"bob drains it since .* UTC \(new disks\)\.$"):
        submit(ask)
    status = ask("status")
    assert (status["paused"], status["draining"]) == ("bob: driver update", "bob: new disks")
    assert ask("resume") == {**ask("settings"), "paused": "", "draining": ""}


@pytest.mark.parametrize("question", [("wake", {}), ("resume", {"only_keeper": True})])
def test_to_wake_a_queue_changes_nothing(ask, question):
    """What a boot script says: a pause outlives a boot."""
    ask("pause", {"reason": "driver update"}, BOB)
    ask("drain", None, BOB)
    before = ask("settings")
    assert ask(*question) == before
    assert (before["paused"], before["draining"]) == ("bob: driver update", "bob")


def test_lists(ask, store):
    submit(ask, *[body() for _ in range(4)])
    submit(ask, body(priority=9), who=BOB)
    store.book([Start(3, (), (0,), 0)], 1.0)
    ask("cancel", {"ids": [4]})
    numbers = lambda asked: [job["id"] for job in ask("list", asked)["jobs"]]  # noqa: E731
    assert numbers({}) == [3, 5, 1, 2]
    assert numbers({"which": "all"}) == [3, 5, 1, 2, 4]
    assert numbers({"which": "ended"}) == [4]
    assert numbers({"owner": "bob"}) == [5]
    assert numbers({"which": "all", "limit": 2}) == [3, 5]
    assert numbers({"ids": [4, 2, 77]}) == [2, 4]
    assert {key: ask("list")[key] for key in ("waiting", "active")} == {"waiting": 3, "active": 1}


def test_status_tells_what_is_free(ask, store, folder):
    submit(ask, body(request={"gpus": 1, "cpus": 2, "memory": 2**30}))
    store.book([Start(1, ("GPU-0",), (0, 1), 2**30)], 1.0)
    status = ask("status")
    assert (status["gpus_total"], status["gpus_free"]) == (2, 0)
    assert status["gpus_busy"] == {"GPU-1": "python (pid 9) of eve"}
    assert (status["cpus_total"], status["cpus_free"]) == (4, 2)
    assert status["memory_free"] == 7 * 2**30
    assert (status["active"], status["waiting"], status["folder"]) == (1, 0, folder.path)
    assert status["keeper"] is True  # `ensure` saw to it


def test_a_keeper_that_cannot_be_started_is_told_of(folder, engine):
    def broken(_):
        raise OSError("no more processes")

    answer = api.handle(
        "submit", {"jobs": [body()]}, folder, who=ANN, machine=lambda ours: MACHINE, ensure=broken
    )
    assert answer["ids"] == [1] and "no more processes" in answer["notes"][0]


def test_the_keeper_is_named(folder):
    assert overview.keeper(folder) == {"keeper": False, "keeper_pid": None}
    descriptor = folder.open("keeper.lock")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, b"123\n")
    assert overview.keeper(folder) == {"keeper": True, "keeper_pid": 123}
    os.close(descriptor)


def test_estimates_change_nothing(ask, store):
    now = ask("estimate", {"job": body(request={"gpus": 1})})
    assert (now["start"], now["possible"]) == (0.0, True) and "1 of 2 GPUs are free" in now["why"]
    never = ask("estimate", {"job": body(request={"gpus": 3})})
    assert not never["possible"] and never["start"] is None
    submit(ask, body(request={"gpus": 1, "time_limit": 600}))
    import time

    store.book([Start(1, ("GPU-0",), (0,), 0)], time.time())
    store.started(1, 1, "c" * 64, time.time())
    later = ask("estimate", {"job": body(request={"gpu_ids": ["GPU-0"]})})
    assert later["possible"] and 500 < later["start"] <= 620
    assert len(ask("list")["jobs"]) == 1


def test_where_the_output_is(ask, store, base):
    submit(ask, body(retries=1), body(spec={"outfile": f"{base}/out.log"}))
    with pytest.raises(MissingError, match="has not started"):
        ask("log", {"id": 1})
    assert ask("log", {"id": 2})["file"] == f"{base}/out.log"
    store.book([Start(1, (), (0,), 0)], 1.0)
    store.started(1, 1, "c" * 64, 1.0)
    assert ask("log", {"id": 1})["container"] == "c" * 64
    store.ended(1, 1, "failed", 1, "", 2.0)
    store.saved(1, 1, "/logs/1.log")
    store.book([Start(1, (), (0,), 0)], 3.0)
    store.started(1, 2, "d" * 64, 3.0)
    assert ask("log", {"id": 1})["container"] == "d" * 64
    assert ask("log", {"id": 1, "attempt": 1})["file"] == "/logs/1.log"
    store.ended(1, 2, "failed", 1, "", 4.0)
    store.saved(1, 2, "", "it wrote no output")
    with pytest.raises(MissingError, match=r"job 1: no output was kept: it wrote no output\."):
        ask("log", {"id": 1})


def test_people_forget_what_is_theirs_and_over(ask, store, folder):
    for number, who in enumerate((ANN, BOB, ANN, ANN), 1):
        assert submit(ask, body(), who=who) == [number]
    submit(ask, body(after=[[3, "any"]]))
    ask("cancel", {"ids": [1, 2, 3]}, ROOT)
    assert [job["id"] for job in ask("forget", {"days": 0, "look": True})["jobs"]] == [1, 2]
    assert ask("forget", {"days": 1, "look": True})["jobs"] == []
    for number, error, words in (
        (2, RefusedError, "only bob and root may forget it"),
        (3, IllegalError, "job 5 waits for job 3"),
        (4, IllegalError, "job 4 has not ended: it is queued"),
        (9, MissingError, "no job 9"),
    ):
        with pytest.raises(error, match=words):
            ask("forget", {"ids": [1, number]})
    assert len(ask("list", {"which": "all"})["jobs"]) == 5  # all or none
    assert ask("forget", {"ids": [1]}) == {"ids": [1]}
    assert ask("forget", {"ids": [2]}, ROOT) == {"ids": [2]}
    with pytest.raises(MissingError):
        ask("show", {"id": 1})


def test_forget_is_roots_and_takes_the_logs(ask, store, folder):
    submit(ask, body(), body())
    store.book([Start(1, (), (0,), 0)], 1.0)
    store.ended(1, 1, "completed", 0, "", 2.0)
    path = Path(folder.make_logs()) / "1.log"
    path.touch()
    store.saved(1, 1, str(path))
    with pytest.raises(RefusedError):
        ask("forget", {"days": 1})
    assert ask("forget", {"days": 1}, ROOT) == {"ids": [1]}
    assert not path.exists()


def test_the_doorbell_rings_after_changes_only(ask, folder):
    from backend.agent.queue.doorbell import Doorbell

    bell = Doorbell(folder)
    ask("list")
    assert not bell.drain()
    submit(ask)
    assert bell.drain()
    bell.close()


@pytest.mark.parametrize(("rootless", "user"), [(False, "1000:1001"), (True, "0:0")])
def test_a_job_is_its_owners_own_inside_too(rootless, user):
    owner = Owner("ann", 1000, 1001, rootless)
    assert spec_of({"image": "x"}, "the job", owner, str).user == user
    assert spec_of({"image": "x", "user": "5:6"}, "the job", owner, str).user == "5:6"
