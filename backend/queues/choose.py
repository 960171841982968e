"""Which queue a host has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from backend.errors import UsageError

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config, HostConfig
    from backend.queues.base import QueueEngine


def has_queue(host: HostConfig) -> bool:
    """Whether jobs can be queued there."""
    return not host.skip and host.queue != "none" and (host.queue == "slurm" or host.engine != "none")


def with_queue(config: Config) -> list[HostConfig]:
    """The hosts that have one."""
    return [host for host in config.hosts if has_queue(host)]


def make(config: Config, access: Access, name: str) -> QueueEngine:
    """The queue of a host; nothing is opened yet. Raises `NoSuchTarget`, `UsageError`."""
    host = config.host(name)
    if not has_queue(host):
        why = "is skipped" if host.skip else "has no queue"
        raise UsageError(f"{name} {why}.", hint="See `queue`, `engine` and `skip` in hosts.yaml.")
    if host.queue == "slurm":
        from backend.queues.slurm.engine import SlurmQueue

        return SlurmQueue(host, access)
    from backend.queues.docker import DockerQueue

    return DockerQueue(host, access)


@dataclass
class _Shared:
    queue: QueueEngine
    users: int = 0


_OPEN: WeakKeyDictionary[Access, dict[str, _Shared]] = WeakKeyDictionary()
"""An action on fifty jobs of a host asks over one channel, not over fifty."""


@asynccontextmanager
async def queue_of(config: Config, access: Access, name: str) -> AsyncIterator[QueueEngine]:
    """The queue of a host, for as long as this is entered; shared by all who have it at the same time."""
    opened = _OPEN.setdefault(access, {})
    if name not in opened:
        opened[name] = _Shared(make(config, access, name))
    shared = opened[name]
    shared.users += 1
    try:
        yield shared.queue
    finally:
        shared.users -= 1
        if not shared.users:
            del opened[name]
            await shared.queue.close()


@asynccontextmanager
async def queues_of(config: Config, access: Access, names: Sequence[str]) -> AsyncIterator[list[QueueEngine]]:
    """Several at once."""
    queues = [make(config, access, name) for name in names]
    try:
        yield queues
    finally:
        await asyncio.gather(*(queue.close() for queue in queues))
