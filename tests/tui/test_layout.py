"""Columns that fit, columns that go, columns that grow."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tui.columns import Column
from tui.layout import GUTTER, MOST, lay_out


def column(key: str, width: int, *, grow: int = 0, priority: int = 0) -> Column[Any]:
    return Column(key, key.upper(), width, lambda row: (("x", ""),), grow=grow, priority=priority)


def keys(columns: list[Column[Any]], width: int) -> list[str]:
    return [place.column.key for place in lay_out(columns, width).placed]


def test_the_least_important_goes_first() -> None:
    columns = [column("a", 10), column("b", 10, priority=2), column("c", 10, priority=1)]
    assert keys(columns, 36) == ["a", "b", "c"]
    assert keys(columns, 35) == ["a", "c"]
    assert keys(columns, 14) == ["a"]


def test_a_small_column_takes_the_place_of_one_that_does_not_fit() -> None:
    columns = [column("a", 10), column("wide", 20, priority=1), column("slim", 4, priority=2)]
    assert keys(columns, 20) == ["a", "slim"]


def test_what_is_always_shown_makes_the_line_wider_than_the_screen() -> None:
    layout = lay_out([column("a", 30), column("b", 30)], 40)
    assert layout.width == GUTTER + 62
    assert layout.at(GUTTER + 31).key == "a"  # type: ignore[union-attr]
    assert layout.at(GUTTER + 32).key == "b"  # type: ignore[union-attr]


COLUMNS = st.lists(
    st.builds(
        column,
        key=st.text("abc", min_size=1, max_size=3),
        width=st.integers(1, 30),
        grow=st.integers(0, 3),
        priority=st.integers(0, 5),
    ),
    min_size=1,
    max_size=12,
)


@given(COLUMNS, st.integers(0, 400), st.integers(1, 2))
def test_columns_never_overlap_and_only_growing_ones_grow(
    columns: list[Column[Any]], width: int, gap: int
) -> None:
    layout = lay_out(columns, width, gap)
    x = GUTTER
    for place in layout.placed:
        assert place.x == x
        x += place.width + gap
        low, high = place.column.width, place.column.width * (MOST if place.column.grow else 1)
        assert low <= place.width <= high
    needed = GUTTER + sum(c.width + gap for c in columns if c.priority == 0) - gap
    assert layout.width <= max(width, needed, GUTTER)
