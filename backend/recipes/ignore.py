"""`.dockerignore`: which files of a folder are not part of its build context."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

_LIMIT = 1 << 20


class Ignore:
    """Patterns in order; the last one that fits a path or a folder above it decides."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules: list[tuple[re.Pattern[str], bool]] = []
        for pattern in patterns:
            keeps = pattern.startswith("!")
            cleaned = _clean(pattern[keeps:])
            if cleaned:
                self._rules.append((_expression(cleaned), keeps))
        self.keeps_any = any(keeps for _, keeps in self._rules)
        """Whether something below an ignored folder may not be ignored."""

    def ignored(self, path: str) -> bool:
        """`path` is relative, with `/`."""
        if not self._rules:
            return False
        above = [path, *(str(each) for each in PurePosixPath(path).parents if each.name)]
        found = False
        for expression, keeps in self._rules:
            if found is keeps and any(expression.fullmatch(each) for each in above):
                found = not keeps
        return found


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


def _clean(pattern: str) -> str:
    cleaned = os.path.normpath(pattern.strip()).lstrip("/")
    return "" if cleaned == "." else cleaned


def _expression(pattern: str) -> re.Pattern[str]:
    """Go's filepath.Match, and `**` for any number of folders."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            if pattern.startswith("/", at):
                at += 1
                out.append("(?:.*/)?")
            else:
                out.append(".*")
            continue
        at += 1
        if char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[" and (end := pattern.find("]", at + 1)) > 0:
            out.append(_range(pattern[at:end]))
            at = end + 1
        elif char == "\\" and at < len(pattern):
            out.append(re.escape(pattern[at]))
            at += 1
        else:
            out.append(re.escape(char))
    return re.compile("".join(out), re.DOTALL)


def _range(inside: str) -> str:
    """`[a-z]` and `[^a-z]`; one that makes no sense fits nothing."""
    no = inside.startswith(("^", "!"))
    body = re.sub(r"([\[\]\\&~|^])", r"\\\1", inside[no:])
    made = f"[{'^/' if no else ''}{body}]"
    try:
        re.compile(made)
    except re.error:
        return r"(?!)"
    return made
