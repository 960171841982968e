"""One host's life: connect, run its agent, read it, and begin again whenever that ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from backend import backoff, picture, shipping
from backend.config import HostConfig
from backend.errors import HostError, HostKeyChanged, HostKeyUnknown, LoginRefused, Unreachable
from backend.link import Link
from backend.model import ClusterReport, HostSnapshot, HostState, Problem
from backend.reader import AgentReader
from backend.wire import PaneChange

log = logging.getLogger(__name__)

Opener = Callable[[HostConfig], Awaitable[Link]]
"""How a fleet reaches a host: `link.open`, or a stand-in that plays recorded lines."""

_BUG_DELAY = 30.0
"""Seconds before a host whose own task failed by a bug of ours is tried again."""
_STEADY = 30.0
"""Seconds an agent must have lived for its end to count as the first one again."""
_AGENT_RESTART_MAX = 30.0
"""Seconds between two starts of an agent that keeps ending."""


class Supervisor:
    """Keeps one host's snapshot true."""

    def __init__(
        self,
        host: HostConfig,
        *,
        start: HostSnapshot,
        opener: Opener,
        interval: float,
        publish: Callable[[], None],
        pane: Callable[[str, PaneChange], None] = lambda host, change: None,
    ) -> None:
        self.host = host
        self.snapshot = start
        """The newest one."""
        self.link: Link | None = None
        """The open connection, while there is one."""
        self._opener = opener
        self._interval = interval
        self._publish = publish
        self._pane = pane
        self._wake = asyncio.Event()
        self._failures = 0
        self._agent: AgentReader | None = None
        self._cluster = start.cluster
        self._images = False

    # ------------------------------------------------------------------------------------- asking

    def retry(self) -> None:
        """Connect now instead of when it is due. Does nothing while the host is up or skipped."""
        if self.snapshot.state not in (HostState.UP, HostState.SKIPPED):
            self._failures = 0
            self._wake.set()

    def reconnect(self) -> None:
        """Drop what there is (it died while we slept) and connect anew."""
        if self._agent is not None:
            self._agent.lose()
        self.retry()

    def command(self, command: dict[str, Any]) -> None:
        """Send a command to the agent, if one runs."""
        if self._agent is not None:
            self._agent.send(command)

    def watch_images(self) -> None:
        """Have the agent tell of its host's images from now on, this one and those that come after it."""
        if not self._images:
            self._images = True
            self.command({"cmd": "images"})

    def set_interval(self, seconds: float) -> None:
        """Have the host sampled every `seconds`."""
        self._interval = seconds
        self.command({"cmd": "interval", "seconds": seconds})

    # ------------------------------------------------------------------------------------ running

    async def run(self) -> None:
        """Supervise until cancelled. A bug becomes this host's error, and never ends the task."""
        while True:
            try:
                await self._live()
            except Exception as error:
                log.exception("supervisor of %s", self.host.name)
                problem = Problem(
                    "Internal error",
                    f"{self.host.name}: {type(error).__name__}: {error}",
                    "This is a bug in berth; the log file has the details. It tries again by itself.",
                )
                self._set(state=HostState.DOWN, error=problem, retry_at=_after(_BUG_DELAY))
                await self._pause(_BUG_DELAY)

    async def _live(self) -> None:
        if self.host.skip:
            self._set(state=HostState.SKIPPED)
            await asyncio.get_running_loop().create_future()
        while True:
            try:
                if not self.host.local:
                    shipping.prepare()
                connection = await self._opener(self.host)
                cluster = asyncio.create_task(self._watch_cluster(connection))
                try:
                    await self._session(connection)
                finally:
                    self.link = None
                    cluster.cancel()
                    await asyncio.gather(cluster, return_exceptions=True)
                    await connection.close()
            except HostError as error:
                await self._failed(error)

    async def _failed(self, error: HostError) -> None:
        """Show why the host is not up, and wait until the next attempt is due or asked for."""
        self._failures += 1
        wait = backoff.delay(error, self._failures)
        state = HostState.DOWN
        if isinstance(error, LoginRefused):
            state = HostState.AUTH
        elif isinstance(error, HostKeyUnknown | HostKeyChanged):
            state = HostState.HOST_KEY
        self._set(
            state=state,
            error=_problem(error),
            warnings=(),
            latency_ms=None,
            retry_at=_after(wait),
        )
        if await self._pause(wait):
            self._set(state=HostState.CONNECTING, retry_at=picture.moment())

    async def _pause(self, seconds: float) -> bool:
        """Sleep, but not through a retry; whether one was asked for."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
        return self._wake.is_set()

    async def _session(self, connection: Link) -> None:
        """Keep an agent running on an open connection until that is lost; raises why."""
        self.link = connection
        ends = 0
        notice: Problem | None = None
        while True:
            reader = AgentReader(
                self.host,
                connection,
                interval=self._interval,
                notice=notice,
                changed=self._show,
                pane=lambda change: self._pane(self.host.name, change),
                images=self._images,
            )
            self._agent, began = reader, time.monotonic()
            try:
                end = await reader.run(self.snapshot)
            finally:
                self._agent = None
            ends = 1 if time.monotonic() - began > _STEADY else ends + 1
            notice = picture.problem(end)
            # The first end is often an accident (killed, out of memory): start again at once.
            wait = min(_AGENT_RESTART_MAX, 2.0 ** (ends - 2)) if ends > 1 else 0.0
            self._set(
                state=HostState.UP,
                error=None,
                warnings=(*reader.warnings(self.snapshot), notice),
                retry_at=None,
            )
            await self._rest(connection, wait)

    async def _watch_cluster(self, connection: Link) -> None:
        """Where this is a login node: also what its Slurm tells, for as long as the connection lives."""
        if self.host.queue != "slurm":
            return
        from backend.queues.slurm.watch import watch

        def changed(report: ClusterReport) -> None:
            self._cluster = report
            self._set()

        while True:
            try:
                await watch(self.host, connection, self._cluster, changed)
            except Exception:  # a bug: the host is of use without its cluster
                log.exception("cluster of %s", self.host.name)
                changed(
                    replace(
                        self._cluster or ClusterReport(),
                        error=f"{self.host.name}: what Slurm told could not be read.",
                        hint="This is a bug in berth; the log file has the details.",
                    )
                )
                await asyncio.sleep(_BUG_DELAY)

    async def _rest(self, connection: Link, seconds: float) -> None:
        """Wait before the agent's next start, but not longer than the connection lives."""
        closed = asyncio.ensure_future(connection.closed)
        done, _ = await asyncio.wait({closed}, timeout=seconds)
        if done and (error := closed.result()):
            raise error
        closed.cancel()

    def _show(self, snapshot: HostSnapshot) -> None:
        """The agent's reader has a newer snapshot."""
        if snapshot.state is HostState.UP:
            self._failures = 0
        self._set_snapshot(snapshot)

    def _set(self, **changes: Any) -> None:
        self._set_snapshot(replace(self.snapshot, **changes))

    def _set_snapshot(self, snapshot: HostSnapshot) -> None:
        self.snapshot = replace(snapshot, revision=self.snapshot.revision + 1, cluster=self._cluster)
        self._publish()


def _problem(error: HostError) -> Problem:
    """The error; where there is nothing to do about it, that nothing has to be done."""
    problem = picture.problem(error)
    if isinstance(error, Unreachable) and not problem.hint:
        return replace(problem, hint=picture.AGAIN)
    return problem


def _after(seconds: float) -> datetime:
    return picture.moment(time.time() + seconds)
