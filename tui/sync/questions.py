"""What is asked before a sync deletes, or does what cannot be undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backend.sync.words import files, path_of, question
from backend.text import size

if TYPE_CHECKING:
    from backend.sync.engine import Wish
    from backend.sync.model import Plan
    from tui.doing import Doing

_NAMED = 200
"""Deletions that a question names."""


async def agree(doing: Doing, plans: Sequence[Plan], wish: Wish) -> bool:
    """Ask about the deletions of all these, and about what is final, with the list."""
    body: list[str] = []
    total = 0
    for plan in plans:
        gone = [each for each in plan.of("deleted") if not each.folder]
        total += len(gone)
        if plan.final:
            body.append(f"{plan.host}: {plan.final}")
        if not gone:
            continue
        body.append(f"{plan.host}: {files(len(gone))} ({size(sum(each.size for each in gone))})")
        body += [f"  {path_of(each, wish.pairs)}" for each in gone[:_NAMED]]
        if len(gone) > _NAMED:
            body.append(f"  and {len(gone) - _NAMED:,} more: all are in the list behind this")
    return await doing.ask(question(plans), body, yes="Delete them" if total else "Replace it")
