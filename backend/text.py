"""Text for people: host text made harmless, and numbers in the units people read."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

UNKNOWN = "-"
"""Shown for None."""

_ESCAPES = re.compile(
    "\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    "|[\\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # OSC, DCS, SOS, PM, APC up to their end
    "|[ -/]*[0-~]?"  # any other escape sequence
    ")"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PLAIN = re.compile(r"[\x20-\x7e]*\Z")


def printable(text: str, limit: int = 1000) -> str:
    """`text` as one line that cannot move the cursor, change colours, or reorder what stands beside it.

    Escape sequences vanish; newlines and tabs become spaces; other control, format (bidirectional
    overrides, zero-width characters), private-use and unassigned characters become
    `\N{REPLACEMENT CHARACTER}`; stacked combining marks are cut to one. What joins several characters into
    one picture (flags, skin tones, variation selectors) is taken apart: terminals do not agree how wide such
    a picture is. Longer text ends in `…`. The result still has to reach Textual as `Text` or `Content`,
    never as markup.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if _PLAIN.match(text):
        return text
    text = _ESCAPES.sub("", text)
    out: list[str] = []
    marks = 0
    for char in text:
        if "\ufe00" <= char <= "\ufe0f" or "\U0001f3fb" <= char <= "\U0001f3ff":
            continue  # variation selectors, skin tones
        if "\U0001f1e6" <= char <= "\U0001f1ff":  # half a flag
            char = chr(ord(char) - 0x1F1E6 + ord("A"))
        category = unicodedata.category(char)
        if category[0] == "M":
            marks += 1
            if marks > 1 or not out:
                continue
        else:
            marks = 0
        if char in "\n\r\t\v\f" or category in ("Zl", "Zp"):
            out.append(" ")
        elif category in _UNSAFE:
            out.append("\N{REPLACEMENT CHARACTER}")
        else:
            out.append(char)
    return "".join(out)


def size(count: int | None) -> str:
    """Bytes in binary units, at most six characters: `712 B`, `1.4 K`, `79.6 G`."""
    if count is None:
        return UNKNOWN
    value = float(count)
    for unit in ("B", "K", "M", "G", "T"):
        if value < 999.5 or unit == "T":
            digits = 0 if unit == "B" or value >= 99.95 else 1
            return f"{value:.{digits}f} {unit}"
        value /= 1024
    return UNKNOWN


def sizes(used: int | None, total: int | None) -> str:
    """`71.2/79.6 G`: both in the unit of the total."""
    if total is None:
        return size(used)
    power = 0
    while total / 1024**power >= 9999.5 and power < 4:
        power += 1
    digits = 0 if total / 1024**power >= 999.5 or power == 0 else 1
    first = UNKNOWN if used is None else f"{used / 1024**power:.{digits}f}"
    return f"{first}/{total / 1024**power:.{digits}f} {'BKMGT'[power]}"


def percent(value: float | None) -> str:
    """` 9 %`, `100 %`: no decimals, they only flicker."""
    return UNKNOWN if value is None else f"{value:.0f} %"


def duration(seconds: float | None) -> str:
    """The largest unit, and the next below two of it: `8 s`, `1 m 40 s`, `3 h`, `2 d`."""
    if seconds is None:
        return UNKNOWN
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds} s"
    for unit, name, below, below_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if seconds >= unit:
            whole, rest = divmod(seconds, unit)
            if whole < 2 and rest // below:
                return f"{whole} {name} {rest // below} {below_name}"
            return f"{whole} {name}"
    return UNKNOWN


def age(since: datetime | None, now: datetime | None = None) -> str:
    """How long ago `since` was; clocks that disagree never give a negative age."""
    if since is None:
        return UNKNOWN
    return duration(((now or datetime.now(UTC)) - since).total_seconds())
