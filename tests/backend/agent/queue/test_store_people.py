"""What people change in the database: order, holds, edits, settings; all or nothing."""

from __future__ import annotations

import json
import time

import pytest

from backend.agent.queue.errors import MissingError, UsageError
from backend.agent.queue.jobs import (
    HELD,
    QUEUED,
    Request,
)
from backend.agent.queue.plan import Limits
from backend.agent.queue.store import IllegalError, Store

from .conftest import job, run


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
