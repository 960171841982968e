"""Whether a mount answers. Who looks into a dead sshfs hangs, and cannot even be killed: so a child looks."""

from __future__ import annotations

import time
from typing import NamedTuple

from backend import child
from backend.mounts.model import MountState

LIMIT = 2.0
"""Seconds that a mount has to answer."""
_STAT = ("stat", "--file-system", "--format=%S %b %f", "--")
_GONE = (b"not connected", b"Connection aborted")
"""What the kernel says where nobody serves a mount any more: ENOTCONN, ECONNABORTED."""


class Answer(NamedTuple):
    """How it is, and what it said."""

    state: MountState
    used: int | None = None
    total: int | None = None
    seconds: float | None = None


async def ask(folder: str, limit: float = LIMIT) -> Answer:
    """Ask the file system for its size: that goes to the host and back, whatever sshfs remembers."""
    start = time.monotonic()
    try:
        stat = await child.run(*_STAT, folder, limit=limit, more=child.ENGLISH, alone=True, awaited=False)
    except TimeoutError:
        return Answer(MountState.SILENT)
    if stat.code:
        return Answer(MountState.BROKEN if any(word in stat.err for word in _GONE) else MountState.SILENT)
    try:
        block, blocks, free = map(int, stat.out.split())
    except ValueError:
        return Answer(MountState.MOUNTED, seconds=time.monotonic() - start)
    took = time.monotonic() - start
    if not blocks:  # a server that cannot tell
        return Answer(MountState.MOUNTED, seconds=took)
    return Answer(MountState.MOUNTED, block * (blocks - free), block * blocks, took)
