"""Garbage is searched for while nobody types, and what Python did before is put back."""

from __future__ import annotations

import gc

from tui.garbage import EVERY, PATIENCE, SHARE, Garbage


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


def test_what_python_searches_by_itself_is_little_at_a_time() -> None:
    garbage = started(Searches())
    try:
        young, middle, old = gc.get_threshold()
        assert young * middle <= 10_000, "a search of that many objects takes some milliseconds"
        assert young * middle * old > 10**9, "a full one is only made by us"
    finally:
        garbage.stop()


def test_python_is_left_as_it_was() -> None:
    before = gc.get_threshold()
    garbage = started(Searches())
    assert gc.get_threshold() != before
    garbage.stop()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
