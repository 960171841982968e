"""What people type to search, filter or `--grep`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

from backend.errors import UsageError

T = TypeVar("T")

MOST_SPANS = 200
"""Places that are highlighted in one line at most."""
_LINE_TIME = 0.1
"""Seconds that one line may take."""
_SLOW = 0.005
"""Seconds from which a line counts as slow; others take microseconds."""
_ALLOWANCE = 1.0
"""Seconds that slow lines may take together; a tenth of the time that passes comes back."""
_REFILL = 0.1


class Pattern:
    """`text`, upper and lower case alike unless it holds a capital; `!text`: lines without it; `/regex/`.

    Raises `UsageError` for a regular expression that is none. One that takes too long, as `(a|aa)+$` can for
    hours, is given up: it finds nothing from then on, and `failed` says so.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.failed = ""
        """Why it was given up, for people; empty while it was not."""
        self.negated = text.startswith("!") and len(text) > 1
        body = text[1:] if self.negated else text
        exact = any(char.isupper() for char in body)
        self._find: Callable[[str], object]
        self._each: Callable[[str], Iterable[re.Match[str]]]
        if len(body) > 2 and body[0] == body[-1] == "/":
            bounded = _Bounded(body, re.NOFLAG if exact else re.IGNORECASE, self._give_up)
            self._find, self._each = bounded.search, bounded.each
        else:
            self._each = re.compile(re.escape(body), re.NOFLAG if exact else re.IGNORECASE).finditer
            # Several times faster than the expression, and 100,000 lines are looked at for every key.
            self._find = (lambda line: body in line) if exact else (lambda line: body in line.lower())

    def __call__(self, line: str) -> bool:
        """Whether a line (without colours) is wanted."""
        return bool(self._find(line)) is not self.negated and not self.failed

    def spans(self, line: str) -> list[tuple[int, int]]:
        """Where in a line it stands: starts and ends, in characters. None for what shall not be there."""
        found: list[tuple[int, int]] = []
        if self.negated or self.failed:
            return found
        for match in self._each(line):
            if match.end() > match.start():
                found.append(match.span())
            if len(found) >= MOST_SPANS:
                break
        return found

    def _give_up(self) -> None:
        self.failed = f"{self.text[:100]} takes too long on these lines: make it simpler."


class _Bounded:
    """A regular expression whose search ends in time, which Python's own does not."""

    def __init__(self, body: str, flags: int, give_up: Callable[[], None]) -> None:
        import regex

        try:
            self._regex = regex.compile(body[1:-1], flags)
        except (regex.error, OverflowError, RecursionError) as error:
            raise UsageError(f"{body} is no regular expression: {error}.") from None
        self._give_up = give_up
        self._left = _ALLOWANCE
        self._over = False
        self._at = time.monotonic()

    def search(self, line: str) -> object:
        """The first match or None; also None once it was given up."""
        return self._in_time(lambda: self._regex.search(line, timeout=_LINE_TIME))

    def each(self, line: str) -> Iterable[re.Match[str]]:
        """The first matches; none once it was given up."""
        matches = self._in_time(
            lambda: list(islice(self._regex.finditer(line, timeout=_LINE_TIME), MOST_SPANS))
        )
        return matches or ()

    def _in_time(self, look: Callable[[], T]) -> T | None:
        if self._over:
            return None
        began = time.monotonic()
        try:
            found = look()
        except TimeoutError:
            self._end()
            return None
        took = time.monotonic() - began
        if took > _SLOW:
            self._left = min(_ALLOWANCE, self._left + (began - self._at) * _REFILL) - took
            self._at = began
            if self._left < 0:
                self._end()
                return None
        return found

    def _end(self) -> None:
        self._over = True
        self._give_up()


def pattern(text: str) -> Pattern | None:
    """What was typed; None where it was nothing."""
    return Pattern(text) if text else None
