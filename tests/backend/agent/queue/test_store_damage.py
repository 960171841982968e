"""A database that is broken, full, newer or older, and writers that are killed: nothing told is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from backend.agent.queue.errors import RefusedError
from backend.agent.queue.jobs import (
    CANCELLED,
    COMPLETED,
    FAILED,
    RUNNING,
    Request,
    Spec,
    job_from,
)
from backend.agent.queue.place import Place
from backend.agent.queue.store import SCHEMA, Store, StoreError

from .conftest import IMAGE, job, start


def spoil(folder: Place, data: bytes = b"\0garbage" * 9000) -> None:
    for part in ("-wal", "-shm"):
        if os.path.exists(folder.database + part):
            os.unlink(folder.database + part)
    with open(folder.database, "r+b") as file:
        file.write(data)


def test_a_broken_database_is_set_aside_once(folder):
    with Store.open(folder) as store:
        store.submit([job() for _ in range(5)], "ann")
        old = store.queue_id
    spoil(folder)
    begin = threading.Barrier(4)
    seen: list[tuple[str, str, tuple[str, ...]]] = []

    def opener() -> None:
        begin.wait()
        with Store.open(folder) as store:
            seen.append((store.queue_id, store.notice, store.former))

    threads = [threading.Thread(target=opener) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4 and len({(name, former) for name, _, former in seen}) == 1
    with Store.open(folder) as store:  # who came while it was being written down has not read it
        assert store.notice and {told for _, told, _ in seen} <= {"", store.notice}
        notice = store.notice
    queue_id, _, former = seen[0]
    aside = [name for name in folder.names() if ".broken-" in name and name.count("-") == 2]
    assert len(aside) == 1 and aside[0] in notice
    assert queue_id != old and former == (old,)
    with Store.open(folder) as store:
        assert store.submit([job()], "ann")[0] > 5  # no number of the lost ones again
        assert any(aside[0] in each["text"] for each in store.events())


def test_damage_that_shows_late(folder):
    with Store.open(folder) as store:
        store.submit([job(spec=Spec(IMAGE, str(n), ("x" * 500,))) for n in range(300)], "ann")
    size = os.path.getsize(folder.database)
    with open(folder.database, "r+b") as file:
        file.seek(8192)
        file.write(os.urandom(size - 8192))
    with Store.open(folder) as store:
        for _ in range(3):
            try:
                store.unfinished()
                store.submit([job()], "ann")
            except StoreError:
                continue
            break
        assert store.unfinished() != [] and store.notice


def test_one_that_is_set_aside_elsewhere_is_left(folder):
    with Store.open(folder) as store:
        store.submit([job()], "ann")
        for part in ("", "-wal", "-shm"):
            folder.rename("queue.db" + part, "away" + part)
        with Store.open(folder) as other:
            number = other.submit([job()], "ann")[0]
        assert [each.id for each in store.unfinished()] == [number]
        assert store.submit([job()], "ann") == [number + 1]


def test_a_checked_open_finds_damage_at_once(folder):
    with Store.open(folder) as store:
        store.submit([job(spec=Spec(IMAGE, str(n), ("x" * 500,))) for n in range(300)], "ann")
    with open(folder.database, "r+b") as file:
        file.seek(40960)
        file.write(os.urandom(40960))
    with Store.open(folder, check=True) as store:
        assert "set aside" in store.notice and store.unfinished() == []


def test_numbers_are_known_from_logs_too(folder):
    folder.make_logs()
    for name in ("41.log", "41.2.log", "x.log", "99999999999999999999.log"):
        with open(os.path.join(folder.logs, name), "w"):
            pass
    with Store.open(folder) as store:
        assert store.submit([job()], "ann") == [42]


def test_a_newer_queue_is_left_alone(folder):
    with Store.open(folder) as store:
        store.remember("x", "y")
    with sqlite3.connect(folder.database) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('needs', 'berth 9.1')")
    connection.close()
    with pytest.raises(RefusedError, match="newer berth") as caught:
        Store.open(folder)
    assert "berth 9.1" in caught.value.hint
    assert not [name for name in folder.names() if "broken" in name]


def test_a_job_of_a_lost_database_is_adopted_with_its_booking(folder):
    with Store.open(folder) as store:
        store.submit([job(), job(request=Request(gpus=1))], "ann")
        (booked,) = store.book([start(2, gpus=("GPU-0",))], 1.0)
    spoil(folder)
    with Store.open(folder) as store:
        new = store.submit([job(request=Request(gpus=1))], "ann")[0]
        adopted = store.adopt(booked, "c" * 64, 9.0)
        assert (adopted.id, adopted.state, adopted.gpus, adopted.attempt) == (2, RUNNING, ("GPU-0",), 1)
        assert store.book([start(new, gpus=("GPU-0",))], 10.0) == []
        assert store.ended(2, 1, COMPLETED, 0, "", 12.0).state == COMPLETED


def test_an_older_copy_that_was_put_back_learns_of_what_runs(folder, store):
    store.submit([job()], "ann")
    ahead = store.get(1)._replace(state=RUNNING, attempt=3, cpus=(5,))
    adopted = store.adopt(ahead, "c" * 64, 9.0)
    assert (adopted.state, adopted.attempt, adopted.cpus) == (RUNNING, 3, (5,))


def test_a_full_disk_says_so(folder, store):
    store.submit([job()], "ann")
    store._sql("PRAGMA max_page_count = 1")
    big = job(spec=Spec(IMAGE, "x", tuple("y" * 1000 for _ in range(2000))))
    with pytest.raises(StoreError, match="no room for the queue"):
        store.submit([big], "ann")
    assert [each.id for each in store.unfinished()] == [1]


WRITER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from backend.agent.queue import place
from backend.agent.queue.store import Store
from backend.agent.queue.jobs import *
from backend.agent.queue.plan import Start
with place.find(sys.argv[2]) as folder, Store.open(folder) as store:
    while True:
        ids = store.submit([Job(0, "ann", 1, "w", Spec("i"), Request()) for _ in range(3)], "ann")
        os.write(1, b"s%d\\n" % ids[0])
        (one,) = store.book([Start(ids[0], (), (os.getpid(),), 0)], 1.0)
        os.write(1, b"b%d\\n" % one.id)
        store.started(one.id, 1, "c", 1.0)
        store.ended(one.id, 1, "failed", 7, "", 2.0)
        os.write(1, b"e%d\\n" % one.id)
        store.cancel(ids[1:], "ann")
        os.write(1, b"c%d\\n" % ids[2])
"""


