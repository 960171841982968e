"""What people send, checked field by field: what is wrong, and what is allowed, in words."""

from __future__ import annotations

import math
import re
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from .errors import UsageError

_LONGEST = 131072
"""Bytes of one argument or variable: what Linux lets a program be started with."""
_BAD = re.compile("[\0\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SHOWN = 80


class Fields:
    """One JSON object. Every reader takes a default for a field that is not there, or is null."""

    def __init__(self, data: Any, what: str, known: Iterable[str]) -> None:
        """`what` begins each sentence (`job 2`). Raises UsageError for fields that nobody knows."""
        self.what = what
        if not isinstance(data, dict):
            raise UsageError(f"{what}: not an object.")
        self.data: Dict[str, Any] = data
        names = list(known)
        unknown = sorted(str(key) for key in data if key not in names)
        if unknown:
            raise UsageError(f"{what}: {shown(unknown[0])} is no field.", f"Known: {', '.join(names)}.")

    def wrong(self, name: str, allowed: str) -> UsageError:
        """The error for a field whose value is not allowed."""
        return UsageError(f"{self.what}: {name} is {shown(self.data.get(name))}.", f"Allowed: {allowed}.")

    def has(self, name: str) -> bool:
        """Whether it is there, and not null."""
        return self.data.get(name) is not None

    def text(self, name: str, default: str = "", longest: int = 4096, line: bool = False) -> str:
        """A text. `line`: without control characters."""
        if not self.has(name):
            return default
        value = self.data[name]
        what = f"{'one line of ' if line else ''}text of at most {longest} characters"
        if not isinstance(value, str) or len(value) > longest or _BAD.search(value):
            raise self.wrong(name, what)
        if line and _CONTROL.search(value):
            raise self.wrong(name, what)
        return value

    def path(self, name: str) -> str:
        """An absolute path, or nothing."""
        value = self.text(name)
        if value and not value.startswith("/"):
            raise self.wrong(name, "an absolute path")
        return value

    def texts(self, name: str, longest: int = _LONGEST, most: int = 10000) -> Tuple[str, ...]:
        """A list of texts."""
        if not self.has(name):
            return ()
        value = self.data[name]
        if (
            not isinstance(value, list)
            or len(value) > most
            or not all(is_text(one, longest) for one in value)
        ):
            raise self.wrong(name, "a list of texts")
        return tuple(value)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number."""
        if not self.has(name):
            return default
        value = self.data[name]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(name, f"a whole number, {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float) -> Optional[float]:
        """A number, or None."""
        if not self.has(name):
            return None
        value = self.data[name]
        if not isinstance(value, (int, float)) or isinstance(value, bool) or math.isnan(value):
            raise self.wrong(name, "a number")
        if not low <= value <= high:
            raise self.wrong(name, f"a number, {low:g} to {high:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        """Yes or no."""
        value = self.data.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def word(self, name: str, allowed: Sequence[str], default: str = "") -> str:
        """One of these."""
        value = self.data.get(name)
        if value is None:
            return default
        if value not in allowed:
            raise self.wrong(name, ", ".join(word or "nothing" for word in allowed))
        return str(value)

    def numbers(self, name: str = "ids", most: int = 100_000) -> List[int]:
        """Numbers of jobs."""
        value = self.data.get(name)
        if not isinstance(value, list) or len(value) > most or not all(map(is_number, value)):
            raise self.wrong(name, "a list of numbers of jobs")
        return value

    def job(self, name: str = "id") -> int:
        """The number of a job."""
        value = self.data.get(name)
        if not is_number(value):
            raise self.wrong(name, "the number of a job")
        return int(value)  # type: ignore[arg-type]


def is_text(value: Any, longest: int) -> bool:
    """Whether it can be handed to a program."""
    return isinstance(value, str) and len(value) <= longest and not _BAD.search(value)


def is_number(value: Any) -> bool:
    """Whether it can be the number of a job."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53


def shown(value: Any) -> str:
    """A value in a sentence, short."""
    if value is None:
        return "missing"
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
