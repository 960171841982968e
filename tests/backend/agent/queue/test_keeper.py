"""The keeper's own loop, without an engine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from backend.agent.http_unix import Reply
from backend.agent.queue import keeper as keeping
from backend.agent.queue.keeper import Keeper
from backend.agent.queue.place import Place
from backend.agent.queue.store import StoreError
from backend.agent.queue.tasks import Task, Wait


@pytest.fixture
def keeper(folder):
    """It is not run: it has nobody behind it."""
    lock = folder.open("keeper.lock")
    made = Keeper(folder, lock, None)
    yield made
    made._loop.close()
    os.close(lock)


def turn(keeper: Keeper, until: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not until():
        assert time.monotonic() < end, "it never looked again"
        keeper._loop.turn(0.05)


def journal(folder: Place) -> str:
    with os.fdopen(folder.open("keeper.log")) as file:
        return file.read()


def test_a_look_that_fails_while_something_changes_is_followed_by_another(keeper, folder, monkeypatch):
    monkeypatch.setattr(keeping, "_AGAIN", 0.05)
    answers, looks = [], []

    async def one_look() -> None:
        looks.append(len(looks))
        if len(looks) == 1:
            await Wait(answers.append)
            raise StoreError("the database is locked.")

    monkeypatch.setattr(keeper, "_one_look", one_look)
    keeper.changed()
    turn(keeper, lambda: answers)
    keeper.changed()  # somebody rings in the middle of it
    keeper._loop.turn(0)
    answers[0](None)
    turn(keeper, lambda: len(looks) == 2)
    assert "the database is locked" in journal(folder)
    keeper.changed()
    turn(keeper, lambda: len(looks) == 3)
    keeper._loop.turn(0.1)
    assert looks == [0, 1, 2], "one for each that was asked for"


def test_an_engine_that_cannot_list_its_containers_is_asked_again(keeper, folder, monkeypatch):
    monkeypatch.setattr(keeping, "_AGAIN", 0.05)
    said = [Reply(200, b"{}"), Reply(500, b'{"message": "context deadline exceeded"}')]
    monkeypatch.setattr(keeper._engine, "ask", lambda *_: Wait(lambda answer: answer(said.pop(0))))
    keeper._crew = crew = object()
    failed: list[BaseException] = []
    Task(keeper._recover(crew), failed.append)
    looked: list[int] = []
    monkeypatch.setattr(keeper, "_look", lambda: looked.append(1))
    turn(keeper, lambda: looked)
    assert not failed and not said and not keeper._whole
    assert "context deadline exceeded" in journal(folder)


@pytest.mark.parametrize("times", [1, 5])
def test_a_bell_during_a_look_is_followed_by_one_more(keeper, monkeypatch, times):
    answers, looks = [], []

    async def one_look() -> None:
        looks.append(len(looks))
        if len(looks) == 1:
            await Wait(answers.append)

    monkeypatch.setattr(keeper, "_one_look", one_look)
    keeper.changed()
    turn(keeper, lambda: answers)
    for _ in range(times):
        keeper.changed()
        keeper._loop.turn(0)
    answers[0](None)
    turn(keeper, lambda: len(looks) == 2)
    keeper._loop.turn(0.1)
    assert len(looks) == 2


def test_looks_that_fail_one_after_the_other_are_followed_by_one(keeper, monkeypatch):
    looks: list[int] = []

    async def one_look() -> None:
        looks.append(1)
        raise StoreError("the database is locked.")

    monkeypatch.setattr(keeper, "_one_look", one_look)
    for rung in range(10):
        keeper.changed()
        turn(keeper, lambda rung=rung: len(looks) > rung)
    assert len([timer for timer in keeper._loop._timers if timer.call]) == 1
