"""What the GPUs of running jobs really do, for lists: samples of the host's agent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from backend import picture
from backend.errors import BerthError
from backend.gpurows import gpu_rows
from backend.model import HostSnapshot, JobRow
from backend.queues.jobrows import measured

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config

PATIENCE = 4.0
"""Seconds a host's agent has for its first sample; a list does not wait for longer."""


class Measuring:
    """One agent for each host with jobs on GPUs, until it is closed."""

    def __init__(self, config: Config, access: Access, interval: float, patience: float = PATIENCE) -> None:
        """`interval`: seconds between two samples. `patience`: how long the first one is waited for."""
        self._config = config
        self._access = access
        self._interval = interval
        self._patience = patience
        self._looks: dict[str, _Look] = {}

    async def rows(self, host: str, rows: list[JobRow]) -> list[JobRow]:
        """The rows of a host's own queue with what was measured; as they are where nothing can be."""
        if not any(_on_gpus(row) for row in rows):
            return rows
        if host not in self._looks:
            self._looks[host] = _Look(self._config, self._access, host, self._interval)
        snapshot = await self._looks[host].snapshot(self._patience)
        return rows if snapshot is None else with_samples(rows, snapshot)

    async def close(self) -> None:
        """End the agents."""
        await asyncio.gather(*(look.close() for look in self._looks.values()))


class _Look:
    """An agent that samples the GPUs of one host."""

    def __init__(self, config: Config, access: Access, host: str, interval: float) -> None:
        self._config = config.host(host)
        self._access = access
        self._interval = interval
        self._there = asyncio.Event()
        self._seen: HostSnapshot | None = None
        self._task = asyncio.create_task(self._run(), name=f"GPUs of {host}")

    async def snapshot(self, patience: float) -> HostSnapshot | None:
        """The newest sample; None where there is none in time."""
        waiting = asyncio.create_task(self._there.wait())
        try:
            await asyncio.wait({waiting, self._task}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        return self._seen

    async def _run(self) -> None:
        from backend.reader import AgentReader

        try:
            link = await self._access.link(self._config.name)
            reader = AgentReader(
                self._config, link, interval=self._interval, notice=None, changed=self._changed
            )
            await reader.run(picture.blank(self._config))
        except BerthError:
            pass  # the list says that its values are not known
        self._seen = None

    def _changed(self, snapshot: HostSnapshot) -> None:
        if snapshot.gpu_report is not None and "processes" in snapshot.told:
            self._seen = snapshot
            self._there.set()

    async def close(self) -> None:
        """End it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def with_samples(rows: Sequence[JobRow], host: HostSnapshot) -> list[JobRow]:
    """The rows with what the GPUs of their host do."""
    gpus = {gpu.uuid: gpu for gpu in gpu_rows(host)}
    out = []
    for row in rows:
        if _on_gpus(row):
            mine = [gpus[uuid] for uuid in row.gpu_uuids if uuid in gpus]
            util, used, idle = measured(mine, row.started_at)
            row = replace(row, util_percent=util, gpu_mem_used=used, idle_since=idle)
        out.append(row)
    return out


def _on_gpus(row: JobRow) -> bool:
    return row.state == "running" and row.engine == "docker" and bool(row.gpu_uuids)
