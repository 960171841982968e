"""What is on record stays on record, whoever else writes it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.sync.history import forget, past, remember
from backend.sync.model import HostResult


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))


def result(run: str) -> HostResult:
    return HostResult(
        host="box", profile="code", ok=True, run=run, started_at=datetime(2026, 1, 1, tzinfo=UTC)
    )


def test_nothing_is_lost_where_others_write_at_once() -> None:
    """Each opens the file by itself, as other processes do."""
    remember([result("undone")])
    ended = threading.Event()
    rewritten = threading.Event()

    def rewrite() -> None:
        while not ended.is_set():
            forget("undone")
            rewritten.set()

    def append(writer: int) -> None:
        for number in range(40):
            remember([result(f"{writer}-{number}")])

    other = threading.Thread(target=rewrite)
    other.start()
    assert rewritten.wait(60)
    writers = [threading.Thread(target=append, args=(each,)) for each in range(2)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    ended.set()
    other.join()
    runs = {each.run for each in past()}
    assert runs == {"", *(f"{writer}-{number}" for writer in range(2) for number in range(40))}


def test_only_the_run_that_was_undone_is_forgotten() -> None:
    remember([result("one"), result("two")])
    forget("one")
    forget("never was")
    assert [each.run for each in past()] == ["two", ""]
