"""What a queue forgets by itself, and what it never does."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from backend.agent.loop import Loop
from backend.agent.queue import jobs, retention
from backend.agent.queue.place import Place
from backend.agent.queue.plan import Start
from backend.agent.queue.retention import DAY, Retention, due
from backend.agent.queue.store import Store

from .conftest import job

NOW = 10_000 * DAY
"""A moment in 1997: no test depends on today's date."""


def ended(store: Store, place: Place, at: float, **fields: Any) -> int:
    """A job that ended then, with output."""
    (number,) = store.submit([job(**fields)], "ann", at - 10)
    (booked,) = store.book([Start(number, (), (number % 64,), 0)], at - 5)
    store.started(number, booked.attempt, "c" * 64, at - 4)
    store.ended(number, booked.attempt, jobs.COMPLETED, 0, "", at)
    path = Path(place.make_logs()) / f"{number}.log"
    path.write_text("hello\n")
    store.saved(number, booked.attempt, str(path))
    return number


def run(
    store: Store, place: Place, monkeypatch: pytest.MonkeyPatch, *, now: float, last: float | None
) -> None:
    """A quiet moment at `now`; the last look was at `last`."""
    faults: list[BaseException] = []
    loop = Loop(lambda where, error: faults.append(error))
    if last is not None:
        store.remember("retention", repr(last))
    monkeypatch.setattr(retention, "_PAUSE", 0.0)
    monkeypatch.setattr(retention, "_AT_ONCE", 2)
    monkeypatch.setattr(time, "time", lambda: now)
    kept = Retention(loop, place, lambda where, error: faults.append(error))
    kept.quiet(lambda: store)
    while kept._under_way:
        loop.turn(1.0)
    loop.close()
    assert faults == []


def left(store: Store) -> list[int]:
    return sorted(found.id for found in store.latest(1000))


def test_old_jobs_go_with_their_events_and_their_output(store, folder, monkeypatch):
    old = [ended(store, folder, NOW - (31 + day) * DAY) for day in range(5)]
    young = ended(store, folder, NOW - 29 * DAY)
    run(store, folder, monkeypatch, now=NOW, last=NOW - DAY)
    assert left(store) == [young]
    assert [store.events(number) for number in old] == [[]] * 5
    assert os.listdir(folder.logs) == [f"{young}.log"]
    assert store.submit([job()], "ann") == [young + 1]  # no number is given again


def test_more_than_so_many_go_whatever_their_age(store, folder, monkeypatch):
    numbers = [ended(store, folder, NOW - 3600 + at) for at in range(7)]
    store.set_limits("root", keep_jobs=3)
    run(store, folder, monkeypatch, now=NOW, last=None)
    assert left(store) == numbers[-3:]


def test_what_others_wait_for_and_what_is_not_over_stays(store, folder, monkeypatch):
    awaited = ended(store, folder, NOW - 400 * DAY)
    in_container = ended(store, folder, NOW - 400 * DAY)
    gone = ended(store, folder, NOW - 400 * DAY)
    store.submit([job(after=((awaited, jobs.AFTER_ANY),), state=jobs.HELD)], "ann", NOW - 399 * DAY)
    again = store.retry(in_container, "ann")
    (booked,) = store.book([Start(again.id, (), (1,), 0)], NOW - 398 * DAY)
    store.started(again.id, booked.attempt, "d" * 64, NOW - 398 * DAY)
    store.ended(again.id, booked.attempt, jobs.FAILED, 1, "", NOW - 397 * DAY)  # its output is not saved yet
    run(store, folder, monkeypatch, now=NOW, last=NOW - DAY)
    assert left(store) == [awaited, in_container]
    assert store.get(gone) is None
    assert len(store.unfinished()) == 1


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (NOW - DAY, NOW - 30 * DAY),
        (NOW - 14 * DAY, NOW - 30 * DAY),
        (NOW - DAY / 2, None),  # it was looked at today
        (None, 0.0),  # never before: what the clock says is not known to be true
        (NOW - 30 * DAY, 0.0),  # the clock, or nobody, went on for a month
        (NOW + 3600, 0.0),  # the clock was set back
    ],
)
def test_ages_are_believed_of_a_clock_that_agrees_with_itself(store, last, expected):
    if last is not None:
        store.remember("retention", repr(last))
    assert due(store, NOW) == expected


def test_nothing_is_forgotten_when_the_clock_is_set_a_month_ahead(store, folder, monkeypatch):
    number = ended(store, folder, NOW - DAY)
    run(store, folder, monkeypatch, now=NOW, last=NOW - DAY)
    run(store, folder, monkeypatch, now=NOW + 40 * DAY, last=None)
    assert left(store) == [number]


def test_zero_keeps_everything(store, folder, monkeypatch):
    store.set_limits("root", keep_days=0, keep_jobs=0)
    numbers = [ended(store, folder, NOW - 4000 * DAY) for _ in range(3)]
    run(store, folder, monkeypatch, now=NOW, last=NOW - DAY)
    assert left(store) == numbers


def test_output_of_jobs_that_nobody_knows_goes_when_it_is_old(store, folder, monkeypatch):
    known = ended(store, folder, NOW - DAY)
    logs = Path(folder.logs)
    for name in ("999.log", "999.2.log", "998.log.part", "notes.txt", f"{known}.2.log", "997.log"):
        (logs / name).write_text("x")
        os.utime(logs / name, (NOW - 99 * DAY, NOW - 99 * DAY))
    os.utime(logs / "997.log", (NOW - DAY, NOW - DAY))
    run(store, folder, monkeypatch, now=NOW, last=NOW - DAY)
    assert sorted(os.listdir(logs)) == [f"{known}.2.log", f"{known}.log", "997.log", "notes.txt"]


def test_files_elsewhere_are_not_removed(store, folder, base, monkeypatch):
    """Everybody of the group may write into the database."""
    number = ended(store, folder, NOW - 99 * DAY)
    precious = base / "precious"
    precious.write_text("x")
    store.saved(number, 1, str(precious))
    store.saved(number, 1, f"{folder.logs}/../../precious")
    run(store, folder, monkeypatch, now=NOW, last=NOW - DAY)
    assert left(store) == []
    assert precious.exists()
