"""The lines of a log in bounded memory: the newest stay, the oldest go, and one can search while it runs.

Every line has a number that never changes; a view remembers numbers, so lines that fall off the far end
never move what is on the screen.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from backend.logs.lines import LogLine

Wanted = Callable[[LogLine], bool]

MAX_LINES = 50_000
MAX_BYTES = 20 * 2**20
_OVERHEAD = 300
"""Bytes a kept line costs beside its characters: the tuple, its strings' heads, its time."""


T = TypeVar("T")


class _Ring(Generic[T]):
    """A list that is cheap at both ends and, unlike a deque, in the middle."""

    def __init__(self, items: Iterable[T] = ()) -> None:
        self.items: list[T] = list(items)
        self.head = 0

    def __len__(self) -> int:
        return len(self.items) - self.head

    def __getitem__(self, index: int) -> T:
        return self.items[self.head + index]

    def pop_first(self) -> T:
        item = self.items[self.head]
        self.head += 1
        if self.head > 1024 and self.head * 16 > len(self.items):
            del self.items[: self.head]
            self.head = 0
        return item

    def rest(self) -> Sequence[T]:
        return self.items[self.head :] if self.head else self.items


class LogBuffer:
    """The newest lines, at most `max_lines` and about `max_bytes` of memory."""

    def __init__(self, max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES) -> None:
        self.max_lines = max_lines
        self._max_bytes = max_bytes
        self._lines: _Ring[LogLine] = _Ring()
        self._bytes = 0
        self.first = 0
        """Number of the oldest line that is still here."""
        self.dropped = 0
        """How many lines fell off."""
        self._wanted: Wanted | None = None
        self._shown: _Ring[int] = _Ring()
        self._sought: Wanted | None = None
        self._hits: _Ring[int] = _Ring()

    @property
    def end(self) -> int:
        """Number the next line will get."""
        return self.first + len(self._lines)

    @property
    def kept(self) -> int:
        """How many lines are here, shown or not."""
        return len(self._lines)

    def extend(self, lines: Iterable[LogLine]) -> None:
        """Add lines; drop as many old ones as they displace."""
        wanted, sought = self._wanted, self._sought
        number = self.end
        for line in lines:
            self._lines.items.append(line)
            self._bytes += _cost(line)
            if wanted is None or wanted(line):
                if wanted is not None:
                    self._shown.items.append(number)
                if sought is not None and sought(line):
                    self._hits.items.append(number)
            number += 1
        while len(self._lines) > self.max_lines or (self._bytes > self._max_bytes and len(self._lines) > 1):
            self._bytes -= _cost(self._lines.pop_first())
            self.first += 1
            self.dropped += 1
        for ring in (self._shown, self._hits):
            while ring and ring[0] < self.first:
                ring.pop_first()

    def clear(self) -> None:
        """Forget all lines; numbers go on."""
        self.first = self.end
        self._lines, self._shown, self._hits = _Ring(), _Ring(), _Ring()
        self._bytes = self.dropped = 0

    def __getitem__(self, number: int) -> LogLine:
        """The line of that number. Raises `IndexError` for one that is gone or not there yet."""
        if not self.first <= number < self.end:
            raise IndexError(number)
        return self._lines[number - self.first]

    # ---------------------------------------------------------------------------------------- filter

    def filter(self, wanted: Wanted | None) -> None:
        """Show only lines that are wanted, now and from now on; None shows all."""
        self._wanted = wanted
        if wanted is None:
            self._shown = _Ring()
        else:
            lines = enumerate(self._lines.rest(), self.first)
            self._shown = _Ring(number for number, line in lines if wanted(line))
        self.seek(self._sought)

    def __len__(self) -> int:
        """How many lines are shown."""
        return len(self._lines) if self._wanted is None else len(self._shown)

    def number(self, row: int) -> int:
        """Number of the `row`-th shown line."""
        return self.first + row if self._wanted is None else self._shown[row]

    def row(self, number: int) -> int:
        """Which row shows that line, or the next shown one after it; `len(self)` if there is none."""
        if self._wanted is None:
            return min(max(number - self.first, 0), len(self._lines))
        return _place(self._shown, number)

    def numbers(self) -> Sequence[int]:
        """Numbers of all shown lines."""
        return range(self.first, self.end) if self._wanted is None else self._shown.rest()

    # ---------------------------------------------------------------------------------------- search

    def seek(self, sought: Wanted | None) -> None:
        """Look for lines among the shown ones, now and from now on; None: for nothing."""
        self._sought = sought
        if sought is None:
            self._hits = _Ring()
        else:
            self._hits = _Ring(number for number in self.numbers() if sought(self[number]))

    @property
    def hits(self) -> int:
        """How many lines were found."""
        return len(self._hits)

    def hit_place(self, number: int) -> int | None:
        """The how-manieth found line has that number, from 0; None: it is no found line."""
        place = _place(self._hits, number)
        return place if place < len(self._hits) and self._hits[place] == number else None

    def next_hit(self, number: int, step: int) -> int | None:
        """Number of the nearest found line after `number` (`step` 1) or before it (-1), round the ends."""
        count = len(self._hits)
        if not count:
            return None
        place = _place(self._hits, number + 1) if step > 0 else _place(self._hits, number) - 1
        return self._hits[place % count]


def _place(ring: _Ring[int], number: int) -> int:
    return bisect_left(ring.items, number, ring.head) - ring.head


def _cost(line: LogLine) -> int:
    return _OVERHEAD + len(line.text) + (0 if line.plain is line.text else len(line.plain))
