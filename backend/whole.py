"""Steps that are done whole or not at all, however impatiently they are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def whole(step: Awaitable[T]) -> T:
    """Run a step to its end even if we are cancelled meanwhile; the cancel is raised after it.

    For steps that end by themselves within a time limit: half of one could not be taken back, and half a
    clean-up leaves something behind. A second cancel changes nothing, as people press Ctrl+C twice.
    """
    task = asyncio.ensure_future(step)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        if not task.cancelled():
            task.exception()
        raise asyncio.CancelledError
    return task.result()
