"""What is written, and when it is on the disk."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from backend.agent.queue import disk
from backend.agent.queue.plan import Start
from backend.agent.queue.store import IllegalError

from .conftest import job


def how_sure(store) -> int:
    """2: a change is on the disk when it is done; 1: it is in the log."""
    return store._connection.execute("PRAGMA synchronous").fetchone()[0]


def test_only_what_the_engine_tells_again_is_not_waited_for(store, monkeypatch):
    found = {}
    real = type(store)._put

    def put(self, old, new, who, text, **more):
        found[text.partition(" ")[0]] = how_sure(self)
        return real(self, old, new, who, text, **more)

    monkeypatch.setattr(type(store), "_put", put)
    store.submit([job(), job()], "ann")
    assert store.book([Start(1, (), (0,), 0)], 1.0)
    store.started(1, 1, "c1", 2.0)
    with pytest.raises(IllegalError):
        store.started(1, 2, "c1", 2.0)
    assert how_sure(store) == 2  # also after what failed
    store.set_waiting({2: "waits"})
    store.ended(1, 1, "completed", 0, "", 3.0)
    store.cancel([2], "ann")
    assert found == {"attempt": 2, "runs": 1, "completed": 1, "cancelled": 2}
    assert how_sure(store) == 2


def test_the_log_is_carried_over_by_somebody_else_once_it_is_long(store, folder):
    store.leave_checkpoints()

    def in_file() -> int:
        return os.stat(folder.database).st_size

    store.submit([job()], "ann")
    disk.checkpoint(folder.database)
    before = in_file()
    assert before < disk._LONG  # it is too short to be worth it
    for number in range(40):
        spec = job().spec._replace(command=(f"{number}" * 10_000,))
        store.submit([job()._replace(spec=spec)] * 50, "ann")
    assert os.stat(folder.database + "-wal").st_size > disk._LONG
    assert in_file() == before
    disk.sync(folder.database)
    disk.checkpoint(folder.database)
    assert in_file() > before + disk._LONG // 2
    assert len(store.unfinished()) == 2001


def test_a_database_that_is_gone_is_not_made_again(tmp_path: Path):
    path = tmp_path / "queue.db"
    disk.sync(str(path))
    disk.checkpoint(str(path))
    path.with_name("queue.db-wal").write_bytes(bytes(2 * disk._LONG))
    with pytest.raises(sqlite3.Error):
        disk.checkpoint(str(path))
    assert not path.exists()
