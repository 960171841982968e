"""Garbage is searched for while nobody types, and what Python did before is put back."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tui.garbage import AFTER, EVERY, PATIENCE, SHARE, WORTH, Garbage


class Searches:
    """Counts full searches, on a clock that a test moves."""

    def __init__(self, takes: float = 0.0) -> None:
        self.now, self.takes, self.made = 1000.0, takes, 0

    def collect(self) -> None:
        self.made += 1
        self.now += self.takes

    def after(self, garbage: Garbage, seconds: float, quiet: float) -> bool:
        """Whether a search is made that much later."""
        before = self.made
        self.now += seconds
        garbage.tidy(quiet)
        return self.made > before


def started(searches: Searches) -> Garbage:
    garbage = Garbage(lambda: searches.now, searches.collect)
    garbage.start()
    return garbage


def test_no_search_while_somebody_types_unless_it_is_long_overdue() -> None:
    searches = Searches()
    garbage = started(searches)
    try:
        assert not searches.after(garbage, EVERY + 1, quiet=0.1)
        assert searches.after(garbage, 0, quiet=10)
        assert not searches.after(garbage, PATIENCE - 1, quiet=0.1)
        assert searches.after(garbage, 2, quiet=0.1)
    finally:
        garbage.stop()


def test_a_long_search_is_made_rarely() -> None:
    searches = Searches(takes=1.0)
    garbage = started(searches)
    try:
        assert searches.after(garbage, EVERY + 1, quiet=10)
        assert not searches.after(garbage, SHARE - 10, quiet=10)
        assert searches.after(garbage, 20, quiet=10)
    finally:
        garbage.stop()


async def test_the_youngest_are_searched_when_a_keys_frame_is_painted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    garbage = Garbage(collect=lambda *generation: made.extend(generation))
    young = WORTH - 1
    monkeypatch.setattr(gc, "get_count", lambda: (young, 0, 0))
    garbage.tidy_young()
    assert made == []
    young = WORTH
    for _ in range(5):
        garbage.key_pressed()
        await asyncio.sleep(0)
    assert made == [], "not while keys come one after another"
    async with asyncio.timeout(10):
        while not made:
            await asyncio.sleep(AFTER / 10)
    assert made == [0]


def test_python_is_left_as_it_was() -> None:
    before = gc.get_threshold()
    garbage = started(Searches())
    assert gc.get_threshold() != before
    garbage.stop()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
