"""Runs can be watched, cancelled and repeated; what ended is on record, whatever happened to the file."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import pytest

from backend import activity
from backend.actions import registry
from backend.actions.registry import Action, Option, action
from backend.actions.runs import Runs
from backend.activity import ActivityLog, ActivityRow
from backend.config import Config
from backend.errors import ActionFailed, Refused

TARGET = SimpleNamespace(host="h1", name="c", state="running")


class Nobody:
    """Says no to everything."""

    async def confirm(self, question):
        return False


no = Nobody()


@pytest.fixture
def declare(monkeypatch):
    monkeypatch.setattr(registry, "ACTIONS", {})

    def go(call, **about) -> Action:
        action(on=SimpleNamespace, **about)(call)
        return list(registry.ACTIONS.values())[-1]

    return go


@pytest.fixture
def runs(tmp_path):
    return Runs(
        Config(directory=tmp_path), access=None, log=ActivityLog(tmp_path / "state" / "activity.jsonl")
    )


def row(number: int, **changes) -> ActivityRow:
    fields = {
        "id": f"{number:06}", "action": "stop", "title": "stop", "target": "h1/c", "host": "h1",
        "state": "done",
        "started_at": datetime.now(UTC),
    }  # fmt: skip
    return ActivityRow(**(fields | changes))


async def test_only_the_no_that_ended_it_makes_a_run_cancelled(declare, runs):
    async def clean(ctx, container) -> str:
        """Clean."""
        await ctx.agree("Remove it?", "it was not removed.", hint="Two processes use it.")
        return "removed"

    async def rm(ctx, container) -> str:
        """Remove."""
        assert not await ctx.confirm("Its volumes too?")
        raise Refused("h1 is read-only.")

    declined = runs.start(declare(clean), TARGET, {}, ask=no)
    refused = runs.start(declare(rm), TARGET, {}, ask=no)
    await asyncio.gather(declined.task, refused.task)
    row = declined.row()
    assert (row.state, row.message, row.hint) == (
        "cancelled",
        "it was not removed.",
        "Two processes use it.",
    )
    assert (refused.row().state, refused.row().message) == ("failed", "h1 is read-only.")


async def test_a_run_reports_and_is_on_record(declare, runs):
    async def stop(ctx, container, *, token: Annotated[str, Option("secret", secret=True)] = "") -> str:
        """Stop."""
        ctx.report("one")
        ctx.progress(1, 2)
        ctx.notes["id"] = "abc"
        return "stopped"

    seen = []
    run = runs.start(
        declare(stop), TARGET, {"token": "hunter2"}, ask=no, changed=lambda run: seen.append(run.row())
    )
    await run.task
    assert [each.state for each in seen] == ["running", "running", "running", "done"]
    assert (seen[2].done, seen[2].total) == (1, 2)
    (kept,) = runs.log.read()
    assert (kept.message, kept.output, kept.target, kept.notes) == (
        "stopped",
        ("one",),
        "h1/c",
        {"id": "abc"},
    )
    assert "hunter2" not in runs.log.path.read_text()
    assert runs.log.path.stat().st_mode & 0o777 == 0o600


async def test_values_that_may_be_secret_are_not_on_record(declare, runs):
    async def execute(
        ctx, container, *, env: Annotated[tuple[str, ...], Option("vars", masked=True)] = ()
    ) -> str:
        """Run."""

    await runs.start(declare(execute), TARGET, {"env": ("TOKEN=hunter2",)}, ask=no).task
    assert "TOKEN=..." in runs.log.path.read_text() and "hunter2" not in runs.log.path.read_text()


async def test_failures_and_bugs_end_as_failed_with_a_message(declare, runs):
    async def stop(ctx, container):
        """Stop."""
        raise ActionFailed("it would not", hint="ask nicely")

    async def crash(ctx, container):
        """Crash."""
        raise ZeroDivisionError("oh")

    failed = runs.start(declare(stop), TARGET, {}, ask=no)
    crashed = runs.start(declare(crash), TARGET, {}, ask=no)
    await asyncio.gather(failed.task, crashed.task)
    assert (failed.state, failed.row().message, failed.row().hint) == ("failed", "it would not", "ask nicely")
    assert crashed.state == "failed" and "ZeroDivisionError" in crashed.row().message


async def test_a_cancel_cleans_up_and_a_retry_runs_again(declare, runs):
    events = []

    async def copy(ctx, container):
        """Copy."""
        events.append("start")
        try:
            await asyncio.sleep(60)
        finally:
            events.append("clean")

    run = runs.start(declare(copy), TARGET, {}, ask=no)
    while not events:
        await asyncio.sleep(0)
    run.cancel()
    await run.task
    assert run.state == "cancelled" and events == ["start", "clean"]
    again = runs.retry(run)
    while len(events) < 3:
        await asyncio.sleep(0)
    await runs.close()
    assert again.state == "cancelled" and events == ["start", "clean"] * 2
    assert runs.runs == [again, run]


async def test_what_only_looks_leaves_no_record(declare, runs):
    async def inspect(ctx, container):
        """Look."""

    await runs.start(declare(inspect, changes=False), TARGET, {}, ask=no).task
    assert runs.log.read() == []


def test_the_file_is_trimmed_and_half_lines_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(activity, "_TRIM_AT", 20_000)
    log = ActivityLog(tmp_path / "activity.jsonl")
    for number in range(300):
        log.append(row(number, output=("x" * 100,)))
    assert log.path.stat().st_size <= 21_000
    with log.path.open("ab") as file:
        file.write(b'{"id": "half')
    found = log.read()
    assert found[0].id == "000299" and len(found) > 20
    assert log.read(limit=3) == found[:3]


def test_a_full_or_forbidden_disk_loses_the_entry_not_the_action():
    log = ActivityLog(Path("/proc/nowhere/activity.jsonl"))
    log.append(row(1))
    assert log.read() == []


def test_a_log_that_cannot_be_trimmed_stays_whole_and_leaves_nothing(tmp_path, monkeypatch):
    log = ActivityLog(tmp_path / "activity.jsonl")
    monkeypatch.setattr(activity, "_TRIM_AT", 100)

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    for number in range(20):
        log.append(row(number))
    assert len(log.read()) == 20
    assert {each.name for each in tmp_path.iterdir()} == {"activity.jsonl", "activity.lock"}
