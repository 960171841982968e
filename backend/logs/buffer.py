"""The lines of a log in bounded memory: the newest stay, the oldest go, and one can search while it runs.

Every line has a number that never changes; a view remembers numbers, so lines that fall off the far end
never move what is on the screen.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from backend.errors import UsageError
from backend.logs.lines import LogLine

Match = Callable[[str], bool]
"""Whether a line's plain text is wanted."""

_OVERHEAD = 250
"""Bytes a kept line costs beside its characters: the tuple, its strings' heads, its time."""


T = TypeVar("T")


class _Ring(Generic[T]):
    """A list that is cheap at both ends and, unlike a deque, in the middle."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.head = 0

    def __len__(self) -> int:
        return len(self.items) - self.head

    def __getitem__(self, index: int) -> T:
        return self.items[self.head + index]

    def pop_first(self) -> T:
        item = self.items[self.head]
        self.head += 1
        if self.head > 1024 and self.head * 4 > len(self.items):
            del self.items[: self.head]
            self.head = 0
        return item

    def clear(self) -> None:
        self.items.clear()
        self.head = 0


class LogBuffer:
    """The newest lines, at most `max_lines` and about `max_bytes` of memory."""

    def __init__(self, max_lines: int = 100_000, max_bytes: int = 48 * 2**20) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._lines: _Ring[LogLine] = _Ring()
        self._bytes = 0
        self.first = 0
        """Number of the oldest line that is still here."""
        self.dropped = 0
        """How many lines fell off."""
        self._filter: Match | None = None
        self._shown: _Ring[int] = _Ring()

    @property
    def end(self) -> int:
        """Number the next line will get."""
        return self.first + len(self._lines)

    def extend(self, lines: Iterable[LogLine]) -> None:
        """Add lines; drop as many old ones as they displace."""
        wanted = self._filter
        number = self.end
        for line in lines:
            self._lines.items.append(line)
            self._bytes += _cost(line)
            if wanted is not None and wanted(line.plain):
                self._shown.items.append(number)
            number += 1
        while len(self._lines) > self._max_lines or (self._bytes > self._max_bytes and len(self._lines) > 1):
            self._bytes -= _cost(self._lines.pop_first())
            self.first += 1
            self.dropped += 1
        while self._shown and self._shown[0] < self.first:
            self._shown.pop_first()

    def clear(self) -> None:
        """Forget all lines; numbers go on."""
        self.first = self.end
        self._lines.clear()
        self._shown.clear()
        self._bytes = 0

    def __getitem__(self, number: int) -> LogLine:
        """The line of that number. Raises `IndexError` for one that is gone or not there yet."""
        if not self.first <= number < self.end:
            raise IndexError(number)
        return self._lines[number - self.first]

    # ------------------------------------------------------------------------------ filter and search

    def filter(self, wanted: Match | None) -> None:
        """Show only lines that match, now and from now on; None shows all."""
        self._filter = wanted
        self._shown.clear()
        if wanted is not None:
            lines = self._lines
            self._shown.items.extend(self.first + i for i in range(len(lines)) if wanted(lines[i].plain))

    def __len__(self) -> int:
        """How many lines are shown."""
        return len(self._lines) if self._filter is None else len(self._shown)

    def number(self, row: int) -> int:
        """Number of the `row`-th shown line."""
        return self.first + row if self._filter is None else self._shown[row]

    def row(self, number: int) -> int:
        """Which row shows that line, or the next shown one after it; `len(self)` if there is none."""
        if self._filter is None:
            return min(max(number - self.first, 0), len(self._lines))
        return bisect_left(self._shown.items, number, self._shown.head) - self._shown.head

    def search(self, wanted: Match, start: int, step: int) -> int | None:
        """Number of the nearest shown line that matches, from `start` on in direction `step` (1 or -1).

        It goes on at the other end when it reaches one. None: no line matches.
        """
        count = len(self)
        if not count:
            return None
        row = self.row(start) if step > 0 else self.row(start + 1) - 1
        numbers = self._walk(row % count, step, count)
        return next((number for number in numbers if wanted(self[number].plain)), None)

    def _walk(self, row: int, step: int, count: int) -> Iterator[int]:
        return (self.number((row + step * i) % count) for i in range(count))

    def numbers(self) -> Iterable[int]:
        """Numbers of all shown lines."""
        return range(self.first, self.end) if self._filter is None else self._shown.items[self._shown.head :]


def _cost(line: LogLine) -> int:
    return _OVERHEAD + len(line.text) + (0 if line.plain is line.text else len(line.plain))


def matcher(pattern: str) -> Match | None:
    """What people type to search or filter, as a function of a plain line; None for an empty pattern.

    Plain text, upper and lower case alike unless it holds a capital; `!text` for lines without it; `/regex/`
    for a regular expression. Raises `UsageError` for one that is not valid.
    """
    negate = pattern.startswith("!") and len(pattern) > 1
    body = pattern[1:] if negate else pattern
    if not body:
        return None
    if len(body) > 2 and body[0] == body[-1] == "/":
        flags = re.NOFLAG if any(char.isupper() for char in body) else re.IGNORECASE
        try:
            found: Callable[[str], object] = re.compile(body[1:-1], flags).search
        except re.error as error:
            raise UsageError(f"{body} is no regular expression: {error}.") from None
    elif body != body.lower():
        found = lambda text: body in text  # noqa: E731
    else:
        found = lambda text: body in text.lower()  # noqa: E731
    return (lambda text: not found(text)) if negate else lambda text: bool(found(text))