def test_killed_at_any_point_nothing_that_was_told_is_lost(folder, engine):
    rng = random.Random(7)
    told: dict[str, set[int]] = {"s": set(), "b": set(), "e": set(), "c": set()}
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../.."))
    for _ in range(6):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, root, engine], stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        for writer in writers:
            lines = rng.randrange(1, 60)
            for _ in range(lines):
                word = writer.stdout.readline().strip().decode()
                told[word[0]].add(int(word[1:]))
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            for word in writer.stdout.read().decode().splitlines():
                told[word[0]].add(int(word[1:]))
            writer.wait()
            writer.stdout.close()
    with Store.open(folder, check=True) as store:
        assert store.notice == ""
        jobs = {json.loads(text)["id"]: job_from(json.loads(text)) for text in store.listing("all")}
        assert sorted(jobs) == list(range(1, len(jobs) + 1)) and len(jobs) % 3 == 0
        for first in told["s"]:
            assert {first, first + 1, first + 2} <= set(jobs)
        assert all(jobs[number].attempt == 1 for number in told["b"])
        assert all((jobs[n].state, jobs[n].exit_code) == (FAILED, 7) for n in told["e"])
        assert all(jobs[number].state == CANCELLED for number in told["c"])
        for number, one in jobs.items():
            assert store.events(number)[-1]["new"] == one.state
