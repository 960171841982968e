"""Leaving: what still runs cleans up first, and somebody who waits for it at a prompt knows what for."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.actions.runs import Run

_WORDLESS = 1.0
"""Seconds in which nobody asks what is waited for."""
_CLOSING = 0.5
"""Seconds that connections have to be closed: those to hosts that are lost end with us."""


async def ended(let_go: asyncio.Event, gone: asyncio.Event, runs: Sequence[Run]) -> None:
    """Wait until all `runs`, which were cancelled, have ended, and for a moment until the fleet is closed.

    The terminal is the shell's again by now: Ctrl+C leaves at once.
    """
    try:
        await asyncio.wait_for(let_go.wait(), _WORDLESS)
    except TimeoutError:
        names = ", ".join(_name(run) for run in runs if run.state == "running")
        with suppress(OSError):  # the terminal may be gone
            said = f"Cleaning up{names and ': '}{names} (Ctrl+C leaves at once)"
            print(said, file=sys.__stderr__, flush=True)
        await let_go.wait()
    with suppress(TimeoutError):
        await asyncio.wait_for(gone.wait(), _CLOSING)


def _name(run: Run) -> str:
    from backend.actions.runner import label
    from backend.text import printable

    return printable(f"{run.action.title} {label(run.target)}".strip(), 80)
