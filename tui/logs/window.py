"""Which rows of a log are on the screen: pure arithmetic over a buffer and the heights of its lines.

A place is the number of a line and a row within it, so lines that come or go elsewhere move nothing. Only the
lines of one page are ever measured, however long the log is.
"""

from __future__ import annotations

from collections.abc import Callable

from backend.logs.buffer import LogBuffer

Place = tuple[int, int]
"""Number of a line, and which of its rows, from 0."""
Height = Callable[[int], int]
"""Rows of the line with that number."""


def page_from(buffer: LogBuffer, height: Height, place: Place, rows: int) -> list[Place]:
    """Up to `rows` rows from a place on (from the next shown line, if that one is not shown any more)."""
    number, sub = place
    row = buffer.row(number)
    if row < len(buffer) and buffer.number(row) != number:
        sub = 0
    found: list[Place] = []
    while row < len(buffer) and len(found) < rows:
        number = buffer.number(row)
        found += [(number, each) for each in range(min(sub, height(number) - 1), height(number))]
        row, sub = row + 1, 0
    return found[:rows]


def page_to(buffer: LogBuffer, height: Height, place: Place, rows: int) -> list[Place]:
    """Up to `rows` rows that end with a place."""
    number, sub = place
    row = buffer.row(number)
    found: list[Place] = []
    while row >= 0 and len(found) < rows:
        if row < len(buffer):
            number = buffer.number(row)
            last = min(sub, height(number) - 1) if sub >= 0 else height(number) - 1
            found += [(number, each) for each in range(last, -1, -1)]
        row, sub = row - 1, -1
    return found[:rows][::-1]


def last_page(buffer: LogBuffer, height: Height, rows: int) -> list[Place]:
    """The last rows."""
    return page_to(buffer, height, (buffer.end, -1), rows)


def page_at(buffer: LogBuffer, height: Height, top: Place, rows: int) -> list[Place]:
    """The page that begins at `top`, or the last page if that would leave rows empty."""
    page = page_from(buffer, height, top, rows)
    return page if len(page) == rows else last_page(buffer, height, rows)


def moved(buffer: LogBuffer, height: Height, top: Place, steps: int) -> Place:
    """The place `steps` rows below (above, where negative) `top`."""
    if steps >= 0:
        page = page_from(buffer, height, top, steps + 1)
    else:
        page = page_to(buffer, height, top, 1 - steps)[:1]
    return page[-1] if page else top
