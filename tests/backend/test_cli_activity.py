"""`berth activity`, and verbs that mean the context used last."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.activity import ActivityLog, ActivityRow
from tests import program


@pytest.fixture
def berth(tmp_path: Path):
    (tmp_path / "contexts").mkdir()
    (tmp_path / "contexts/work.yaml").write_text("host: local\nimage: busybox\n")
    env = {**os.environ, "BERTH_CONFIG_DIR": str(tmp_path), "BERTH_STATE_DIR": str(tmp_path / "state")}

    def run(*words: str) -> subprocess.CompletedProcess:
        return program.berth(*words, env=env, code=None)

    return run


def test_what_was_done_is_listed_newest_first(berth, tmp_path):
    log = ActivityLog(tmp_path / "state" / "activity.jsonl")
    for number in range(3):
        log.append(
            ActivityRow(
                id=str(number),
                action="stop",
                title="stop",
                target="local/c",
                host="local" if number else None,
                state="failed",
                started_at=datetime(2026, 1, 1, tzinfo=UTC),
                message=f"no {number} \x1b[31m",
            )
        )
    lines = berth("activity").stdout.splitlines()
    assert lines[0].startswith("STARTED\tSTATE") and "no 2" in lines[1] and "\x1b" not in lines[1]
    assert [row["id"] for row in json.loads(berth("activity", "--json", "-n", "2").stdout)] == ["2", "1"]
    assert [row["id"] for row in json.loads(berth("activity", "--json", "--host", "local").stdout)] == [
        "2",
        "1",
    ]
    assert berth("activity", "--host", "nowhere").returncode == 4
    assert berth("activity", "-n", "0").returncode == 2


def test_nothing_done_is_an_empty_list(berth):
    assert berth("activity", "--json").stdout == "[]\n"


def test_a_verb_without_a_context_means_the_one_used_last(berth):
    done = berth("context", "history")
    assert done.returncode == 2 and "no context is named" in done.stderr
    assert berth("context", "use", "work").returncode == 0
    assert berth("context", "history").returncode == 0
    row = json.loads(berth("contexts", "--json").stdout)[0]
    assert (row["name"], row["last"]) == ("work", True)
