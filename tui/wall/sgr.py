"""Rows of a captured pane to styled text: colours kept, everything else made harmless. Pure.

tmux lets colours go on from one row to the next, so a row is read with the pen that the row before left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from rich.color import Color
from rich.style import Style

from backend.text import printable

Run = tuple[str, Style]

_TOKEN = re.compile("\x1b\\[([0-9;:]*)m|([\x0e\x0f])")
_LINES = str.maketrans("`afgijklmnopqrstuvwxyz{|}~", "◆▒°±␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")
"""The line drawing set of the VT100, which tmux writes between shift out and shift in."""
_CUT = 4096


class Pen(NamedTuple):
    """What text is written with."""

    ink: Color | None = None
    paper: Color | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False
    drawing: bool = False
    """Whether letters are pieces of lines."""


START = Pen()
_SIMPLE: dict[int, dict[str, Any]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"reverse": True},
    9: {"strike": True},
    21: {"underline": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"reverse": False},
    29: {"strike": False},
    39: {"ink": None},
    49: {"paper": None},
}
"""What codes without arguments change."""


@lru_cache(maxsize=4096)
def decode(text: str, pen: Pen = START) -> tuple[tuple[Run, ...], Pen]:
    """The runs of a row, and the pen it leaves."""
    runs: list[Run] = []
    at = 0
    text = text[: 4 * _CUT]
    for match in _TOKEN.finditer(text):
        _write(runs, text[at : match.start()], pen)
        at = match.end()
        pen = pen._replace(drawing=match[2] == "\x0e") if match[2] else _turn(pen, match[1])
    _write(runs, text[at:], pen)
    return tuple(runs), pen


def _write(runs: list[Run], text: str, pen: Pen) -> None:
    if not text:
        return
    if pen.drawing:
        text = text.translate(_LINES)
    if text := printable(text, _CUT):
        runs.append((text, style(pen)))


@lru_cache(maxsize=1024)
def style(pen: Pen) -> Style:
    """How it looks. Nothing blinks, hides or links."""
    return Style(
        color=pen.ink,
        bgcolor=pen.paper,
        bold=pen.bold or None,
        dim=pen.dim or None,
        italic=pen.italic or None,
        underline=pen.underline or None,
        reverse=pen.reverse or None,
        strike=pen.strike or None,
    )


@lru_cache(maxsize=1024)
def _turn(pen: Pen, codes: str) -> Pen:
    """The pen after an SGR sequence; what is not understood changes nothing."""
    words = codes.split(";") if codes else ["0"]
    at = 0
    while at < len(words) and at < 64:
        word = words[at]
        at += 1
        if ":" in word:
            pen = _colons(pen, word.split(":"))
            continue
        code = int(word[:5] or 0)
        if code == 0:
            pen = START._replace(drawing=pen.drawing)
        elif code in _SIMPLE:
            pen = pen._replace(**_SIMPLE[code])
        elif code in (38, 48, 58):
            colour, used = _colour(words[at : at + 4])
            at += used
            pen = _paint(pen, code, colour)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            pen = pen._replace(ink=_indexed(code - 30 if code < 90 else code - 82))
        elif 40 <= code <= 47 or 100 <= code <= 107:
            pen = pen._replace(paper=_indexed(code - 40 if code < 100 else code - 92))
    return pen


def _colons(pen: Pen, words: Sequence[str]) -> Pen:
    """`4:3` (a curly underline), `38:2::1:2:3`, `38:5:1`."""
    code = int(words[0][:5] or 0)
    if code == 4:
        return pen._replace(underline=words[1] not in ("", "0"))
    if code in (38, 48):
        rest = [word for word in words[1:] if word]
        return _paint(pen, code, _colour(rest)[0])
    return pen


def _paint(pen: Pen, code: int, colour: Color | None) -> Pen:
    if colour is None or code == 58:
        return pen
    return pen._replace(ink=colour) if code == 38 else pen._replace(paper=colour)


def _colour(words: Sequence[str]) -> tuple[Color | None, int]:
    """`5;N` or `2;R;G;B`, and how many words that took."""
    kind = words[0] if words else ""
    numbers = [int(word[:5]) if word.isdigit() else 0 for word in words[1:4]]
    if kind == "5" and numbers and numbers[0] < 256:
        return _indexed(numbers[0]), 2
    if kind == "2" and len(numbers) == 3 and max(numbers) < 256:
        return Color.from_rgb(*numbers), 4
    return None, {"5": 2, "2": 4}.get(kind, 1)


def _indexed(number: int) -> Color:
    return Color.from_ansi(number)
