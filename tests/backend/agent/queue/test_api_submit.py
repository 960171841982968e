"""Submitting by the verb: what is asked for comes back, what cannot be is refused, a key makes one job."""

from __future__ import annotations

import os
import pwd

import msgspec
import pytest

from backend.agent.queue import api
from backend.agent.queue.errors import FailedError, MissingError, RefusedError, UsageError
from backend.model import Job
from tests.backend.agent.queue.conftest import ANN, BOB, IMAGE, MACHINE, ROOT, body, submit


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
