"""Builds on record: seen by every berth, bounded, and true after a berth was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from backend.building import records
from backend.building.model import Build, BuildState
from backend.building.records import Record
from backend.errors import NoSuchTarget, UsageError


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))


def build(**changes: object) -> Build:
    given = {
        "id": records.new_id(),
        "order": "o1",
        "host": "h",
        "recipe": "r",
        "created_at": datetime.now(UTC),
    }
    return Build(**{**given, **changes})  # type: ignore[arg-type]


def kept(found: Build) -> Record:
    record = Record(found)
    record.keep()
    return record


def test_what_is_not_worth_a_record_is_in_no_list():
    fresh = Record(build())
    fresh.update(fresh.build.to(BuildState.FRESH))
    fresh.close()
    assert records.listed() == []


def test_a_build_is_listed_found_and_heard_of():
    heard: list[tuple[str, str | None]] = []
    end = records.listen(lambda one, line: heard.append((one.state.value, line)))
    with records.own("o1"):
        record = kept(build())
        record.update(record.build.to(BuildState.BUILDING, run="x"))
        record.say("a line")
        [found] = records.listed(active=True)
        assert found.state is BuildState.BUILDING and records.find(found.id[-4:]) == found
        record.update(record.build.to(BuildState.DONE))
        record.close()
    end()
    record.update(record.build)
    assert heard == [("building", None), ("building", "a line"), ("done", None)]
    assert records.log_path(record.build.id).read_text() == "a line\n"
    assert records.listed(active=True) == []


def test_names_that_mean_nothing_or_too_much():
    same = [kept(build(id=f"261121-00000{n}-aaaa")) for n in range(2)]
    with pytest.raises(NoSuchTarget):
        records.find("nothing")
    with pytest.raises(UsageError):
        records.find("aaaa")
    assert len(same) == 2


def test_what_a_killed_berth_left_is_detached_or_lost():
    kept(build(state=BuildState.WAITING))
    kept(build(state=BuildState.BUILDING, run="20261121T000000-00000000"))
    assert {each.state for each in records.listed()} == {BuildState.LOST, BuildState.DETACHED}
    records.settle()
    assert {each.state for each in records.listed()} == {BuildState.LOST, BuildState.DETACHED}


def test_the_lock_of_an_order_ends_with_its_process(tmp_path):
    script = (
        "import sys, time\nfrom backend.building import records\n"
        "with records.own('o9'):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert records.owned("o9")
        with records.own("o9") as ours:
            assert not ours
        holder.kill()
        holder.wait()
    assert not records.owned("o9")


def test_a_wish_to_cancel_is_heard_once():
    records.ask_cancel("261121-000000-0000")
    assert records.cancel_asked("261121-000000-0000")
    assert not records.cancel_asked("261121-000000-0000")


def test_old_builds_and_orphans_go(monkeypatch):
    monkeypatch.setattr(records, "KEPT", 3)
    for number in range(6):
        record = kept(build(id=f"26112{number}-000000-0000", state=BuildState.DONE))
        record.say("x")
        record.close()
    orphan = records.folder() / "261100-000000-0000.log"
    orphan.write_text("x")
    os.utime(orphan, (time.time() - 3600,) * 2)
    records.settle()
    names = sorted(path.name for path in records.folder().iterdir())
    assert names == [f"26112{n}-000000-0000.{end}" for n in (3, 4, 5) for end in ("json", "log")]


def test_a_log_is_bounded(monkeypatch):
    monkeypatch.setattr(records, "LOG_LIMIT", 1000)
    record = kept(build())
    for _ in range(200):
        record.say("x" * 20)
    record.close()
    assert records.log_path(record.build.id).stat().st_size <= 1021


def test_a_broken_record_hides_no_other():
    kept(build(state=BuildState.DONE))
    (records.folder() / "261199-000000-0000.json").write_text("{")
    assert len(records.listed()) == 1
