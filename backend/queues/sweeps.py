"""`lr=0.1,0.01 seed=1,2`: all combinations, and how they come into a command. All raise `UsageError`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backend.errors import UsageError
from backend.queues.words import MAX_ARRAY, variable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_PLACE = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}|(?<!\$)\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
"""`{name}` is a place for a value, `{{name}}` is the text {name}, and `${name}` is the shell's."""


class Point(NamedTuple):
    """One combination of a sweep."""

    values: tuple[tuple[str, str], ...]

    def fill(self, words: Iterable[str]) -> tuple[str, ...]:
        """`{name}` in the words of a command becomes the value."""
        known = dict(self.values)

        def value(found: re.Match[str]) -> str:
            literal, name = found.groups()
            return f"{{{literal}}}" if literal else known.get(name, found[0])

        return tuple(_PLACE.sub(value, word) for word in words)

    @property
    def label(self) -> str:
        """`lr=0.1,seed=2`."""
        return ",".join(f"{name}={value}" for name, value in self.values)


def sweep(words: Sequence[str]) -> list[Point]:
    """All combinations of `lr=0.1,0.01` `seed=1,2,3`, the last one changing fastest."""
    axes: list[tuple[str, list[str]]] = []
    for word in (part for each in words for part in each.split()):
        name, equals, values = word.partition("=")
        listed = [value for value in values.split(",") if value]
        if not equals or not _NAME.match(name) or not listed:
            raise UsageError(f"sweep {word!r} is not NAME=VALUE,VALUE...", hint="For example: lr=0.1,0.01")
        if name in (each for each, _ in axes):
            raise UsageError(f"sweep: {name} is given twice.")
        axes.append((variable(name, "sweep"), listed))
    points = [
        Point(tuple(zip((name for name, _ in axes), chosen, strict=True)))
        for chosen in itertools.islice(itertools.product(*(values for _, values in axes)), MAX_ARRAY + 1)
    ]
    if len(points) > MAX_ARRAY:
        raise UsageError(f"the sweep has more than {MAX_ARRAY} jobs.")
    return points


def check(points: Sequence[Point], command: Iterable[str]) -> None:
    """Raise for a place in the command that no value goes to: it is a slip of the pen, mostly."""
    known = [name for name, _ in points[0].values]
    for word in command:
        for literal, name in _PLACE.findall(word):
            if not literal and name not in known:
                raise UsageError(
                    f"sweep: {{{name}}} in {word!r} gets no value: there is {', '.join(known)}.",
                    hint=f"Write {{{{{name}}}}} for the text itself, or add {name}=VALUE,VALUE to --sweep.",
                )
