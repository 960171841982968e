"""The filter language of `/`: pure text to a test of one row.

    train alice          rows that hold both words, in any text column, upper or lower case alike
    !exited              rows that do not hold it
    "two words"          a word with a space (or a colon, or a leading `!`) in it
    state:running        the word in that column; `host:h1`, `!owner:bob`, `free:yes`
    cpu:>50  mem:>10G    numbers: > >= < <= =, with K M G T for bytes
    up:>2h  idle:<30m    ages: with s m h d (w)

What a column is called is a matter of the table: see `Field`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backend.errors import UsageError

Test = Callable[[Any], bool]
"""Whether a row stays."""

_KEY = re.compile(r"(!?)([A-Za-z#][\w-]*):")
_COMPARISON = re.compile(r"(>=|<=|>|<|=)\s*(.*)\Z", re.DOTALL)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}
_NUMBER = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)\s*([A-Za-z%°]*)\Z")
_BYTES = {"": 1, "%": 1, "°": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "b": 1, "w": 1}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_YES = frozenset({"yes", "true", "y", "1", "on"})
_NO = frozenset({"no", "false", "n", "0", "off"})


class FilterError(UsageError):
    """The filter cannot be understood; the message fits on one line."""

    title = "Filter"


@dataclass(frozen=True)
class Term:
    """One word of a filter. All terms of a filter must hold."""

    value: str
    """What is looked for, in lower case; empty always holds (it is still being typed)."""
    key: str = ""
    """The column; empty: any text column."""
    inverse: bool = False


@dataclass(frozen=True)
class Field:
    """What a filter can ask of one column."""

    text: Callable[[Any], str]
    """Row to text."""
    value: Callable[[Any], Any] | None = None
    """Row to a number, bool, datetime or None; what comparisons compare."""


def parse(text: str) -> tuple[Term, ...]:
    """The terms of a filter, in order. `FilterError` for a quote that is not closed or an empty `!`."""
    terms: list[Term] = []
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position >= len(text):
            return tuple(terms)
        inverse, key = False, ""
        if match := _KEY.match(text, position):
            inverse, key = bool(match[1]), match[2].lower().replace("-", "_")
            position = match.end()
        elif text[position] == "!":
            inverse = True
            position += 1
        value, position = _word(text, position)
        terms.append(Term(value.lower(), key, inverse))


def _word(text: str, position: int) -> tuple[str, int]:
    """The word at `position` and where it ends; quotes hold spaces together."""
    if position < len(text) and text[position] in "\"'":
        end = text.find(text[position], position + 1)
        if end < 0:
            raise FilterError(f"the quote {text[position]} is not closed")
        return text[position + 1 : end], end + 1
    start = position
    while position < len(text) and not text[position].isspace():
        position += 1
    return text[start:position], position


def quote(word: str) -> str:
    """`word` so that `parse` takes it as one plain term."""
    if word and not re.search(r"[\s:]", word) and word[0] not in "!\"'":
        return word
    return f"'{word}'" if '"' in word else f'"{word}"'


def compile_filter(text: str, fields: Mapping[str, Field], search: Callable[[Any], str]) -> Test | None:
    """A test for rows, or None if every row passes.

    `fields` are the columns by name (with `_` for `-`); `search` gives a row's text columns in lower case.
    `FilterError` names what is not understood.
    """
    tests = [_compile(term, fields, search) for term in parse(text) if term.value]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda row: all(test(row) for test in tests)


def _compile(term: Term, fields: Mapping[str, Field], search: Callable[[Any], str]) -> Test:
    if not term.key:
        word = term.value
        if term.inverse:
            return lambda row: word not in search(row)
        return lambda row: word in search(row)
    field = fields.get(term.key)
    if field is None:
        known = " ".join(sorted(name for name in fields if not name.startswith("_")))
        raise FilterError(f"no column {term.key!r} (quote the word to look for it as text); columns: {known}")
    test = _field_test(field, term)
    if term.inverse:
        return lambda row: not test(row)
    return test


def _field_test(field: Field, term: Term) -> Test:
    """The test of `key:value`, not yet inverted."""
    get, text, wanted = field.value, field.text, term.value
    if match := _COMPARISON.match(wanted):
        return _comparison(field, term.key, match[1], match[2])

    def test(row: Any) -> bool:
        value = get(row) if get is not None else None
        if isinstance(value, bool):
            return wanted in (_YES if value else _NO)
        return wanted in text(row).lower()

    return test


def _comparison(field: Field, key: str, sign: str, wanted: str) -> Test:
    """The test of `key:>value`. A row whose value is unknown never passes."""
    get = field.value
    if get is None:
        raise FilterError(f"{key} is text: {sign} compares numbers")
    if not wanted:
        return lambda row: True
    match = _NUMBER.match(wanted)
    if match is None:
        raise FilterError(f"{wanted!r} is not a number")
    number, unit = float(match[1]), match[2]
    compare = _OPERATORS[sign]
    bytes_unit = unit.removesuffix("b").removesuffix("i") if len(unit) > 1 else unit
    if unit not in _SECONDS and bytes_unit not in _BYTES:
        raise FilterError(f"unknown unit {unit!r}: K M G T for bytes, s m h d w for ages")
    size = number * _BYTES.get(bytes_unit, 1)
    seconds = number * _SECONDS.get(unit, 1)

    def test(row: Any) -> bool:
        value = get(row)
        if value is None:
            return False
        if isinstance(value, datetime):
            return compare((datetime.now(UTC) - value).total_seconds(), seconds)
        if isinstance(value, int | float):
            return compare(value if sign != "=" else round(value), size)
        return False

    return test
