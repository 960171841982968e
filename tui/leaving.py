"""Leaving: what still runs cleans up first, and somebody who waits for it at a prompt knows what for."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.actions.runs import Run

_WORDLESS = 1.0
"""Seconds in which nobody asks what is waited for."""


async def ended(let_go: asyncio.Event, runs: Sequence[Run]) -> None:
    """Wait until all `runs`, which were cancelled, have ended.

    The terminal is the shell's again by now: Ctrl+C leaves at once.
    """
    waiting = asyncio.create_task(let_go.wait())
    if not (await asyncio.wait({waiting}, timeout=_WORDLESS))[0]:
        names = ", ".join(_name(run) for run in runs if run.state == "running")
        print(f"Cleaning up{names and ': '}{names} (Ctrl+C leaves at once)", file=sys.__stderr__, flush=True)
        await waiting


def _name(run: Run) -> str:
    from backend.actions.runner import label
    from backend.text import printable

    return printable(f"{run.action.title} {label(run.target)}".strip(), 80)
