"""All hosts at once: one supervised task each, and one picture of them, latest wins.

    async with Fleet(config) as fleet:
        async for state in fleet.updates():
            ...

A slow reader skips states, it never queues them. What goes wrong with one host becomes that host's error;
the others never notice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from types import MappingProxyType, TracebackType
from typing import Self

from backend import laststate, link
from backend.config import Config
from backend.errors import HostError, Refused
from backend.link import Link
from backend.model import EngineState, FleetState, HostSnapshot, HostState
from backend.supervisor import Opener, Supervisor
from backend.wire import PaneChange

PUBLISH_EVERY = 0.05
"""Seconds between two published states, at least: 100 hosts must not mean 100 states for one interval."""
_JUMP = 10.0
"""Seconds by which the wall clock may run ahead of the monotonic one before it means: we slept."""


class Fleet:
    """The hosts of a configuration, watched side by side for as long as the `async with` lasts."""

    def __init__(
        self,
        config: Config,
        *,
        only: Sequence[str] | None = None,
        interval: float | None = None,
        opener: Opener = link.open,
        remember: bool = False,
        pace: float = PUBLISH_EVERY,
    ) -> None:
        """`only`: names of hosts (`NoSuchTarget` for one that is none); `interval`: seconds between samples.

        `pace`: seconds between two published states at least.
        `remember` starts with what the last fleet that remembered saw, called stale, and saves on the way.
        """
        hosts = config.hosts if only is None else tuple(config.host(name) for name in dict.fromkeys(only))
        self.config = config
        self.interval = interval if interval is not None else config.settings.interval
        """Seconds between two samples of a host."""
        known = laststate.load() if remember else {}
        self.on_pane: Callable[[str, PaneChange], None] = lambda host, change: None
        """Gets what changes in watched panes: the host's name and the change."""
        self._remember = remember
        self._pace = pace
        self._saved_at = time.monotonic()
        self._supervisors = {
            host.name: Supervisor(
                host,
                start=laststate.start(host, known),
                opener=opener,
                interval=self.interval,
                publish=self._changed,
                pane=self._pane,
            )
            for host in hosts
        }
        self._state = FleetState(hosts=self._collect())
        self._published_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    # ------------------------------------------------------------------------------------ reading

    @property
    def state(self) -> FleetState:
        """The newest state. Never changes in place."""
        return self._state

    async def updates(self) -> AsyncIterator[FleetState]:
        """The newest state now, then again whenever it changed; ends when the fleet is closed."""
        seen = -1
        while True:
            news = self._news
            if self._state.revision != seen:
                seen = self._state.revision
                yield self._state
                continue
            if self._closed:
                return
            await news.wait()

    async def settle(self, timeout: float, ready: Callable[[HostSnapshot], bool] | None = None) -> bool:
        """Wait until every host is either not to be had or shown completely; whether that came in time.

        `ready` says when a host that is up is complete; default: `settled`.
        """
        done = ready or settled
        try:
            async with asyncio.timeout(timeout):
                async for state in self.updates():
                    if all(
                        done(host) if host.state is HostState.UP else host.state is not HostState.CONNECTING
                        for host in state.hosts.values()
                    ):
                        return True
        except TimeoutError:
            pass
        return False

    # ------------------------------------------------------------------------------------- asking

    def link(self, name: str) -> Link | None:
        """The open connection to that host, or None while it is not up."""
        return self._supervisor(name).link

    def retry(self, name: str | None = None) -> None:
        """Connect now instead of when the next attempt is due; all hosts without a name."""
        for supervisor in [self._supervisor(name)] if name else self._supervisors.values():
            supervisor.retry()

    def refresh(self, name: str | None = None) -> None:
        """Have the agent read everything anew."""
        for supervisor in [self._supervisor(name)] if name else self._supervisors.values():
            supervisor.command({"cmd": "refresh"})

    def watch_images(self) -> None:
        """Have all hosts tell of their images: now, and whenever they change. Asking again costs nothing."""
        for supervisor in self._supervisors.values():
            supervisor.watch_images()

    def watch_panes(self, name: str, panes: Sequence[tuple[str, str, bool]]) -> None:
        """Have these tmux panes of a host captured for the next seconds, and no others.

        Each is its socket, its id (`%3`), and whether all of it has to be sent again.
        """
        wanted = [{"socket": socket, "pane": pane, "fresh": fresh} for socket, pane, fresh in panes]
        self._supervisor(name).command({"cmd": "watch", "panes": wanted})

    def set_interval(self, seconds: float) -> None:
        """Sample every `seconds` from now on."""
        self.interval = seconds
        for supervisor in self._supervisors.values():
            supervisor.set_interval(seconds)

    async def accept_host_key(self, name: str, key: str) -> None:
        """Put `key` (of the snapshot's `Problem.key`) on record and connect.

        Raises `Refused` if that is no longer the key that waits to be accepted.
        """
        supervisor = self._supervisor(name)
        problem = supervisor.snapshot.error
        if problem is None or not key or problem.key != key:
            raise Refused(
                f"{name} does not offer this host key any more.",
                hint="Look at the key it offers now, and decide again.",
            )
        await asyncio.to_thread(link.add_known_host, supervisor.host, key)
        supervisor.retry()

    def _supervisor(self, name: str) -> Supervisor:
        self.config.host(name)
        try:
            return self._supervisors[name]
        except KeyError:
            raise HostError(f"{name} is left out of this run.") from None

    # ------------------------------------------------------------------------------------ running

    async def __aenter__(self) -> Self:
        for name, supervisor in self._supervisors.items():
            self._tasks.append(asyncio.create_task(supervisor.run(), name=f"host {name}"))
        self._tasks.append(asyncio.create_task(self._watch_clock(), name="fleet clock"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._remember:  # before the connections are closed: who leaves waits for no host that is lost
            await asyncio.to_thread(laststate.save, self._state)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._closed = True
        self._news.set()

    async def _watch_clock(self) -> None:
        """Reconnect everything after the laptop slept; save what is known now and then."""
        wall, mono = time.time(), time.monotonic()
        while True:
            await asyncio.sleep(1.0)
            new_wall, new_mono = time.time(), time.monotonic()
            if (new_wall - wall) - (new_mono - mono) > _JUMP:
                for supervisor in self._supervisors.values():
                    supervisor.reconnect()
            wall, mono = new_wall, new_mono
            if self._remember and mono - self._saved_at >= laststate.SAVE_EVERY:
                self._saved_at = mono
                await asyncio.to_thread(laststate.save, self._state)

    def _collect(self) -> MappingProxyType[str, HostSnapshot]:
        return MappingProxyType({name: each.snapshot for name, each in self._supervisors.items()})

    def _pane(self, host: str, change: PaneChange) -> None:
        self.on_pane(host, change)

    def _changed(self) -> None:
        """A host has news: publish now, or with what else comes within the next moment."""
        if self._timer is not None or self._closed:
            return
        loop = asyncio.get_running_loop()
        wait = self._published_at + self._pace - loop.time()
        if wait <= 0:
            self._publish()
        else:
            self._timer = loop.call_later(wait, self._publish)

    def _publish(self) -> None:
        self._timer = None
        self._published_at = asyncio.get_running_loop().time()
        self._state = FleetState(hosts=self._collect(), revision=self._state.revision + 1)
        news, self._news = self._news, asyncio.Event()
        news.set()


def settled(host: HostSnapshot) -> bool:
    """Whether a host that is up has sent its whole first picture, or all it is going to send."""
    if host.hello is None:  # no agent runs there
        if host.engine is None:
            return bool(host.warnings)
    elif host.stats is None or host.engine is None or host.gpu_report is None:
        return False
    if host.engine.state is EngineState.CONNECTING:
        return False
    if host.engine.state is not EngineState.UP:
        return True
    return host.containers is not None and all(container.complete for container in host.containers)
