"""What is said when the terminal of a job was left: how it ended, or how to get back to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backend.queues.choose import queue_of
from backend.queues.ends import ended

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config

_LOOKS, _EVERY = 10, 0.1
"""How often it is looked whether the job has ended: its terminal is gone before that is written down."""


async def left(config: Config, access: Access, host: str, job: str) -> str:
    """A sentence; nothing for a job that ended as it should."""
    async with queue_of(config, access, host) as queue:
        for _ in range(_LOOKS):
            row = (await queue.detail(job)).row
            if row.ended_at is not None:
                return "" if row.state == "completed" else f"{host}: {ended(row)}"
            await asyncio.sleep(_EVERY)
    return f"job {job} on {host} goes on. Back to it: berth job attach {host}/{job}"
