"""Figures beside their limits and beside what others need for the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Figure:
    """One measured value."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    """The highest it may be; None: there is none."""
    peers: dict[str, float] = field(default_factory=dict)
    """What others needed in the same run, in the same unit."""
    note: str = ""

    @property
    def ok(self) -> bool | None:
        """Whether it keeps its limit."""
        return None if self.limit is None else self.value <= self.limit


def markdown(figures: Sequence[Figure]) -> str:
    """One table."""
    rows = [("", "what", "berth", "limit", "beside it", "")]
    for figure in figures:
        mark = {True: "✓", False: "✗", None: ""}[figure.ok]
        peers = ", ".join(f"{name} {_number(value, figure.unit)}" for name, value in figure.peers.items())
        limit = "" if figure.limit is None else _number(figure.limit, figure.unit)
        rows.append((mark, figure.what, _number(figure.value, figure.unit), limit, peers, figure.note))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def as_json(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """The same for programs."""
    return [{**asdict(figure), "ok": figure.ok} for figure in figures]


def _number(value: float, unit: str) -> str:
    digits = 2 if value < 10 and unit in ("s", "x", "%") else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}"
