"""Which rows a table shows, in which order: pure, and quick for ten thousand rows.

The long lists are made once, and filled anew: a search for garbage looks at each item of a list that is new,
which takes longer than to show the rows.

Rows keep their place while `hold` is set: values change, rows come (at the end) and go, nothing moves under
the cursor. Unknown values sort last in both directions; rows that compare equal stay in their given order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import compress
from operator import is_not
from typing import Any, Generic, TypeVar

from tui.filter import Test

Row = TypeVar("Row")
_RANKS_KEPT = 1000
"""Ranks that are remembered."""


class RowSet(Generic[Row]):
    """The rows of one table: all of them, those that pass the filter, and their order."""

    def __init__(
        self,
        key: Callable[[Row], Hashable],
        rank: Callable[[Row], int] | None = None,
        ranked_by: Callable[[Row], Hashable] | None = None,
    ) -> None:
        """`ranked_by`: all of a row that its rank depends on: `rank` is asked once for each."""
        self._key = key
        self._rank = rank
        self._ranked_by = ranked_by
        self._rank_of: dict[Hashable, int] = {}
        self._kinds: list[Hashable] = []
        """What `ranked_by` says of each of `_given`: most rows change without getting another rank."""
        self._all: list[Row] = []
        self._test: Test | None = None
        self._value: Callable[[Row], Any] | None = None
        self._reverse = False
        self._given: list[Row] | None = None
        """The rows that pass, as they came; `_given_keys`, `_ranks` and `_order` go with them.

        None where these go with no rows: at first, and after an update that failed half way.
        """
        self._before: list[Row] = []
        """Kept until `let_go`: freeing ten thousand rows takes longer than showing them."""
        self._given_keys: list[Hashable] = []
        self._ranks: list[int] = []
        self._natural = False
        self._valued_by: Callable[[Row], Any] | None = None
        """What the rows were compared by last; of which rows, and what it said of each."""
        self._valued: list[Row] = []
        self._values: list[Any] = []
        self._order: list[int] = []
        """Place in `_given` of each shown row."""
        self.rows: list[Row] = []
        """What is shown, in order."""
        self.keys: list[Hashable] = []
        """The key of each of `rows`."""
        self.index: dict[Hashable, int] = {}
        """Key to its place in `rows`."""

    @property
    def total(self) -> int:
        """How many rows there are before the filter."""
        return len(self._all)

    def update(self, rows: Sequence[Row], *, hold: bool = False) -> bool:
        """Take new rows; whether any place changed (not: any value)."""
        self._before, self._all = self._all, self._before
        self._all[:] = rows
        return self._arrange(hold)

    def filter(self, test: Test | None) -> None:
        """Show only rows that pass; None shows all."""
        self._test = test
        self._arrange(hold=False)

    def sort(self, value: Callable[[Row], Any] | None, reverse: bool = False) -> None:
        """Order by `value`; None is the order the rows come in, those of low rank first."""
        self._value, self._reverse = value, reverse
        self.forget_values()
        self._arrange(hold=False)

    def forget_values(self) -> None:
        """Values may be others now without any new row: what they are is asked again."""
        self._valued_by = None
        self._valued.clear()
        self._values.clear()

    def arrange(self) -> bool:
        """Order again after updates that were held; whether any place changed."""
        return self._arrange(hold=False)

    def let_go(self) -> None:
        """Free the rows from before the last update."""
        self._before.clear()

    def _arrange(self, hold: bool) -> bool:
        test = self._test
        given = self._all if test is None else [row for row in self._all if test(row)]
        known, self._given = self._given, None
        same, reranked = self._compare(known, given)
        if hold and same:
            moved = False
            self._natural = self._natural and not reranked
        else:
            order = self._new_order(given, hold, kept=same and not reranked)
            moved = not same or order != self._order
            self._order[:] = order
            self._natural = not hold and self._value is None
        self._given = given
        self.rows[:] = map(given.__getitem__, self._order)
        if moved:
            keys = list(map(self._given_keys.__getitem__, self._order))
            moved = keys != self.keys
            self.keys[:] = keys
            self.index.clear()
            self.index.update(zip(keys, range(len(keys)), strict=True))
        return moved

    def _compare(self, known: list[Row] | None, given: list[Row]) -> tuple[bool, bool]:
        """Whether the same rows as those `known` came in the same places, and whether any has another rank.

        Only rows that are new objects are looked at. Brings `_given_keys` and `_ranks` up to date.
        """
        key, rank = self._key, self._rank
        if known is not None and len(given) == len(known):
            changed = list(map(is_not, known, given))
            new = list(compress(given, changed))
            if list(map(key, new)) == list(compress(self._given_keys, changed)):
                return True, self._rerank(new, changed)
        self._given_keys[:] = map(key, given)
        self._kinds[:] = () if self._ranked_by is None else map(self._ranked_by, given)
        self._ranks[:] = () if rank is None else self._ranks_of(given, self._kinds)
        return False, True

    def _ranks_of(self, rows: Sequence[Row], kinds: list[Hashable]) -> list[int]:
        rank, known = self._rank, self._rank_of
        assert rank is not None
        if self._ranked_by is None:
            return list(map(rank, rows))
        if unknown := set(kinds) - known.keys():
            if len(known) > _RANKS_KEPT:  # hosts say what they like
                known.clear()
                unknown = set(kinds)
            example = dict(zip(kinds, rows, strict=True))
            known.update({kind: rank(example[kind]) for kind in unknown})
        return list(map(known.__getitem__, kinds))

    def _rerank(self, new: list[Row], changed: list[bool]) -> bool:
        """Take the ranks of the rows that changed; whether any is another."""
        if self._rank is None:
            return False
        kinds: list[Hashable] = []
        if self._ranked_by is not None:
            kinds = list(map(self._ranked_by, new))
            if kinds == list(compress(self._kinds, changed)):
                return False
        ranks = self._ranks_of(new, kinds)
        if kinds:
            _put(self._kinds, kinds, changed)
        if ranks == list(compress(self._ranks, changed)):
            return False
        _put(self._ranks, ranks, changed)
        return True

    def _new_order(self, given: Sequence[Row], hold: bool, *, kept: bool) -> list[int]:
        if hold:
            return self._held(given, self._given_keys)
        if self._value is not None:
            return self._by_value(given, range(len(given)))
        if kept and self._natural:
            return self._order
        return (
            sorted(range(len(given)), key=self._ranks.__getitem__) if self._ranks else list(range(len(given)))
        )

    def _held(self, given: Sequence[Row], keys: list[Hashable]) -> list[int]:
        """The places they had; new ones at the end."""
        places = dict(zip(keys, range(len(keys)), strict=True))
        kept = [place for key in self.keys if (place := places.pop(key, None)) is not None]
        rest = list(places.values())
        return kept + (rest if self._value is None or not rest else self._by_value(given, rest))

    def _by_value(self, given: Sequence[Row], places: Iterable[int]) -> list[int]:
        """`places` in the order of their rows' values; unknown ones last in both directions."""
        value = self._value
        if value is None:
            return list(places)
        known: list[tuple[Any, int]] = []
        unknown: list[int] = []
        self._look_up(value, given)
        values = self._values
        for place in places:
            found = values[place]
            if found is None or found != found:  # noqa: PLR0124 - NaN
                unknown.append(place)
            else:
                known.append((found, place))
        try:
            known.sort(key=_first, reverse=self._reverse)
        except TypeError:  # values of several types: order by what they look like
            known.sort(key=_first_text, reverse=self._reverse)
        return [place for _, place in known] + unknown

    def _look_up(self, value: Callable[[Row], Any], given: Sequence[Row]) -> None:
        """What the rows are compared by; looked up again only for rows that are new objects."""
        if self._valued_by is value and len(self._valued) == len(given):
            self._values[:] = [
                old if known is row else value(row)
                for known, row, old in zip(self._valued, given, self._values, strict=True)
            ]
        else:
            self._values[:] = map(value, given)
        self._valued_by, self._valued[:] = value, given


def _put(into: list[Any], values: list[Any], changed: list[bool]) -> None:
    """Put `values` into the places that changed."""
    for place, value in zip(compress(range(len(changed)), changed), values, strict=True):
        into[place] = value


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def _first_text(pair: tuple[Any, Any]) -> str:
    return str(pair[0])
