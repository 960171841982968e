"""The database: nothing is lost, nothing happens twice, every change has its event."""

from __future__ import annotations

import itertools
import json
import threading
import time

import pytest

from backend.agent.queue.errors import MissingError, UsageError
from backend.agent.queue.jobs import (
    CANCELLED,
    COMPLETED,
    FAILED,
    QUEUED,
    RUNNING,
    STARTING,
    TIMEOUT,
    Request,
    Spec,
    job_from,
)
from backend.agent.queue.plan import Start
from backend.agent.queue.store import IllegalError, Store

from .conftest import IMAGE, job, run, start

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


def test_a_job_that_starts_while_a_list_is_read_is_in_it(store, folder, monkeypatch):
    store.submit([job(name="first"), job(name="second")], "ann")
    read, waiting = store.listing(), store.waiting

    def started(*arguments):
        """What runs was read, what waits was not."""
        with Store.open(folder) as keeper:
            keeper.book([Start(1, (), (0,), 0)], time.time())
        return waiting(*arguments)

    monkeypatch.setattr(store, "waiting", started)
    assert store.listing() == read
    monkeypatch.undo()
    assert [job_from(json.loads(text)).state for text in store.listing()] == [STARTING, QUEUED]


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
