"""The output of a job: nothing twice, nothing left out, and nobody is left waiting for what does not come."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.agent.queue import follower as following
from backend.agent.queue.follower import Follower
from backend.agent.queue.jobs import COMPLETED, FAILED, QUEUED, RUNNING

from .conftest import job


def follow(ended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[float]]:
    """Kinds of the lines that are written, and how often was waited."""
    lines: list[str] = []
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) < 5, "it waits for what never comes"

    monkeypatch.setattr(time, "sleep", wait)
    socket = str(tmp_path / "none.sock")
    follower = Follower(lambda number: ended, lambda number: [], socket, ended.id, lines.extend)
    follower.run(to_the_end=True)
    return lines, waits


@pytest.mark.parametrize("state", [COMPLETED, FAILED])
def test_a_job_that_wrote_nothing_has_told_all(state, tmp_path, monkeypatch):
    ended = job()._replace(id=7, state=state, attempt=1, container="", log="")
    assert follow(ended, tmp_path, monkeypatch) == (["job"], [])


def test_what_was_kept_is_told(tmp_path, monkeypatch):
    log = tmp_path / "7.log"
    log.write_bytes(b"all of it\n")
    ended = job()._replace(id=7, state=COMPLETED, attempt=1, container="", log=str(log))
    assert follow(ended, tmp_path, monkeypatch) == (["job", "out"], [])


def test_a_pipe_that_somebody_made_of_it_is_not_waited_for(tmp_path, monkeypatch):
    log = tmp_path / "7.log"
    os.mkfifo(log)
    ended = job()._replace(id=7, state=COMPLETED, attempt=1, container="", log=str(log))
    assert follow(ended, tmp_path, monkeypatch) == (["job", "note"], [])


class Story:
    """A job that changes from one look to the next, and what was written of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], Any]) -> None:
        self.steps, self.now = list(steps), steps[0]()
        self.events: list[dict[str, Any]] = []
        self.containers: dict[str, bytes] = {}
        self.told: list[Any] = []
        monkeypatch.setattr(time, "sleep", self.sleep)
        monkeypatch.setattr(following, "container_output", self.output)

    def sleep(self, seconds: float) -> None:
        self.steps.pop(0)
        assert self.steps, "it waits for what never comes"
        self.now = self.steps[0]()

    def output(self, path: str, container: str, tty: bool, live: bool, tail: int) -> list[bytes]:
        if container not in self.containers:
            raise LookupError(container)
        lines = self.containers[container].splitlines(keepends=True)
        return lines[-tail:] if tail else lines

    def write(self, line: dict[str, Any]) -> None:
        if "job" in line:
            self.told.append((line["job"].get("attempt", 0), line["job"].get("state", QUEUED)))
        else:
            self.told.append(base64.b64decode(line["out"]).decode() if "out" in line else line["note"])

    def follow(self, **how: Any) -> list[Any]:
        follower = Follower(lambda number: self.now, lambda number: self.events, "", 7, self.write)
        follower.run(to_the_end=True, **how)
        return self.told


def at(attempt: int, state: str, **more: Any) -> Any:
    return job()._replace(id=7, state=state, attempt=attempt, **more)


def log(attempt: int, path: Path) -> dict[str, Any]:
    path.write_text(f"of {attempt}\n")
    return {"attempt": attempt + 1, "data": {"of": attempt, "log": str(path)}}


def test_attempts_that_were_over_before_anybody_looked_are_told_in_order(tmp_path, monkeypatch):
    done = at(3, COMPLETED, log=str(tmp_path / "3"))
    story = Story(monkeypatch, lambda: at(0, QUEUED), lambda: done)
    story.events = [log(number, tmp_path / str(number)) for number in (1, 2, 3)]
    expected = [(1, RUNNING), "of 1\n", (2, RUNNING), "of 2\n", (3, COMPLETED), "of 3\n"]
    assert story.follow() == [(0, QUEUED), *expected]
    late = Story(monkeypatch, lambda: done)
    late.events = story.events
    assert late.follow() == expected[4:]
    begun = Story(monkeypatch, lambda: at(2, QUEUED), lambda: done)
    begun.events = story.events
    assert begun.follow(first=1) == [*expected[:2], (2, QUEUED), "of 2\n", *expected[4:]]


def test_an_attempt_that_is_over_while_it_is_told_is_told_to_its_end(tmp_path, monkeypatch):
    """Its container was gone, and its log was not saved yet when the next attempt ran already."""

    def saved() -> Any:
        story.events.append(log(1, tmp_path / "1"))
        return at(2, RUNNING, container="b")

    story = Story(
        monkeypatch,
        lambda: at(1, RUNNING, container="a"),
        lambda: at(2, RUNNING, container="b"),
        saved,
        lambda: at(2, COMPLETED, container="b"),
    )
    story.events = [{"attempt": 1, "data": {"container": "a"}}]
    story.containers = {"b": b"second\n"}
    assert story.follow() == [(1, RUNNING), "of 1\n", (2, RUNNING), "second\n", (2, COMPLETED)]


def test_attempts_that_write_to_one_file_repeat_nothing(tmp_path, monkeypatch):
    path = tmp_path / "out"
    spec = job().spec._replace(outfile=str(path))

    def writes(text: str, attempt: int, state: str) -> Callable[[], Any]:
        def write() -> Any:
            with path.open("a") as file:
                file.write(text)
            return at(attempt, state, spec=spec, container="c" * (state == RUNNING))

        return write

    story = Story(
        monkeypatch,
        writes("one\n", 1, RUNNING),
        writes("more\n", 1, QUEUED),
        writes("two\n", 2, RUNNING),
        writes("", 2, COMPLETED),
    )
    assert "".join(one for one in story.follow() if isinstance(one, str)) == "one\nmore\ntwo\n"
    assert [one for one in story.told if isinstance(one, tuple)][-1] == (2, COMPLETED)


def test_the_last_lines_are_not_told_again_once_it_has_ended(tmp_path, monkeypatch):
    story = Story(monkeypatch, lambda: at(1, RUNNING, container="a"), lambda: at(1, COMPLETED, container="a"))
    story.containers = {"a": b"one\ntwo\nthree\n"}
    assert story.follow(tail=1) == [(1, RUNNING), "three\n", (1, COMPLETED)]


def test_an_attempt_without_output_is_not_waited_for(monkeypatch):
    story = Story(monkeypatch, lambda: at(2, COMPLETED))
    story.events = [{"attempt": 1, "data": {"of": 1, "log": ""}}]
    assert story.follow(first=1) == [(1, RUNNING), (2, COMPLETED)]
