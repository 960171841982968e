"""Cells made exactly as wide as there is room, measured in terminal cells: the only place that cuts text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from rich.cells import cell_len, chop_cells, split_graphemes

from backend.text import printable
from tui.columns import Cell

EMPTY: Cell = ()
_WORDS = re.compile(" *[^ ]+| +")


def bare(cell: Cell) -> Cell:
    """A number without the padding of its column, for a line of text."""
    stripped = ((text.strip(), style) for text, style in cell)
    return tuple(span for span in stripped if span[0])


def text_of(cell: Cell) -> str:
    """What a cell says, without styles."""
    return "".join(text for text, _ in cell)


def width_of(cell: Cell) -> int:
    """Terminal cells that it takes."""
    return sum(cell_len(text) for text, _ in cell)


def fit(cell: Cell, width: int, align: Literal["left", "right"] = "left") -> Cell:
    """`cell`, cut with `…` or padded, exactly `width` terminal cells wide.

    A wide character is never split: where half of one would fit, a space stands. Text that slipped in without
    passing `printable` passes it here.
    """
    if width <= 0:
        return EMPTY
    if len(cell) == 1 and cell[0][0].isascii() and cell[0][0].isprintable():
        return _fit_ascii(*cell[0], width, align)
    spans = [(text if text.isprintable() else printable(text), style) for text, style in cell]
    total = sum(cell_len(text) for text, _ in spans)
    if total > width:
        spans = _cut(spans, width - 1)
        total = sum(cell_len(text) for text, _ in spans)
    if total < width:
        padding = (" " * (width - total), "")
        if align == "right":
            spans.insert(0, padding)
        else:
            spans.append(padding)
    return tuple(spans)


def _fit_ascii(text: str, style: str, width: int, align: Literal["left", "right"]) -> Cell:
    """`fit` for most cells: one span in which each character is one terminal cell."""
    if len(text) == width:
        return ((text, style),)
    if len(text) > width:
        return ((text[: width - 1] + "…", style),)
    padding = (" " * (width - len(text)), "")
    return (padding, (text, style)) if align == "right" else ((text, style), padding)


def wrap(cell: Cell, width: int) -> list[Cell]:
    """`cell` over as many lines of at most `width` cells as it needs, broken at spaces where it has some."""
    if width <= 0:
        return []
    if width_of(cell) <= width:
        return [cell]
    lines: list[Cell] = []
    line: list[tuple[str, str]] = []
    room = width
    for text, style in cell:
        for word in _words(text, width):
            size = cell_len(word)
            if size > room and line:
                lines.append(_trimmed(line))
                line, room = [], width
                word = word.lstrip(" ")
                size = cell_len(word)
            if word:
                line.append((word, style))
                room -= size
    if line:
        lines.append(_trimmed(line))
    return lines


def _words(text: str, width: int) -> list[str]:
    """Words with the spaces before them; what is longer than a line is chopped."""
    parts: list[str] = []
    for word in _WORDS.findall(text):
        if cell_len(word) <= width:
            parts.append(word)
            continue
        bare = word.lstrip(" ")
        if len(bare) < len(word):
            parts.append(" ")
        parts.extend(chop_cells(bare, width))
    return parts


def _trimmed(line: list[tuple[str, str]]) -> Cell:
    """Neighbours of one style put together again."""
    spans: list[tuple[str, str]] = []
    for text, style in line:
        if spans and spans[-1][1] == style:
            spans[-1] = (spans[-1][0] + text, style)
        else:
            spans.append((text, style))
    return tuple(spans)


def _cut(spans: Iterable[tuple[str, str]], room: int) -> list[tuple[str, str]]:
    """As much of `spans` as fits into `room` cells, then `…` in the style of what was cut."""
    kept: list[tuple[str, str]] = []
    style = ""
    for text, style in spans:
        size = cell_len(text)
        if size > room:
            end = 0
            for _, stop, cells in split_graphemes(text)[0]:
                if cells > room:
                    break
                room -= cells
                end = stop
            kept.append((text[:end] + "…", style))
            return kept
        kept.append((text, style))
        room -= size
    kept.append(("…", style))
    return kept
