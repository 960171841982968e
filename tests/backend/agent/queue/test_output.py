"""The output of a job that has ended: who asks is never left waiting for what does not come."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from backend.agent.queue.jobs import COMPLETED, FAILED
from backend.agent.queue.output import Follower

from .conftest import job


def follow(ended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[float]]:
    """Kinds of the lines that are written, and how often was waited."""
    lines: list[str] = []
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) < 5, "it waits for what never comes"

    monkeypatch.setattr(time, "sleep", wait)
    follower = Follower(lambda number: ended, str(tmp_path / "none.sock"), ended.id, lines.extend)
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
