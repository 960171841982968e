"""Order and places of rows: stable, unknown last, nothing moves while held."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.rowset import RowSet


@dataclass(frozen=True)
class Row:
    name: str
    value: float | None = None
    rank: int = 0


def names(rows: RowSet[Row]) -> list[str]:
    return [row.name for row in rows.rows]


def make(*rows: Row, ranked: bool = False) -> RowSet[Row]:
    made: RowSet[Row] = RowSet(lambda row: row.name, (lambda row: row.rank) if ranked else None)
    made.update(rows)
    return made


def test_unknown_values_sort_last_in_both_directions() -> None:
    rows = make(Row("a", 2), Row("b"), Row("c", 1), Row("d", float("nan")))
    rows.sort(lambda row: row.value)
    assert names(rows) == ["c", "a", "b", "d"]
    rows.sort(lambda row: row.value, reverse=True)
    assert names(rows) == ["a", "c", "b", "d"]


def test_equal_values_keep_their_given_order_in_both_directions() -> None:
    rows = make(*[Row(name, 1) for name in "bdac"])
    rows.sort(lambda row: row.value)
    assert names(rows) == list("bdac")
    rows.sort(lambda row: row.value, reverse=True)
    assert names(rows) == list("bdac")


def test_values_of_several_types_do_not_fail() -> None:
    rows: RowSet[Row] = make(Row("a", 2), Row("b", "x"), Row("c", 1))  # type: ignore[arg-type]
    rows.sort(lambda row: row.value)
    assert sorted(names(rows)) == ["a", "b", "c"]


def test_low_ranks_come_first_and_a_new_rank_moves_a_row() -> None:
    rows = make(Row("a", rank=1), Row("b", rank=0), Row("c", rank=1), ranked=True)
    assert names(rows) == ["b", "a", "c"]
    assert rows.update([Row("a", rank=1), Row("b", rank=0), Row("c", rank=0)])
    assert names(rows) == ["b", "c", "a"]


def test_values_from_elsewhere_are_asked_again_when_told() -> None:
    elsewhere = {"a": 1, "b": 2}
    kept = (Row("a"), Row("b"))
    rows = make(*kept)
    rows.sort(lambda row: elsewhere[row.name])
    elsewhere["a"] = 3
    rows.forget_values()
    assert rows.update(kept)
    assert names(rows) == ["b", "a"]


def test_nothing_moves_while_held_and_everything_does_after() -> None:
    rows = make(Row("a", 1), Row("b", 2), Row("c", 3))
    rows.sort(lambda row: row.value)
    assert not rows.update([Row("a", 9), Row("b", 2), Row("c", 3)], hold=True)
    assert names(rows) == ["a", "b", "c"]
    assert rows.rows[0].value == 9
    assert rows.update([Row("n", 0), Row("a", 9), Row("c", 3)], hold=True)
    assert names(rows) == ["a", "c", "n"]
    assert rows.arrange()
    assert names(rows) == ["n", "c", "a"]


def test_ranks_that_changed_while_held_count_afterwards() -> None:
    rows = make(Row("a", rank=0), Row("b", rank=0), ranked=True)
    rows.update([Row("a", rank=1), Row("b", rank=0)], hold=True)
    assert names(rows) == ["a", "b"]
    assert rows.arrange()
    assert names(rows) == ["b", "a"]


def test_a_filter_hides_rows_and_the_index_follows() -> None:
    rows = make(Row("a", 1), Row("b", 2), Row("c", 3))
    rows.filter(lambda row: row.value != 2)
    assert names(rows) == ["a", "c"]
    assert rows.index == {"a": 0, "c": 1}
    assert rows.total == 3


ROW = st.builds(Row, name=st.sampled_from("abcdefgh"), value=st.none() | st.floats(), rank=st.integers(0, 3))
ROWS = st.lists(ROW, unique_by=lambda row: row.name, max_size=8)


@given(st.lists(st.tuples(ROWS, st.booleans()), max_size=6), st.booleans(), st.booleans())
def test_whatever_comes_every_row_is_shown_once(
    steps: list[tuple[list[Row], bool]], sort: bool, ranked: bool
) -> None:
    rows = make(ranked=ranked)
    if sort:
        rows.sort(lambda row: row.value)
    for given_rows, hold in steps:
        before = names(rows)
        moved = rows.update(given_rows, hold=hold)
        assert sorted(names(rows)) == sorted(row.name for row in given_rows)
        assert moved == (names(rows) != before)
        assert rows.keys == names(rows)
        assert rows.index == {name: place for place, name in enumerate(names(rows))}
        if not hold and not sort and ranked:
            assert names(rows) == [row.name for row in sorted(given_rows, key=lambda row: row.rank)]


@pytest.mark.parametrize("test", [None, lambda row: True])
@pytest.mark.parametrize("after", ["ef", "ce", "cd", ""])
def test_keys_are_those_of_the_rows_also_after_an_update_that_failed(after: str, test: Any) -> None:
    broken = False

    def rank(row: Row) -> int:
        if broken:
            raise ValueError("a bug of a view")
        return row.rank

    rows: RowSet[Row] = RowSet(lambda row: row.name, rank)
    rows.filter(test)
    rows.update([Row("a"), Row("b")])
    broken = True
    with pytest.raises(ValueError, match="bug"):
        rows.update([Row("c"), Row("d")])
    broken = False
    for _ in range(2):
        rows.update([Row(name) for name in after])
        assert names(rows) == rows.keys == list(after)
        assert rows.index == {name: place for place, name in enumerate(after)}


def test_a_rank_that_could_not_be_told_is_asked_again() -> None:
    broken = False

    def rank(row: Row) -> int:
        if broken:
            raise ValueError("a bug of a view")
        return row.rank

    rows: RowSet[Row] = RowSet(lambda row: row.name, rank, lambda row: row.rank)
    rows.update([Row("a", rank=1), Row("b", rank=2)])
    broken = True
    with pytest.raises(ValueError, match="bug"):
        rows.update([Row("a", rank=4), Row("b", rank=3)])
    broken = False
    rows.update([Row("a", rank=4), Row("b", rank=3)])
    assert names(rows) == ["b", "a"]


def test_rows_from_before_are_let_go() -> None:
    rows = make(old := Row("a"))
    rows.update([Row("a", 1)])
    held = sys.getrefcount(old)
    rows.let_go()
    assert sys.getrefcount(old) == held - 1
    assert names(rows) == ["a"]
