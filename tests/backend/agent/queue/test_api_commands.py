"""Verbs on the command line and by a process that is kept, and what nobody expects to be asked."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.agent.queue import jobverbs
from backend.agent.queue.api import VERBS
from backend.agent.queue.errors import QueueError
from backend.agent.queue.store import Store
from backend.model import Job
from tests.backend.agent.queue.conftest import body, submit

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
