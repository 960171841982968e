"""Loads whose rsync is started before the host is ready for it: what a first push may do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.sync.model import Change, size_of
from backend.sync.transfer import Load

if TYPE_CHECKING:
    from backend.sync.engine import HostSync

_JUST_NOW = 5.0
"""Seconds since this machine was looked at."""


@dataclass
class Ahead:
    """A load that is ready, and goes over once it may."""

    count: int
    """How many items it has."""
    after: asyncio.Event
    loading: asyncio.Task[None]

    async def close(self) -> None:
        """End it, if it is not over."""
        self.loading.cancel()
        await asyncio.gather(self.loading, return_exceptions=True)


def whole_tree(sync: HostSync, changes: Sequence[Change]) -> Load | None:
    """A first push of a whole tree, where rsync would find the same files as we did; else None.

    Not where somebody took a while to agree to what was shown: what came since was not.
    """
    if time.monotonic() - sync.here.looked_at > _JUST_NOW:
        return None
    if sync.wish.tar or not sync.rsync or sync.paths is not None or len(sync.wish.pairs) != 1:
        return None
    (pair,), ((mine, theirs),) = sync.wish.pairs, sync.seen
    if f"{theirs.root}/".startswith(f"{mine.root}/"):
        return None  # on one disk it would find what it has just written
    rule = pair.parts[0].rule
    plain = rule.links == "keep" and rule.mode is None and rule.max_size is None
    if len(pair.parts) > 1 or pair.parts[0].prefix or rule.filter or rule.secret or not plain:
        return None
    if theirs.entries or theirs.blind or mine.blind or mine.special or len(changes) != len(mine.entries):
        return None
    load = Load("push", mine.root, theirs.root, sync.wish.profile.compress, rule.links, None, whole=True)
    sizes = [size_of(each.here) for each in changes]
    load.fresh, load.count, load.size, load.largest = True, len(sizes), sum(sizes), max(sizes, default=0)
    return load
