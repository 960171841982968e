"""Which rows a table shows, in which order: pure, and quick for ten thousand rows.

Rows keep their place while `hold` is set: values change, rows come (at the end) and go, nothing moves under
the cursor. Unknown values sort last in both directions; rows that compare equal stay in their given order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from tui.filter import Test

Row = TypeVar("Row")


class RowSet(Generic[Row]):
    """The rows of one table: all of them, those that pass the filter, and their order."""

    def __init__(self, key: Callable[[Row], Hashable], rank: Callable[[Row], int] | None = None) -> None:
        self._key = key
        self._rank = rank
        self._all: Sequence[Row] = ()
        self._test: Test | None = None
        self._value: Callable[[Row], Any] | None = None
        self._reverse = False
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
        self._all = rows
        return self._arrange(hold)

    def filter(self, test: Test | None) -> None:
        """Show only rows that pass; None shows all."""
        self._test = test
        self._arrange(hold=False)

    def sort(self, value: Callable[[Row], Any] | None, reverse: bool = False) -> None:
        """Order by `value`; None is the order the rows come in, those of low rank first."""
        self._value, self._reverse = value, reverse
        self._arrange(hold=False)

    def arrange(self) -> bool:
        """Order again after updates that were held; whether any place changed."""
        return self._arrange(hold=False)

    def _arrange(self, hold: bool) -> bool:
        test = self._test
        passing = self._all if test is None else [row for row in self._all if test(row)]
        ordered = self._held(passing) if hold else self._sorted(passing)
        key = self._key
        keys = [key(row) for row in ordered]
        moved = keys != self.keys
        self.rows = ordered
        if moved:
            self.keys = keys
            self.index = {key: place for place, key in enumerate(keys)}
        return moved

    def _held(self, rows: Sequence[Row]) -> list[Row]:
        """`rows` in the places they had; new ones at the end."""
        key = self._key
        by_key = {key(row): row for row in rows}
        kept = [row for old in self.keys if (row := by_key.pop(old, None)) is not None]
        kept.extend(self._sorted(list(by_key.values())))
        return kept

    def _sorted(self, rows: Sequence[Row]) -> list[Row]:
        value = self._value
        if value is None:
            return sorted(rows, key=self._rank) if self._rank is not None else list(rows)
        known: list[tuple[Any, Row]] = []
        unknown: list[Row] = []
        for row in rows:
            found = value(row)
            if found is None or found != found:  # noqa: PLR0124 - NaN
                unknown.append(row)
            else:
                known.append((found, row))
        try:
            known.sort(key=_first, reverse=self._reverse)
        except TypeError:  # values of several types: order by what they look like
            known.sort(key=_first_text, reverse=self._reverse)
        return [row for _, row in known] + unknown


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def _first_text(pair: tuple[Any, Any]) -> str:
    return str(pair[0])
