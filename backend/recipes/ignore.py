"""`.dockerignore`: which files of a folder are not part of its build context."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

_LIMIT = 1 << 20


_Pattern = tuple[re.Pattern[str] | None, ...]
"""What each part of a path has to be; None: any number of parts."""


class Ignore:
    """Patterns in order; the last one that fits a path or a folder above it decides."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules: list[tuple[_Pattern, bool]] = []
        for pattern in patterns:
            keeps = pattern.startswith("!")
            if made := _pattern(pattern[keeps:]):
                self._rules.append((made, keeps))
        self.keeps_any = any(keeps for _, keeps in self._rules)
        """Whether something below an ignored folder may not be ignored."""

    def ignored(self, path: str) -> bool:
        """`path` is relative, with `/`."""
        parts = path.split("/") if self._rules else []
        found = False
        for pattern, keeps in self._rules:
            if found is keeps and _fits(pattern, parts):
                found = not keeps
        return found


def _fits(pattern: _Pattern, path: list[str]) -> bool:
    """Whether it is the path, or a folder above it. In steps, so that no pattern takes long."""
    at = _reached({0}, pattern)
    for part in path:
        after: set[int] = set()
        for place in at:
            wanted = pattern[place]
            if wanted is None:
                if place == len(pattern) - 1:
                    return True
                after.add(place)
            elif wanted.fullmatch(part):
                after.add(place + 1)
        at = _reached(after, pattern)
        if len(pattern) in at:
            return True
    return False


def _reached(places: set[int], pattern: _Pattern) -> set[int]:
    """With what may be nothing passed over; at the end it has to be something."""
    for place in sorted(places):
        while place < len(pattern) - 1 and pattern[place] is None:
            place += 1
            places.add(place)
    return places


def read(folder: Path, dockerfile: Path | None) -> tuple[Path | None, list[str]]:
    """The file that says it for this Dockerfile, and its patterns. Raises `OSError`."""
    names = [f"{dockerfile.name}.dockerignore"] if dockerfile is not None else []
    for name in (*names, ".dockerignore", ".containerignore"):
        path = folder / name
        if path.is_file():
            with path.open("rb") as file:
                text = file.read(_LIMIT).decode("utf-8-sig", "replace")
            return path, patterns(text)
    return None, []


def patterns(text: str) -> list[str]:
    """The patterns of a file, without comments and empty lines."""
    lines = [line.strip() for line in text.splitlines() if not line.startswith("#")]
    return [line for line in lines if line and line != "!"]


def _pattern(text: str) -> _Pattern:
    cleaned = os.path.normpath(text.strip()).lstrip("/")
    if cleaned == ".":
        return ()
    return tuple(None if part == "**" else _expression(part) for part in cleaned.split("/"))


def _expression(part: str) -> re.Pattern[str]:
    """Go's filepath.Match, of one part of a path."""
    pieces: list[str] = [""]  # between stars
    at = 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            pieces.append("")
        elif char == "?":
            pieces[-1] += "."
        elif char == "[" and (end := part.find("]", at + 1)) > 0:
            pieces[-1] += _range(part[at:end])
            at = end + 1
        elif char == "\\" and at < len(part):
            pieces[-1] += re.escape(part[at])
            at += 1
        else:
            pieces[-1] += re.escape(char)
    first, *middle = pieces
    if not middle:
        return re.compile(first, re.DOTALL)
    last = middle.pop()
    # The first place where a piece fits is the best one: what follows has the most left. No need to go back.
    return re.compile(
        first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + ".*" + last, re.DOTALL
    )


def _range(inside: str) -> str:
    """`[a-z]` and `[^a-z]`; one that makes no sense fits nothing."""
    no = inside.startswith(("^", "!"))
    body = re.sub(r"([\[\]\\&~|^])", r"\\\1", inside[no:]).replace("--", r"-\-")
    made = f"[{'^' if no else ''}{body}]"
    try:
        re.compile(made)
    except re.error:
        return r"(?!)"
    return made
