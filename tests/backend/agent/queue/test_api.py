"""The verbs: what people ask is done, or refused in words, and nothing is half done."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.agent.queue import api, jobverbs, overview
from backend.agent.queue.api import VERBS
from backend.agent.queue.errors import FailedError, MissingError, QueueError, RefusedError, UsageError
from backend.agent.queue.plan import Start
from backend.agent.queue.store import IllegalError, Store
from backend.model import Job
from tests.backend.agent.queue.conftest import ANN, BOB, IMAGE, MACHINE, ROOT, body

msgspec = pytest.importorskip("msgspec")


def submit(ask, *bodies: dict[str, Any], who=ANN) -> list[int]:
    return ask("submit", {"jobs": list(bodies) or [body()]}, who)["ids"]


# ------------------------------------------------------------------------------------------ submit


def test_a_job_comes_back_as_it_was_asked_for(ask, base):
    (base / "data").mkdir()
    asked = body(
        name="night run",
        spec={
            "command": ["python", "train.py", "--name", 'a "b" c'],
            "env": [["SEED", "1"]],
            "mounts": [[f"{base}/data", "/data/", True]],
            "shm": 2**30,
            "warn_signal": "SIGUSR1",
        },
        request={"gpus": 1, "cpus": 2, "memory": 2**30, "time_limit": 3600},
        priority=5,
        retries=1,
    )
    assert submit(ask, asked) == [1]
    job = ask("show", {"id": 1})["job"]
    assert job["spec"]["image"] == IMAGE and job["spec"]["image_name"] == "train:latest"
    assert job["spec"]["command"] == asked["spec"]["command"]
    assert job["spec"]["mounts"] == [[f"{base}/data", "/data", True]]
    assert job["spec"]["user"] == "4001:4001"
    assert job["request"] == {"gpus": 1, "cpus": 2, "memory": 2**30, "time_limit": 3600.0}
    assert (job["owner"], job["uid"], job["name"], job["priority"]) == ("ann", 4001, "night run", 5)
    assert msgspec.convert(job, Job).spec.command == tuple(asked["spec"]["command"])


def test_arrays_are_taken_apart_and_waited_for_as_a_whole(ask):
    ids = submit(ask, body(array=[3, 5, 9], array_limit=2), body(after=[[-1, "ok"]]))
    jobs = ask("list", {"ids": ids})["jobs"]
    assert [job.get("array_index") for job in jobs] == [3, 5, 9, None]
    assert {job.get("array") for job in jobs[:3]} == {ids[0]}
    assert jobs[3]["after"] == [[number, "ok"] for number in ids[:3]]


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({}, UsageError, "no image"),
        ({"spec": {"image": "nope"}}, MissingError, "no image nope"),
        (body(colour="red"), UsageError, "'colour' is no field"),
        (body(spec={"colour": "red"}), UsageError, "'colour' is no field"),
        (body(request={"gpus": 3}), UsageError, "can never run"),
        (body(request={"gpus": -1}), UsageError, "gpus is -1"),
        (body(request={"gpus": True}), UsageError, "gpus is True"),
        (body(request={"gpus": 2, "gpu_ids": ["GPU-0"]}), UsageError, "gpu_ids names 1"),
        (body(request={"gpu_ids": ["GPU-9"]}), UsageError, "can never run"),
        (body(request={"cpus": 5}), UsageError, "can never run"),
        (body(request={"memory": 2**40}), UsageError, "can never run"),
        (body(request={"memory": 1000}), UsageError, "6 MiB"),
        (body(request={"time_limit": 0}), UsageError, "time_limit is 0"),
        (body(request={"time_limit": float("nan")}), UsageError, "time_limit"),
        (body(request=[]), None, ""),
        (body(request=[1]), UsageError, "not an object"),
        (body(priority=101), UsageError, "-100 to 100"),
        (body(retries="many"), UsageError, "retries is 'many'"),
        (body(name="x" * 101), UsageError, "at most 100"),
        (body(name="two\nlines"), UsageError, "one line"),
        (body(after=[[99, "ok"]]), MissingError, "no job 99"),
        (body(after=[[0, "ok"]]), UsageError, "after"),
        (body(after=[[-2, "ok"]]), UsageError, "only jobs before it"),
        (body(after=[["1", "ok"]]), UsageError, "after"),
        (body(after=[[1, "never"]]), UsageError, "after"),
        (body(array=[1, 1]), UsageError, "twice"),
        (body(array="1-3"), UsageError, "array"),
        (body(spec={"command": "true"}), UsageError, "command is 'true'"),
        (body(spec={"command": ["a\0b"]}), UsageError, "list of texts"),
        (body(spec={"command": ["a\ud800"]}), UsageError, "list of texts"),
        (body(spec={"env": [["A=B", "x"]]}), UsageError, "env has"),
        (body(spec={"env": {"A": "x"}}), UsageError, "env has"),
        (body(spec={"workdir": "here"}), UsageError, "absolute path"),
        (body(spec={"mounts": [["/nonexistent/x", "/x", False]]}), MissingError, "/nonexistent/x"),
        (body(spec={"mounts": [["/tmp", "x", False]]}), UsageError, "mounts has"),
        (body(spec={"mounts": [["/tmp", "/", False]]}), UsageError, "root"),
        (
            body(spec={"mounts": [["/tmp", "/a", False], ["/etc", "//a/", True]]}),
            UsageError,
            "both be mounted at /a",
        ),
        (body(spec={"user": "ann"}), UsageError, "UID:GID"),
        (body(spec={"groups": ["video"]}), UsageError, "groups"),
        (body(spec={"devices": ["/etc/passwd"]}), UsageError, "devices"),
        (body(spec={"devices": ["/dev/none"]}), MissingError, "/dev/none"),
        (body(spec={"warn_signal": "SIGWHAT"}), UsageError, "warn_signal"),
        (body(spec={"outfile": "/nonexistent/x/y"}), MissingError, "/nonexistent/x"),
        (body(spec={"project": "/nonexistent"}), MissingError, "no project folder"),
    ],
)
def test_what_cannot_be_is_refused_at_submit(ask, asked, kind, words):
    if kind is None:
        assert submit(ask, asked) == [1]
        return
    with pytest.raises(kind) as caught:
        submit(ask, body(), asked)
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert ask("list")["jobs"] == []


def test_a_submit_is_known_again_by_its_key(ask, base):
    asked = {"jobs": [body(array=[1, 2]), body()], "key": "f00d"}
    first = ask("submit", asked)["ids"]
    assert submit(ask) == [4]
    gone = {"jobs": [body(spec={"image": "removed meanwhile"})], "key": "f00d"}
    ask("drain", {})
    for again in (asked, gone):
        assert ask("submit", again) == {"ids": first, "again": True}
    ask("resume", {})
    assert ask("submit", asked, BOB)["ids"] == [5, 6, 7]  # a key is one person's
    assert ask("submit", {"jobs": [body()], "key": ""})["ids"] == [8]
    assert len(ask("list")["jobs"]) == 8


def test_one_key_at_the_same_moment_makes_one_job(ask, base):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ask("submit", {"jobs": [body()], "key": "k"})["ids"], range(16)))
    assert found == [[1]] * 16
    assert len(ask("list")["jobs"]) == 1


def test_what_came_through_is_found_by_its_key_until_it_ends(ask):
    first = ask("submit", {"jobs": [body(array=[1, 2])], "key": "f00d"})["ids"]
    submit(ask)
    assert ask("submitted", {"key": "f00d"}) == {"ids": first}
    assert ask("submitted", {"key": "f00d"}, BOB) == ask("submitted", {"key": ""}) == {"ids": []}
    ask("cancel", {"ids": first[:1]})
    assert ask("submitted", {"key": "f00d"}) == {"ids": first[1:]}


def test_a_key_is_forgotten_with_its_job(ask):
    asked = {"jobs": [body()], "key": "k"}
    (number,) = ask("submit", asked)["ids"]
    ask("cancel", {"ids": [number]})
    assert ask("submit", asked)["ids"] == [number]
    ask("forget", {"days": 0}, ROOT)
    assert ask("submit", asked)["ids"] == [number + 1]


def test_a_script_that_the_project_lacks(ask, base):
    (base / "my project").mkdir()
    there = {
        "project": f"{base}/my project",
        "workdir": "/p",
        "mounts": [[f"{base}/my project", "/p", False]],
    }
    with pytest.raises(MissingError, match=r"no script train\.sh"):
        submit(ask, body(spec={**there, "script": "train.sh --lr 0.1"}))
    (base / "my project" / "train.sh").touch()
    assert submit(ask, body(spec={**there, "script": "train.sh --lr 0.1"})) == [1]


def test_an_engine_that_does_not_answer(ask, engine):
    os.unlink(engine)
    with pytest.raises(FailedError, match="does not answer"):
        submit(ask)


def test_names_come_from_the_unix_user_or_from_root(ask):
    with pytest.raises(RefusedError, match="only root"):
        ask("submit", {"jobs": [body()], "owner": "root"})
    somebody = pwd.getpwall()[-1]
    ask("submit", {"jobs": [body()], "owner": somebody.pw_name}, ROOT)
    job = ask("show", {"id": 1})["job"]
    assert job["owner"] == somebody.pw_name
    assert job["spec"]["user"] == f"{somebody.pw_uid}:{somebody.pw_gid}"
    with pytest.raises(MissingError, match="no user"):
        ask("submit", {"jobs": [body()], "owner": "nobody-here"}, ROOT)


def test_what_the_machine_has_is_read_once_for_a_boot(folder, monkeypatch):
    monkeypatch.setattr("backend.agent.queue.desk.boot_id", lambda: "b1")
    read = []

    def machine(ours):
        read.append(1)
        return MACHINE._replace(boot_id="b1")

    def ask(asked):
        return api.handle(
            "submit", {"jobs": [asked]}, folder, who=ANN, machine=machine, ensure=lambda _: None
        )

    ask(body(request={"gpus": 1}))
    ask(body(request={"gpus": 2}))
    assert len(read) == 1
    with pytest.raises(UsageError):
        ask(body(request={"gpus": 3}))
    assert len(read) == 2
    monkeypatch.setattr("backend.agent.queue.desk.boot_id", lambda: "b2")
    ask(body(request={"gpus": 1}))
    assert len(read) == 3


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


# ----------------------------------------------------------------------------------------- garbage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("id", "ids", "jobs", "spec", "request", "changes", "x")), inner, max_size=3
        )
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    sorted(
        [
            "id",
            "ids",
            "jobs",
            "where",
            "other",
            "changes",
            "which",
            "owner",
            "limit",
            "reason",
            "since",
            "days",
            "attempt",
            "job",
        ]
    )
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(VERBS)), JSON | st.dictionaries(NAMES, JSON))
def test_any_json_is_answered_or_refused(ask, verb, asked):
    try:
        ask(verb, asked)
    except QueueError as error:
        assert error.message


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(sorted(jobverbs._EDITABLE)), JSON, max_size=3),
    st.dictionaries(
        st.sampled_from(sorted(["command", "env", "mounts", "user", "shm", "tty", "groups"])), JSON
    ),
)
def test_any_job_is_taken_or_refused(ask, fields, spec):
    try:
        (number,) = submit(ask, {**body(spec=spec), **fields})
    except QueueError as error:
        assert error.message
    else:
        msgspec.convert(ask("show", {"id": number})["job"], Job)


# ------------------------------------------------------------------------------------ command line


def agent(*words: str, data: str = "") -> tuple[int, list[dict[str, Any]]]:
    argv = [sys.executable, "-m", "backend.agent", "queue", *words]
    done = subprocess.run(argv, input=data, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def kept(folder):
    """Somebody keeps the queue: none is started."""
    descriptor = folder.open("keeper.lock")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def test_one_question_on_the_command_line(engine, kept, store):
    code, (answer,) = agent("submit", "--socket", engine, data=json.dumps({"jobs": [body()]}))
    assert (code, answer) == (0, {"ok": {"ids": [1]}})
    assert store.get(1).uid == os.getuid()
    code, (answer,) = agent("show", "--socket", engine, data='{"id": 9}')
    assert code == 1 and answer["error"]["kind"] == "missing"
    code, (answer,) = agent("list", data="[")
    assert code == 1 and answer["error"]["kind"] == "usage"


def test_many_questions_on_one_process(engine, kept):
    lines = [
        json.dumps({"verb": "submit", "body": {"jobs": [body(), body()]}}),
        "garbage",
        "",
        '{"verb": "rm"}',
        '{"verb": "cancel", "body": {"ids": [2]}}',
        '{"verb": "list"}',
    ]
    code, answers = agent("batch", "--socket", engine, data="\n".join(lines))
    assert code == 0
    assert [next(iter(answer)) for answer in answers] == ["ok", "error", "error", "ok", "ok"]
    assert [job["id"] for job in answers[4]["ok"]["jobs"]] == [1]


def test_wait_answers_with_how_the_jobs_ended(engine, kept, store, folder):
    argv = [sys.executable, "-m", "backend.agent", "queue", "submit", "--wait", "--socket", engine]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(json.dumps({"jobs": [body()]}))
        process.stdin.close()
        while not store.unfinished():
            assert process.poll() is None
        store.doom({1: "no luck"}, 1.0)
        answer = json.loads(process.stdout.read())["ok"]
    assert (answer["ids"], answer["jobs"][0]["state"], answer["jobs"][0]["error"]) == (
        [1],
        "failed",
        "no luck",
    )


def test_no_queue_is_made_by_looking(engine, base):
    for verb in ("list", "status", "events", "resume"):
        code, (answer,) = agent(verb, "--socket", engine)
        assert code == 0 and "ok" in answer
    assert not (base / "queue").exists()


def test_words_that_make_no_sense():
    for words in ([], ["--colour"], ["list", "more"], ["list", "--engine", "lxc"]):
        argv = [sys.executable, "-m", "backend.agent", "queue", *words]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "usage:" in done.stderr


def test_ten_thousand_jobs_are_listed_without_being_taken_apart(ask, store):
    submit(ask, body(array=list(range(10_000))))
    assert len(ask("list")["jobs"]) == 10_000
    with Store.open(store._place) as other:
        assert len(other.unfinished()) == 10_000
