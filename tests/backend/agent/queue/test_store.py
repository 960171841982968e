"""The database: nothing is lost, nothing happens twice, every change has its event."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backend.agent.queue import place
from backend.agent.queue.errors import MissingError, RefusedError, UsageError
from backend.agent.queue.jobs import (
    ACTIVE,
    CANCELLED,
    COMPLETED,
    ENDED,
    FAILED,
    HELD,
    QUEUED,
    RUNNING,
    STARTING,
    TIMEOUT,
    WAITING,
    Request,
    Spec,
    job_from,
)
from backend.agent.queue.place import Place
from backend.agent.queue.plan import Limits, Start
from backend.agent.queue.store import SCHEMA, IllegalError, Store, StoreError

from .conftest import IMAGE, job


def start(number: int, **fields) -> Start:
    return Start(number, **{"gpus": (), "cpus": (number % 64,), "memory": 0, **fields})


def run(store: Store, number: int) -> int:
    """Book and start it; its attempt."""
    (booked,) = store.book([start(number)], 10.0)
    store.started(number, booked.attempt, "c" * 64, 11.0)
    return booked.attempt


# ------------------------------------------------------------------------------------------ submit


def test_a_submit_is_read_back_as_it_was(store):
    command, mounts = ("sh", "-c", 'echo "ä\n\t€"'), (("/a", "/b", True),)
    spec = Spec(IMAGE, "train:latest", command, entrypoint=(), env=(("A", "1"),), mounts=mounts)
    request = Request(1, (), 2, 2**31, 60.5)
    one = job(spec=spec, request=request, priority=7, retries=2, begin_at=5.5, name="ä ü")
    (number,) = store.submit([one], "ann", now=3.0)
    expected = one._replace(id=number, position=float(number), submitted_at=3.0)
    assert store.get(number) == expected
    assert store.unfinished() == [expected]
    assert job_from(json.loads(store.listing()[0])) == expected
    assert [(each["old"], each["new"], each["by"]) for each in store.events(number)] == [("", QUEUED, "ann")]


def test_jobs_of_a_submit_name_each_other_by_place(store):
    store.submit([job()], "ann")
    ids = store.submit([job(), job(after=((-1, "ok"), (1, "any"))), job(array=-2), job(array=-2)], "ann")
    found = {each.id: each for each in store.unfinished()}
    assert found[ids[1]].after == ((ids[0], "ok"), (1, "any"))
    assert [found[number].array for number in ids] == [0, 0, ids[1], ids[1]]
    assert store.array(ids[1]) == ids[2:]


@pytest.mark.parametrize(
    ("jobs", "error"),
    [
        ([job(after=((-1, "ok"),))], UsageError),
        ([job(after=((-2, "ok"),)), job(after=((-1, "ok"),))], UsageError),
        ([job(after=((-5, "ok"),))], UsageError),
        ([job(after=((77, "ok"),))], MissingError),
        ([job(), job(after=((-1, "sometimes"),))], UsageError),
    ],
)
def test_dependencies_that_cannot_be_leave_nothing_behind(store, jobs, error):
    with pytest.raises(error):
        store.submit(jobs, "ann")
    assert store.unfinished() == [] and store.events() == []
    assert store.submit([job()], "ann") == [1]


def test_two_users_submit_two_hundred_at_the_same_moment(folder):
    begin = threading.Barrier(4)
    got: dict[str, list[int]] = {"ann": [], "bob": [], "cem": [], "dan": []}

    def submitter(owner: str) -> None:
        with Store.open(folder) as store:
            begin.wait()
            for n in range(50):
                got[owner] += store.submit([job(owner, name=f"{owner}{n}")], owner)

    threads = [threading.Thread(target=submitter, args=(owner,)) for owner in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(itertools.chain(*got.values())) == list(range(1, 201))
    with Store.open(folder) as store:
        waiting = [job_from(json.loads(text)) for text in store.waiting()]
    assert [each.id for each in waiting] == list(range(1, 201))
    for owner in got:
        assert [each.name for each in waiting if each.owner == owner] == [f"{owner}{n}" for n in range(50)]


def test_ids_are_not_given_again(store):
    store.submit([job(), job()], "ann")
    store.cancel([1, 2], "ann")
    assert store.forget(time.time() + 1)[0] == [1, 2]
    assert store.submit([job()], "ann") == [3]


def test_a_draining_queue_takes_nothing(store):
    store.set_limits("bob", draining="bob: update")
    with pytest.raises(IllegalError, match=r"bob drains it \(update\)"):
        store.submit([job()], "ann")


# ---------------------------------------------------------------------------------------- the life


def test_a_life_from_booking_to_log(store):
    store.submit([job(request=Request(gpus=1, cpus=2))], "ann")
    (booked,) = store.book([Start(1, ("GPU-0",), (2, 3), 0)], 10.0)
    assert (booked.state, booked.attempt, booked.gpus, booked.cpus) == (STARTING, 1, ("GPU-0",), (2, 3))
    assert store.started(1, 1, "c" * 64, 11.0).state == RUNNING
    assert store.started(1, 1, "c" * 64, 99.0).started_at == 11.0
    ended = store.ended(1, 1, FAILED, 3, "", 20.0)
    assert (ended.state, ended.exit_code, ended.ended_at, ended.container) == (FAILED, 3, 20.0, "c" * 64)
    store.saved(1, 1, "/logs/1.log")
    kept = store.get(1)
    assert (kept.log, kept.container) == ("/logs/1.log", "")
    states = [each["new"] for each in store.events(1)]
    assert states == [QUEUED, STARTING, RUNNING, FAILED, FAILED]
    assert store.unfinished() == []


def test_nothing_is_booked_twice(store):
    store.submit([job(request=Request(gpus=1)) for _ in range(5)], "ann")
    gpu = {"gpus": ("GPU-0",)}
    assert [each.id for each in store.book([start(1, **gpu), start(2, **gpu)], 1.0)] == [1]
    assert store.book([start(2, **gpu)], 1.0) == []
    assert store.book([start(3, gpus=("GPU-1",), cpus=(1,))], 1.0) == []  # cpu 1 is job 1's
    assert [each.id for each in store.book([start(4, gpus=("GPU-1",))], 1.0)] == [4]
    assert store.book([start(1, gpus=("GPU-7",))], 1.0) == []  # it runs


def test_memory_is_not_given_twice(store):
    store.submit([job(request=Request(memory=6)) for _ in range(2)], "ann")
    assert len(store.book([start(1, memory=6), start(2, memory=6)], 1.0, memory=10)) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.hold([2], "ann"),
        lambda store: store.cancel([2], "ann"),
        lambda store: store.edit(2, "ann", request=Request(gpus=1)),
        lambda store: store.edit(2, "ann", begin_at=100.0),
        lambda store: store.edit(2, "ann", after=((1, "ok"),)),
        lambda store: store.set_limits("ann", paused="ann"),
    ],
)
def test_what_changed_since_the_plan_is_not_started(store, change):
    store.submit([job(), job()], "ann")
    change(store)
    assert store.book([start(2)], 1.0) == []


def test_retries_as_declared_and_no_more(store):
    store.submit([job(retries=2)], "ann")
    for attempt in (1, 2):
        assert run(store, 1) == attempt
        assert store.ended(1, attempt, FAILED, 1, "", 20.0).state == QUEUED
        store.saved(1, attempt, f"/logs/1.{attempt}.log")
        assert store.get(1).log == f"/logs/1.{attempt}.log"
    run(store, 1)
    assert store.get(1).log == ""
    assert store.ended(1, 3, FAILED, 1, "", 20.0).state == FAILED
    assert store.retry(1, "ann").state == QUEUED
    run(store, 1)
    assert store.ended(1, 4, FAILED, 1, "", 20.0).state == QUEUED  # all its retries once more


@pytest.mark.parametrize("state", [COMPLETED, CANCELLED, TIMEOUT])
def test_only_what_failed_is_retried(store, state):
    store.submit([job(retries=2)], "ann")
    run(store, 1)
    assert store.ended(1, 1, state, 0, "", 20.0).state == state


def test_a_cancelled_job_is_not_retried(store):
    store.submit([job(retries=2)], "ann")
    run(store, 1)
    assert store.cancel([1], "bob") == {1: "stopping"}
    assert store.get(1).cancel_by == "bob"
    assert store.ended(1, 1, FAILED, 137, "", 20.0).state == FAILED


def test_a_container_that_never_came_once_and_twice(store):
    store.submit([job()], "ann")
    store.book([start(1)], 1.0)
    assert store.unbook(1, 1, "no container").state == QUEUED
    store.book([start(1)], 2.0)
    again = store.unbook(1, 2, "no container")
    assert (again.state, again.error) == (FAILED, "no container")


def test_a_job_that_is_cancelled_while_it_starts_ends_as_cancelled(store):
    store.submit([job()], "ann")
    store.book([start(1)], 1.0)
    store.cancel([1], "ann")
    assert store.unbook(1, 1, "no container").state == CANCELLED


def test_what_is_over_is_not_changed(store):
    store.submit([job(retries=1)], "ann")
    run(store, 1)
    store.ended(1, 1, FAILED, 1, "", 20.0)
    run(store, 1)
    before = store.get(1)
    for call in (
        lambda: store.ended(1, 1, COMPLETED, 0, "", 30.0),
        lambda: store.started(1, 1, "d" * 64, 30.0),
        lambda: store.started(1, 2, "d" * 64, 30.0),
        lambda: store.unbook(1, 1, "x"),
        lambda: store.unbook(1, 2, "x"),
        lambda: store.ended(1, 2, RUNNING, 0, "", 30.0),
        lambda: store.saved(1, 2, "/x"),
        lambda: store.hold([1], "ann"),
        lambda: store.release([1], "ann"),
        lambda: store.move(1, "first", by="ann"),
        lambda: store.edit(1, "ann", priority=3),
        lambda: store.retry(1, "ann"),
        lambda: store.adopt(before, "d" * 64, 30.0),
    ):
        with pytest.raises(IllegalError):
            call()
        assert store.get(1) == before


def test_a_doomed_job_fails_unless_it_has_started(store):
    store.submit([job(), job()], "ann")
    run(store, 1)
    assert [each.id for each in store.doom({1: "x", 2: "job 7 failed", 99: "x"}, 5.0)] == [2]
    assert (store.get(2).state, store.get(2).error) == (FAILED, "job 7 failed")


def test_names_that_are_no_text_do_no_harm(store):
    store.submit([job()], "ann")
    store.set_waiting({1: "held by \udcff"})
    store.cancel([1], "b\udcffb")
    assert store.events(1)[-1]["by"] == "b?b"


def test_what_the_plan_says_is_written_where_it_changed(store):
    store.submit([job() for _ in range(3)], "ann")
    run(store, 3)
    now = time.time()
    assert store.set_waiting({1: "no GPU", 2: "job 1 first", 3: "x"}, {1: now + 100, 2: None}) == 3
    events = len(store.events())
    assert store.set_waiting({1: "no GPU", 2: "job 1 first"}, {1: now + 101, 2: None}) == 0
    assert store.set_waiting({1: "no GPU", 2: "job 1 first"}, {1: now + 200, 2: None}) == 1
    assert (store.get(1).reason, store.get(1).expected_start) == ("no GPU", now + 200)
    assert store.get(3).reason == "" and len(store.events()) == events
    run(store, 1)
    assert store.get(1).reason == ""


def test_changes_of_another_process_show_in_what_is_remembered(folder, store):
    store.submit([job() for _ in range(3)], "ann")
    assert {each.id for each in store.unfinished()} == {1, 2, 3}
    with Store.open(folder) as other:
        other.cancel([2], "bob")
        other.edit(3, "bob", priority=9)
        other.submit([job()], "bob")
    assert {(each.id, each.priority) for each in store.unfinished()} == {(1, 0), (3, 9), (4, 0)}


# ------------------------------------------------------------------------------------------ people


def test_hold_and_release(store):
    store.submit([job(), job()], "ann")
    store.hold([1, 2], "ann")
    assert {each.state for each in store.unfinished()} == {HELD}
    store.release([1], "bob")
    assert [(each["new"], each["by"]) for each in store.events(1)] == [
        (QUEUED, "ann"),
        (HELD, "ann"),
        (QUEUED, "bob"),
    ]


def test_all_or_nothing(store):
    store.submit([job()], "ann")
    with pytest.raises(MissingError):
        store.cancel([1, 99], "ann")
    assert store.get(1).state == QUEUED


def order(store: Store) -> list[int]:
    return [json.loads(text)["id"] for text in store.waiting()]


def test_moves_change_places_among_ones_own_jobs_only(store):
    for owner in ("ann", "bob", "ann", "bob", "ann"):
        store.submit([job(owner)], owner)
    store.move(5, "first", by="ann", among="ann")
    assert order(store) == [5, 2, 1, 4, 3]
    store.move(5, "after", 1, by="ann", among="ann")
    assert order(store) == [1, 2, 5, 4, 3]
    store.move(3, "before", 5, by="ann", among="ann")
    assert order(store) == [1, 2, 3, 4, 5]
    with pytest.raises(IllegalError, match="not yours"):
        store.move(1, "after", 2, by="ann", among="ann")
    store.move(4, "first", by="root")
    assert order(store) == [4, 1, 2, 3, 5]
    store.submit([job(priority=5)], "ann")
    with pytest.raises(UsageError, match="priority"):
        store.move(1, "before", 6, by="ann", among="ann")
    assert order(store)[0] == 6


def test_edits_make_no_circles(store):
    store.submit([job(), job(after=((-1, "ok"),)), job(after=((-2, "ok"),))], "ann")
    with pytest.raises(UsageError, match="itself"):
        store.edit(1, "ann", after=((3, "ok"),))
    assert store.get(1).after == ()


def test_a_running_job_changes_its_time_limit_only(store):
    store.submit([job(request=Request(time_limit=60.0))], "ann")
    run(store, 1)
    assert store.edit(1, "ann", request=Request(time_limit=30.0), name="new").request.time_limit == 30.0
    with pytest.raises(IllegalError):
        store.edit(1, "ann", request=Request(gpus=2))


def test_so_many_of_an_array_at_a_time_is_the_arrays(store):
    tasks = [job(array=-1, array_index=one, array_limit=4) for one in range(3)]
    first, second, third = store.submit(tasks, "ann")
    run(store, third)
    assert store.edit(first, "ann", array_limit=1).array_limit == 1
    assert [store.get(one).array_limit for one in (second, third)] == [1, 4]
    assert store.events(second)[-1]["text"] == f"changed: array_limit, with job {first}"


def test_what_others_wait_for_is_not_forgotten(store):
    store.submit([job(), job(), job(after=((-1, "any"),))], "ann")
    store.cancel([1, 2], "ann")
    assert store.forget(time.time() + 1)[0] == [2]
    assert [each.id for each in store.needed([1, 2, 3])] == [1]


def test_settings_last_and_leave_an_event(folder, store):
    store.set_limits("bob", paused="bob: update", max_gpus_per_user=4)
    with Store.open(folder) as other:
        assert other.limits() == Limits(paused="bob: update", max_gpus_per_user=4)
    assert store.events()[-1]["by"] == "bob" and store.events()[-1]["data"]["max_gpus_per_user"] == 4


# ---------------------------------------------------------------------------- broken, newer, older


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


# --------------------------------------------------------------------------------------- kill -9

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


# ------------------------------------------------------------------------------------- any order


class AnyOrder(RuleBasedStateMachine):
    """Whatever is done in whatever order: states follow the events, and nothing is booked twice."""

    def __init__(self) -> None:
        super().__init__()
        import socket
        import tempfile

        self.base = tempfile.mkdtemp(prefix="bq-", dir="/tmp")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(f"{self.base}/s")
        before = os.environ.get(place.ENVIRONMENT)
        os.environ[place.ENVIRONMENT] = f"{self.base}/q"
        try:
            self.place = place.find(f"{self.base}/s")
        finally:
            if before is None:
                del os.environ[place.ENVIRONMENT]
        self.store = Store.open(self.place)

    def teardown(self) -> None:
        import shutil

        self.store.close()
        self.place.close()
        self.socket.close()
        shutil.rmtree(self.base)

    def _try(self, call: Callable[[], object]) -> None:
        with contextlib.suppress(IllegalError, MissingError, UsageError):
            call()

    numbers = st.integers(1, 6)

    @rule(count=st.integers(1, 2), retries=st.integers(0, 1), held=st.booleans(), gpus=st.integers(0, 1))
    def submit(self, count, retries, held, gpus):
        if sum(self.store.counts().values()) < 6:
            state = HELD if held else QUEUED
            self.store.submit([job(retries=retries, state=state, request=Request(gpus))] * count, "ann")

    @rule(number=numbers, gpu=st.sampled_from("AB"), cpu=st.integers(0, 2))
    def book(self, number, gpu, cpu):
        found = self.store.get(number)
        gpus = (gpu,) if found is not None and found.request.gpus else ()
        self.store.book([Start(number, gpus, (cpu,), 0)], 1.0)

    @rule(number=numbers, attempt=st.integers(1, 3))
    def started(self, number, attempt):
        self._try(lambda: self.store.started(number, attempt, "c", 2.0))

    @rule(number=numbers, attempt=st.integers(1, 3), state=st.sampled_from(sorted(ENDED)))
    def ended(self, number, attempt, state):
        self._try(lambda: self.store.ended(number, attempt, state, 1, "", 3.0))

    @rule(number=numbers, attempt=st.integers(1, 3))
    def unbook(self, number, attempt):
        self._try(lambda: self.store.unbook(number, attempt, "gone"))

    @rule(number=numbers, attempt=st.integers(1, 3))
    def saved(self, number, attempt):
        self._try(lambda: self.store.saved(number, attempt, "/l"))

    @rule(number=numbers, verb=st.sampled_from(("cancel", "hold", "release")))
    def people(self, number, verb):
        self._try(lambda: getattr(self.store, verb)([number], "bob"))

    @rule(number=numbers, where=st.sampled_from(("first", "last", "before", "after")), other=numbers)
    def move(self, number, where, other):
        self._try(lambda: self.store.move(number, where, other, by="bob"))

    @rule(number=numbers, other=numbers)
    def edit(self, number, other):
        self._try(lambda: self.store.edit(number, "bob", after=((other, "ok"),)))

    @rule(number=numbers)
    def retry(self, number):
        self._try(lambda: self.store.retry(number, "bob"))

    @rule()
    def doom(self):
        self.store.doom({1: "never"}, 4.0)

    @invariant()
    def all_is_well(self):
        jobs = [job_from(json.loads(text)) for text in self.store.listing("all")]
        active = [each for each in jobs if each.state in ACTIVE]
        for field in ("gpus", "cpus"):
            held = [one for each in active for one in getattr(each, field)]
            assert len(held) == len(set(held))
        for each in jobs:
            events = self.store.events(each.id)
            assert events[-1]["new"] == each.state and events[-1]["attempt"] == each.attempt
            assert all(a["new"] == b["old"] for a, b in itertools.pairwise(events))
            assert (each.ended_at is not None) == (each.state in ENDED)
            assert each.state not in WAITING or not (each.gpus or each.cpus or each.container)
        remembered = {each.id: each.state for each in self.store.unfinished()}
        assert remembered == {each.id: each.state for each in jobs if each.state not in ENDED}


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
