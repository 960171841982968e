"""Garbage is searched for while nobody types, and what Python did before is put back."""

from __future__ import annotations

import gc

from tui.garbage import EVERY, MIDDLE, PATIENCE, SHARE, YOUNG, Garbage, unsearched


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


def test_what_is_new_is_searched_between_two_keys_and_python_itself_seldom_does() -> None:
    garbage = started(Searches())
    searched: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            searched.append(info["generation"])

    gc.callbacks.append(note)
    kept: list[list[int]] = []
    try:
        for _ in range(2 * MIDDLE + 2):
            before = len(searched)
            kept += ([] for _ in range(2 * YOUNG))
            assert len(searched) == before, "in the middle of what makes them"
            garbage.sweep()
            assert len(searched) == before + 1
            garbage.sweep()
            assert len(searched) == before + 1, "there is little"
            kept.clear()
        assert searched == ([0] * MIDDLE + [1]) * 2, "a small one for each, a larger one now and then"
    finally:
        gc.callbacks.remove(note)
        garbage.stop()


def test_python_is_left_as_it_was() -> None:
    before = gc.get_threshold()
    garbage = started(Searches())
    assert gc.get_threshold() != before
    garbage.stop()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_nothing_is_searched_where_much_is_made_and_freed_again() -> None:
    assert gc.isenabled()
    with unsearched():
        assert not gc.isenabled()
        with unsearched():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
