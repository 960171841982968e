"""Whether a mount answers. Who looks into a dead sshfs hangs, and cannot even be killed: so a child looks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from asyncio.subprocess import DEVNULL, PIPE
from typing import NamedTuple

from backend.mounts.model import MountState

LIMIT = 2.0
"""Seconds that a mount has to answer."""
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
    child = await asyncio.create_subprocess_exec(
        *("stat", "--file-system", "--format=%S %b %f", "--", folder),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "LC_ALL": "C"},
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(), limit)
    except TimeoutError:
        return Answer(MountState.SILENT)
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()  # nobody waits for it: it ends when the mount does
            child._transport.close()  # type: ignore[attr-defined]
    if child.returncode:
        return Answer(MountState.BROKEN if any(word in err for word in _GONE) else MountState.SILENT)
    try:
        block, blocks, free = map(int, out.split())
    except ValueError:
        return Answer(MountState.MOUNTED, seconds=time.monotonic() - start)
    took = time.monotonic() - start
    if not blocks:  # a server that cannot tell
        return Answer(MountState.MOUNTED, seconds=took)
    return Answer(MountState.MOUNTED, block * (blocks - free), block * blocks, took)
