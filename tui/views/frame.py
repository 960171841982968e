"""What the frame around a list says: how much is shown, and what narrows it. Pure."""

from __future__ import annotations

from typing import NamedTuple

from textual.content import Content

from backend.text import printable


class Shown(NamedTuple):
    """What a list shows."""

    title: str
    rows: int
    total: int
    """Before the filter."""
    hosts: str
    """`@h1`; empty: all."""
    filter: str
    marks: int


def titles(shown: Shown) -> tuple[Content, Content, Content]:
    """Top left of the frame, bottom right of it, and a line where there is no frame (empty: all is shown)."""
    count = f"{shown.rows:,}" if shown.rows == shown.total else f"{shown.rows:,} of {shown.total:,}"
    counted = Content.styled(count, "$text-muted")
    title = Content.assemble((f"{shown.title} ", "bold"), counted)
    hosts = [Content.styled(printable(shown.hosts, 40), "$text-accent")] if shown.hosts else []
    rest: list[Content] = []
    if shown.filter:
        rest.append(Content.styled(f"/ {printable(shown.filter, 60)}", "$text-warning"))
    if shown.marks:
        rest.append(Content.styled(f"● {shown.marks:,} marked", "$text-accent"))
    gap = Content("  ")
    note = gap.join([*hosts, *rest, counted]) if hosts or rest else Content("")
    return Content(" ").join([title, *hosts]), gap.join(rest), note
