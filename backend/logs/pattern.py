"""What people type to search, filter or `--grep`."""

from __future__ import annotations

import re
from collections.abc import Callable

from backend.errors import UsageError

MOST_SPANS = 200
"""Places that are highlighted in one line at most."""


class Pattern:
    """`text`, upper and lower case alike unless it holds a capital; `!text`: lines without it; `/regex/`.

    Raises `UsageError` for a regular expression that is none.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.negated = text.startswith("!") and len(text) > 1
        body = text[1:] if self.negated else text
        exact = any(char.isupper() for char in body)
        self._regex: re.Pattern[str]
        self._find: Callable[[str], object]
        flags = re.NOFLAG if exact else re.IGNORECASE
        if len(body) > 2 and body[0] == body[-1] == "/":
            try:
                self._regex = re.compile(body[1:-1], flags)
            except (re.error, OverflowError, RecursionError) as error:
                raise UsageError(f"{body} is no regular expression: {error}.") from None
            self._find = self._regex.search
        else:
            self._regex = re.compile(re.escape(body), flags)
            # Several times faster than the expression, and 100,000 lines are looked at for every key.
            self._find = (lambda line: body in line) if exact else (lambda line: body in line.lower())

    def __call__(self, line: str) -> bool:
        """Whether a line (without colours) is wanted."""
        return bool(self._find(line)) is not self.negated

    def spans(self, line: str) -> list[tuple[int, int]]:
        """Where in a line it stands: starts and ends, in characters. None for what shall not be there."""
        found: list[tuple[int, int]] = []
        if not self.negated:
            for match in self._regex.finditer(line):
                if match.end() > match.start():
                    found.append(match.span())
                if len(found) >= MOST_SPANS:
                    break
        return found


def pattern(text: str) -> Pattern | None:
    """What was typed; None where it was nothing."""
    return Pattern(text) if text else None
