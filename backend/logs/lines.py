"""One line of a log: what a container wrote, with its colours kept and everything else made harmless."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from backend.text import printable

MAX_CHARACTERS = 16_384
"""Longer lines are cut: a container that never writes a newline must not fill our memory."""

_SGR = re.compile(r"\x1b\[([0-9;:]*)m")
_PLAIN = re.compile(r"[\x20-\x7e]*\Z")
_COLOURED = re.compile(r"(?:[\x20-\x7e]++|\x1b\[[0-9;:]*+m)*+\Z")


class LogLine(NamedTuple):
    """One line as it is kept: memory is what counts here, so colours stay codes until it is drawn."""

    time: datetime | None
    source: int
    """Index of the container in its follower."""
    error: bool
    """Whether it came on stderr."""
    text: str
    """Printable but for SGR sequences."""
    plain: str
    """Without them; the same object as `text` where there are none. What search and filter see."""


def clean(raw: bytes) -> str:
    """Bytes of one line (no newline) as text whose only escapes are colours.

    A carriage return inside overwrites the line, as on a terminal: of a progress bar the last state stays.
    Tabs become spaces up to the next multiple of eight.
    """
    text = raw[: MAX_CHARACTERS * 4].decode("utf-8", "replace")
    if _PLAIN.match(text):
        return _cut(text)
    if _COLOURED.match(text) and len(text) <= MAX_CHARACTERS:
        return text
    text = text.rstrip("\r")
    if "\r" in text:
        text = text.rpartition("\r")[2]
    if "\t" in text:
        text = text.expandtabs(8)
    if "\x1b" not in text:
        return _cut(printable(text, MAX_CHARACTERS * 2))
    parts: list[str] = []
    at = 0
    for match in _SGR.finditer(text):
        parts.append(printable(text[at : match.start()], MAX_CHARACTERS * 2))
        parts.append(match.group())
        at = match.end()
    parts.append(printable(text[at:], MAX_CHARACTERS * 2))
    return _cut("".join(parts))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def plain(text: str) -> str:
    """Cleaned text without its colours."""
    return _SGR.sub("", text) if "\x1b" in text else text
