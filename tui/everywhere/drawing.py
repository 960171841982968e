"""Outputs of hosts as lines of a page: beside each other where there is room, else below. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from backend.everywhere.fold import Block
from backend.everywhere.text import heading
from backend.text import printable
from tui.columns import Cell
from tui.fitting import EMPTY, fit, wrap

BESIDE = 100
"""Cells from which on hosts stand beside each other."""
_COLUMN = 38
"""Cells that a column has at least."""
_SHOWN = 1_000
"""Lines of a host that are on the page, the last ones."""
_LINE = 4_000
"""Characters of one line that are shown."""
_BETWEEN: Cell = ((" │ ", "dim"),)


HINTS: list[Cell] = [
    EMPTY,
    (("Type a command: it runs on all hosts at once, and each answer is shown here.", ""),),
    (("Equal answers are folded into one; what differs from most is marked.", ""),),
    EMPTY,
    (("  uptime", "accent"),),
    (("  df -h / | tail -1", "accent"), ("        a line for the shell of each host", "dim")),
    (("  @gpu nvidia-smi -L", "accent"), ("       only on hosts with the tag gpu", "dim")),
    (("  echo {host} {address}", "accent"), ("    what belongs to each host is filled in", "dim")),
]
"""What stands on the page before anything was run."""


def page(blocks: Sequence[Block], width: int, *, wrapped: bool = False) -> list[Cell]:
    """All lines for that many cells."""
    if not blocks or width <= 0:
        return []
    room = min(len(blocks), (width + 3) // (_COLUMN + 3)) if width >= BESIDE else 1
    if room < 2:
        return list(_below(blocks, width, wrapped))
    return list(_beside(blocks, width, room, wrapped))


def _below(blocks: Sequence[Block], width: int, wrapped: bool) -> Iterator[Cell]:
    marked = _marked(blocks)
    for number, block in enumerate(blocks):
        if number:
            yield EMPTY
        yield from _block(block, width, marked=marked, wrapped=wrapped)


def _beside(blocks: Sequence[Block], width: int, room: int, wrapped: bool) -> Iterator[Cell]:
    """Bands of as many columns as have room; what is left over is the last column's."""
    wide = (width - 3 * (room - 1)) // room
    marked = _marked(blocks)
    for start in range(0, len(blocks), room):
        if start:
            yield EMPTY
        band = blocks[start : start + room]
        columns = [list(_block(block, wide, marked=marked, wrapped=wrapped)) for block in band]
        for cells in zip_longest(*columns, fillvalue=EMPTY):
            line: list[tuple[str, str]] = []
            for at, cell in enumerate(cells):
                line += _BETWEEN if at else ()
                line += fit(cell, wide)
            yield tuple(line)


def _marked(blocks: Sequence[Block]) -> bool:
    return any(block.differs or block.lacks for block in blocks)


def _block(block: Block, width: int, *, marked: bool, wrapped: bool) -> Iterator[Cell]:
    yield _heading(block)
    yield (("─" * min(width, 60), "dim"),)
    if block.first.error:
        words: Cell = ((printable(f"{block.first.error} {block.first.hint}".strip(), 600), "bad"),)
        yield from wrap(words, width)
    first = max(0, len(block.lines) - _SHOWN)
    if hidden := block.dropped + first:
        yield ((f"({hidden:,} lines before these)", "dim"),)
    for at in range(first, len(block.lines)):
        cell = _line(block.lines[at], differs=at in block.differs, marked=marked)
        if wrapped:
            yield from wrap(cell, width) or [cell]
        else:
            yield cell
    if block.lacks:
        yield ((f"~ {block.lacks:,} lines of the others are not here", "warn"),)
    if block.first.over and not block.lines and not block.first.error:
        yield (("no output", "dim"),)


def _heading(block: Block) -> Cell:
    run = block.first
    style = "good" if run.ok else "bad" if run.over else "accent"
    mark = {"good": "✓ ", "bad": "! "}.get(style, "▸ ")
    return ((mark + heading(block), style),)


def _line(text: str, *, differs: bool, marked: bool) -> Cell:
    """Colour never stands alone: what differs has a mark too."""
    shown = printable(text, _LINE)
    if differs:
        return ((f"~ {shown}", "warn"),)
    return ((f"  {shown}" if marked else shown, ""),)
