"""One poll of a cluster, shared by all who look: a fleet has one supervisor for each login node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from backend.errors import BerthError
from backend.model import ClusterReport
from backend.queues.slurm.engine import SlurmQueue

if TYPE_CHECKING:
    from backend.config import HostConfig
    from backend.link import Link

JOBS_EVERY = 2.0
NODES_EVERY = 10.0
"""Seconds between two questions of each kind at least."""
_SHARE = 0.1
"""Of the time may be spent on asking at most: a busy controller is asked less often."""


class OneLink:
    """The connection to one host, which is there already."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def link(self, host: str) -> Link:
        """The connection."""
        return self._link


async def watch(
    host: HostConfig, link: Link, report: ClusterReport | None, changed: Callable[[ClusterReport], None]
) -> None:
    """Report the cluster until cancelled, whenever something changed.

    A controller that does not answer becomes the report's error; the rows stay, and it is asked again.
    """
    queue = SlurmQueue(host, OneLink(link))
    now = report or ClusterReport()
    nodes_due = 0.0
    told = report
    while True:
        began = time.monotonic()
        share = _SHARE
        try:
            if not now.version:
                now = replace(now, **await _about(queue))
            now = replace(now, jobs=tuple(await queue.recent()), error="", hint="")
            if began >= nodes_due:
                nodes, partitions = await queue.cluster()
                now = replace(now, nodes=tuple(nodes), partitions=tuple(partitions))
                nodes_due = time.monotonic() + NODES_EVERY
        except BerthError as error:
            now = replace(now, error=error.message, hint=error.hint)
            nodes_due, share = 0.0, 1.0  # what failed took a timeout, not a controller's time
        if now != told:
            told = now
            changed(now)
        took = time.monotonic() - began
        await asyncio.sleep(max(JOBS_EVERY - took, took * (1 / share - 1), 0.5))


async def _about(queue: SlurmQueue) -> dict[str, object]:
    """What does not change: the cluster's name, Slurm's version, whether it has a history."""
    found = await queue.config()
    return {
        "name": found.get("ClusterName", ""),
        "version": found.get("SLURM_VERSION", "unknown"),
        "history": await queue.has_history(),
    }
