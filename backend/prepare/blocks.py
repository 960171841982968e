"""Lines of ours in files of others: between two markers, put in and taken out without a trace. Pure."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

BEGIN = "# >>> berth >>>"
END = "# <<< berth <<<"


class Broken(Exception):
    """The markers do not stand in a file as berth puts them: whatever is done would be a guess."""


class Block(NamedTuple):
    """Where our lines are in a text."""

    start: int
    end: int
    """After the newline of the end marker."""
    text: str
    """With its markers."""


def render(lines: str) -> str:
    """Lines with the markers around them."""
    return f"{BEGIN}\n{lines.rstrip()}\n{END}\n"


def find(text: str) -> Block | None:
    """Our block in a text, None where there is none. Raises `Broken`."""
    begins = [at for at, line in _lines(text) if line == BEGIN]
    ends = [at for at, line in _lines(text) if line == END]
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise Broken
    end = text.find("\n", ends[0])
    end = len(text) if end < 0 else end + 1
    return Block(begins[0], end, text[begins[0] : end])


def put(text: str, block: str, *, top: bool = False) -> str:
    """The text with the block in it: in place of the one it has, else at its end, or its top."""
    found = find(text)
    if found is not None:
        return text[: found.start] + block + text[found.end :]
    if top:
        return block + text
    return text + ("\n" if _open(text) else "") + block


def take(text: str, *, joined: bool = False) -> str:
    """The text without its block. `joined`: its last line had no end before the block was put there."""
    found = find(text)
    if found is None:
        return text
    before = text[: found.start]
    return (before.removesuffix("\n") if joined and found.end == len(text) else before) + text[found.end :]


def joined(text: str) -> bool:
    """Whether `put` has to end the last line of a text first."""
    return find(text) is None and _open(text)


def digest(text: str) -> str:
    """By which a text is known again, as the host's side counts it."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _open(text: str) -> bool:
    return bool(text) and not text.endswith("\n")


def _lines(text: str) -> list[tuple[int, str]]:
    """Where each line starts, and the line."""
    found, at = [], 0
    for line in text.split("\n"):
        found.append((at, line))
        at += len(line) + 1
    return found
