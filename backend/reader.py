"""Runs one agent over an open connection and turns its lines into snapshots, until one of the two ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from backend import enginefallback, picture, shipping, wire
from backend.config import HostConfig
from backend.errors import AgentFailed, HostError, Unreachable
from backend.link import Link
from backend.model import Engine, EngineState, Hello, HostSnapshot, HostState, Problem

PING_EVERY = 5.0
SILENCE = 15.0
"""Seconds without any line, though pings went out, after which an agent is taken for hung."""
_FAULT_LASTS = 150.0
"""Seconds until a fault that was not repeated is over: agents repeat them each minute."""
_OUTBOX = 100
"""Commands that wait for an agent at most."""


class AgentReader:
    """One run of an agent."""

    def __init__(
        self,
        host: HostConfig,
        connection: Link,
        *,
        interval: float,
        notice: Problem | None,
        changed: Callable[[HostSnapshot], None],
        pane: Callable[[wire.PaneChange], None] = lambda change: None,
        images: bool = False,
    ) -> None:
        """`notice` is shown until this agent has introduced itself; `changed` gets each new snapshot.

        `images`: the agent is asked for them at once.

        `pane` gets what changed in the panes that the agent was asked to watch.
        """
        self._host = host
        self._link = connection
        self._interval = interval
        self._notice = notice
        self._changed = changed
        self._pane = pane
        self._snapshot = picture.blank(host)
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_OUTBOX)
        self._lost: asyncio.Future[HostError | None] = asyncio.get_running_loop().create_future()
        self._faults: dict[str, tuple[float, Problem]] = {}
        self._garbage = 0
        self._heard = time.monotonic()
        self._pings: dict[int, float] = {}
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        if images:
            self.send({"cmd": "images"})

    # ------------------------------------------------------------------------------------- asking

    def send(self, command: dict[str, Any]) -> None:
        """Queue a command for the agent; dropped if too many wait already."""
        with contextlib.suppress(asyncio.QueueFull):
            self._outbox.put_nowait(command)

    async def ask(self, verb: str, body: dict[str, Any], *, timeout: float = 30.0) -> Any:
        """The answer of the host's queue. Raises as `backend.queues.channel`, `AgentFailed` without one."""
        from backend.queues.channel import error_of

        number = next(self._numbers)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self.send({"cmd": "queue", "id": number, "verb": verb, "body": body})
            async with asyncio.timeout(timeout):
                reply: wire.Reply = await future
        except TimeoutError:
            raise AgentFailed(
                f"the queue of {self._host.name} did not answer within {timeout:.0f} s.",
                hint="Does its engine hang? berth doctor says more.",
            ) from None
        finally:
            del self._asked[number]
        if reply.error is not None:
            raise error_of(self._host.name, reply.error)
        return reply.ok

    def lose(self) -> None:
        """Take the connection for dead without waiting until that shows."""
        if not self._lost.done():
            self._lost.set_result(
                Unreachable(f"the connection to {self._host.name} is stale.", hint="It reconnects by itself.")
            )

    def warnings(self, snapshot: HostSnapshot) -> tuple[Problem, ...]:
        """What is not well, apart from the notice."""
        extra = [problem for _, problem in self._faults.values()]
        if self._garbage:
            what = "line that was" if self._garbage == 1 else "lines that were"
            extra.append(
                Problem(
                    "Garbage from the agent",
                    f"{self._host.name} sent {self._garbage} {what} no data.",
                    "The rest is shown. If it goes on: does something there write into the agent's output?",
                )
            )
        return picture.warnings(self._host, snapshot, extra)

    # ------------------------------------------------------------------------------------ running

    async def run(self, snapshot: HostSnapshot) -> HostError:
        """Run an agent from start to end; why it ended. Raises a `HostError` if the connection did."""
        self._snapshot = snapshot
        closed: asyncio.Future[HostError | None] = asyncio.ensure_future(self._link.closed)
        work = asyncio.create_task(self._work())
        ends: list[asyncio.Future[Any]] = [closed, self._lost, work]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if work.done() and not closed.done() and not self._lost.done():
                with contextlib.suppress(TimeoutError):  # its end may be how a lost connection shows first
                    await asyncio.wait_for(asyncio.shield(closed), 0.2)
            for gone in (self._lost, closed):
                if gone.done():
                    raise gone.result() or Unreachable(f"the connection to {self._host.name} was closed.")
            return work.result()
        finally:
            closed.cancel()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _work(self) -> HostError:
        agent: shipping.Agent | None = None
        tasks: list[asyncio.Task[Any]] = []
        try:
            agent = await self._start()
            self._heard = time.monotonic()
            listen = asyncio.create_task(self._listen(agent))
            watch = asyncio.create_task(self._watch())
            tasks = [listen, watch, asyncio.create_task(self._talk(agent))]
            done, _ = await asyncio.wait({listen, watch}, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        except HostError as error:
            return error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if agent is not None:
                await agent.process.close()

    async def _start(self) -> shipping.Agent:
        """The host's agent, or ours reading the host's engine where there is no Python."""
        args = ["--interval", f"{self._interval:g}", "--engine", self._host.engine]
        if self._host.socket:
            args += ["--socket", self._host.socket]
        try:
            return await shipping.start(self._link, args)
        except shipping.NoPython as error:
            self._notice = picture.problem(error)
            agent = await enginefallback.start(self._link, self._host, self._interval)
            self._notice = replace(
                self._notice, message=f"{self._notice.message} Of this host only its containers are listed."
            )
            self._show(
                state=HostState.UP,
                error=None,
                retry_at=None,
                hello=None,
                engine=Engine(EngineState.CONNECTING),
            )
            return agent

    async def _listen(self, agent: shipping.Agent) -> HostError:
        async for line in agent.lines:
            self._heard = time.monotonic()
            if not line.strip():
                continue
            try:
                section = wire.decode(line)
            except wire.WireError:
                self._garbage += 1
                if self._garbage == 1 or self._garbage % 1000 == 0:
                    self._show()
                continue
            accepted = agent.accept(section)
            if accepted is not None:
                self._take(accepted)
        code = await agent.process.wait()
        said = agent.process.stderr.decode(errors="replace").strip().rpartition("\n")[2][-300:]
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        return AgentFailed(
            f"the agent on {self._host.name} ended ({how}){': ' + said if said else ''}.",
            hint="It is started again by itself. If it keeps ending: did dmesg there log the OOM killer?",
        )

    def _take(self, section: wire.Section) -> None:
        """One section into the snapshot."""
        data = section.data
        if isinstance(data, wire.Pong):
            sent = self._pings.pop(data.id, None)
            if sent is not None:
                self._show(latency_ms=round((time.monotonic() - sent) * 1000, 1))
        elif isinstance(data, wire.Fault):
            self._faults[data.where] = (time.monotonic(), picture.fault_problem(self._host, data))
            self._show()
        elif isinstance(data, wire.PaneChange):
            self._pane(data)
        elif isinstance(data, wire.Reply):
            asked = self._asked.get(data.id)
            if asked is not None and not asked.done():
                asked.set_result(data)
        elif isinstance(data, Hello):
            self._greet(data)
        elif data is not None:
            self._faults.pop(section.name, None)
            self._snapshot = picture.add(self._snapshot, section)
            self._show(seen_at=picture.moment())

    def _greet(self, hello: Hello) -> None:
        if hello.protocol != wire.PROTOCOL:
            raise AgentFailed(
                f"the agent on {self._host.name} speaks version {hello.protocol}, not {wire.PROTOCOL}.",
                hint="Update berth; remove ~/.cache/berth there if that does not help.",
            )
        self._notice = None
        self._show(hello=hello, state=HostState.UP, error=None, retry_at=None, seen_at=picture.moment())

    def _show(self, **changes: Any) -> None:
        """Publish the snapshot with these changes and the warnings that follow from it."""
        snapshot = replace(self._snapshot, **changes)
        found = self.warnings(snapshot)
        if self._notice is not None:
            found = (*found, self._notice)
        if found != snapshot.warnings:
            snapshot = replace(snapshot, warnings=found)
        self._snapshot = snapshot
        self._changed(snapshot)

    async def _talk(self, agent: shipping.Agent) -> None:
        """Send commands as they come, and a ping now and then."""
        number = 0
        while True:
            number += 1
            self._pings = {number: time.monotonic(), **dict(list(self._pings.items())[:3])}
            command: dict[str, Any] = {"cmd": "ping", "id": number}
            try:
                async with asyncio.timeout(PING_EVERY):
                    while True:
                        await agent.process.write(json.dumps(command).encode() + b"\n")
                        command = await self._outbox.get()
            except TimeoutError:
                continue
            except HostError:
                return  # whoever reads its output finds out why

    async def _watch(self) -> HostError:
        """Return once the agent has been silent for too long; forget faults that are over."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(1.0)
            now = time.monotonic()
            if now - began > 3.0:
                self._heard = now  # we were the ones who stood still
            if now - self._heard > SILENCE:
                return AgentFailed(
                    f"the agent on {self._host.name} said nothing for {SILENCE:.0f} s.",
                    hint="It is started again by itself. The host may be overloaded.",
                )
            over = [where for where, (at, _) in self._faults.items() if now - at > _FAULT_LASTS]
            if over:
                for where in over:
                    del self._faults[where]
                self._show()
