"""Checks each host step by step and says how to mend what fails.

Steps: resolve, connect, host key, login, python3, agent, clock, engine, GPU driver, disk, tmux, rsync, and
queue dir, or for a cluster slurm, partitions, GRES, accounting, runtimes. One that cannot be tried because an
earlier one failed is not a failure of its own: its `ok` is None.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence

from msgspec import Struct

from backend import enginefallback, link, picture, shipping, wire
from backend.config import Config, HostConfig
from backend.errors import (
    AgentFailed,
    BerthError,
    HostError,
    HostKeyChanged,
    HostKeyUnknown,
    LoginRefused,
    Unreachable,
)
from backend.link import Completed, Link
from backend.model import EngineState, HostSnapshot
from backend.text import size

log = logging.getLogger(__name__)

_RUN_TIMEOUT = 10.0
_AGENT_TIMEOUT = 20.0
"""Seconds until the agent must have told about engine, GPUs and disks."""
_KNOWN = "is the one on record"
_SKEW = 2.0
"""Seconds by which a host's clock may differ."""
_NETWORK_STEPS = ("resolve", "connect", "host key", "login")
_HOST_STEPS = ("python3", "agent", "clock", "engine", "GPU driver", "disk", "tmux", "rsync")
_QUEUE_STEPS = ("queue dir",)
_CLUSTER_STEPS = ("slurm", "partitions", "GRES", "accounting", "runtimes")
_QUEUE = (
    "for d in /var/lib/berth /var/tmp/berth; do"
    ' if [ -L "$d" ]; then echo "link $d"; exit 0; fi;'
    ' if [ -d "$d" ]; then if [ -w "$d" ]; then echo "ok $d"; else echo "denied $d"; fi; exit 0; fi;'
    ' done; if [ -w /var/tmp ]; then echo "new /var/tmp/berth"; else echo "denied /var/tmp"; fi'
)
"""For `sh -c`: which directory the queue would use there."""


class Check(Struct, frozen=True):
    """What one step on one host came to."""

    host: str
    step: str
    ok: bool | None
    """None: does not apply, was not tried, or is only worth knowing."""
    message: str = ""
    """May hold host text."""
    hint: str = ""
    """How to mend it."""
    see: str = ""
    """Section of the docs with all causes, where it failed."""


PAGE = "docs/troubleshooting.md"


def section(step: str) -> str:
    """Where the docs tell all about a step that fails."""
    return f"{PAGE}#{step.lower().replace(' ', '-')}"


async def run_doctor(config: Config, names: Sequence[str] = ()) -> AsyncIterator[Check]:
    """Check these hosts (all without names) side by side; each host's checks come in order."""
    hosts = [config.host(name) for name in names] if names else list(config.hosts)
    found: asyncio.Queue[Check | None] = asyncio.Queue()

    async def examine(host: HostConfig) -> None:
        examination = _Examination(host, found.put_nowait)
        try:
            await examination.run()
        except Exception as error:
            log.exception("doctor of %s", host.name)
            examination.broken(error)
        finally:
            found.put_nowait(None)

    tasks = [asyncio.create_task(examine(host), name=f"doctor {host.name}") for host in hosts]
    try:
        left = len(tasks)
        while left:
            check = await found.get()
            if check is None:
                left -= 1
            else:
                yield check
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Examination:
    """One host, from the name to the queue's directory."""

    def __init__(self, host: HostConfig, report: Callable[[Check], None]) -> None:
        self._host = host
        self._report = report
        queue = _CLUSTER_STEPS if host.queue == "slurm" else _QUEUE_STEPS
        self._left = [*(() if host.local else _NETWORK_STEPS), *_HOST_STEPS, *queue]

    def _say(self, step: str, ok: bool | None, message: str = "", hint: str = "") -> None:
        if step in self._left:
            self._left.remove(step)
        self._report(Check(self._host.name, step, ok, message, hint, section(step) if ok is False else ""))

    def _fail(self, step: str, error: BerthError) -> None:
        self._say(step, False, error.message, error.hint)

    def broken(self, error: Exception) -> None:
        """A bug of ours ended it."""
        what = f"{type(error).__name__}: {error}"
        self._say((self._left or ["doctor"])[0], False, what, "This is a bug in berth; its log has more.")

    async def run(self) -> None:
        """Every step, as far as the host lets us."""
        if self._host.skip:
            self._report(Check(self._host.name, "skip", None, "left out by `skip: true` in hosts.yaml"))
            return
        connection = await link.open(self._host) if self._host.local else await self._connect()
        if connection is not None:
            try:
                await self._inside(connection)
            except (HostError, TimeoutError) as error:
                lost = error if isinstance(error, BerthError) else Unreachable("it stopped answering.")
                self._fail(self._left[0], lost)
            finally:
                await connection.close()
        for step in list(self._left):
            self._say(step, None, "not tried")

    # ------------------------------------------------------------------------------------ the way

    async def _connect(self) -> Link | None:
        from backend.link import steps

        try:
            target, where = await steps.find(self._host)
            self._say("resolve", True, where)
            how = await steps.dial(target)
            self._say("connect", True if how else None, how or "by the server in between")
            connection = await link.open(self._host)
        except (HostKeyUnknown, HostKeyChanged) as error:
            self._fail("host key", error)
        except HostError as error:
            if self._left[0] == "host key":
                known = isinstance(error, LoginRefused)
                self._say("host key", known or None, _KNOWN if known else "not judged")
            self._fail(self._left[0], error)
        else:
            self._say("host key", True, _KNOWN)
            self._say("login", True, f"as {target.username}")
            return connection
        return None

    # -------------------------------------------------------------------------------- the machine

    async def _inside(self, connection: Link) -> None:
        snapshot = await self._agent(connection)
        self._engine(snapshot)
        self._gpus(snapshot)
        self._disks(snapshot)
        for step, argv, use in (
            ("tmux", ["tmux", "-V"], "shells end when the connection does"),
            ("rsync", ["rsync", "--version"], "nothing can be synced"),
        ):
            done = await self._try(connection, argv)
            first = done.stdout.decode(errors="replace").partition("\n")[0].strip()
            missing = f"not installed: {use}. Install it: sudo apt install {step}"
            self._say(step, None if done.returncode else True, missing if done.returncode else first)
        await self._queue(connection)

    async def _agent(self, connection: Link) -> HostSnapshot:
        """Python, the agent, the clock; and what the agent tells of the rest."""
        snapshot = picture.blank(self._host)
        try:
            python = "python3" if connection.local else await shipping.find_python(connection)
            if not connection.local:
                version = (
                    (await self._try(connection, [python, "-V"])).stdout.decode(errors="replace").strip()
                )
                self._say("python3", True, f"{version} at {python}")
            else:
                self._say("python3", True, "berth's own")
            agent = await shipping.start(connection, ["--engine", self._host.engine, *self._socket()])
        except AgentFailed as error:
            self._fail("python3" if "python3" in self._left else "agent", error)
            return await self._without_agent(connection, snapshot)
        try:
            async with asyncio.timeout(_AGENT_TIMEOUT):
                return await self._listen(agent, snapshot)
        except TimeoutError:
            self._say("agent", False, "it did not tell everything in time", "The host may be overloaded.")
        finally:
            await agent.process.close()
        return snapshot

    def _socket(self) -> list[str]:
        return ["--socket", self._host.socket] if self._host.socket else []

    async def _listen(self, agent: shipping.Agent, snapshot: HostSnapshot) -> HostSnapshot:
        """Read the agent until its first picture is complete."""
        async for line in agent.lines:
            try:
                section = wire.decode(line)
            except wire.WireError:
                continue
            if section.name == "hello":
                self._clock(section.time - time.time())
            snapshot = picture.add(snapshot, section)
            engine = snapshot.engine
            known = engine is not None and engine.state is not EngineState.CONNECTING
            if known and snapshot.hello and snapshot.gpu_report is not None and snapshot.disks:
                hello = snapshot.hello
                self._say(
                    "agent", True, f"runs as {hello.user} on {hello.hostname} ({hello.os}, {hello.arch})"
                )
                return snapshot
        said = agent.process.stderr.decode(errors="replace").strip()[-300:]
        self._say("agent", False, f"it ended too soon: {said or 'no word'}", "Please report this.")
        return snapshot

    def _clock(self, skew: float) -> None:
        if "clock" not in self._left:
            return
        if abs(skew) < _SKEW:
            self._say("clock", True, "agrees with ours")
        else:
            word = "ahead of" if skew > 0 else "behind"
            hint = "Let it follow a time server: sudo timedatectl set-ntp true."
            self._say("clock", False, f"{abs(skew):.0f} s {word} ours", hint)

    async def _without_agent(self, connection: Link, snapshot: HostSnapshot) -> HostSnapshot:
        """At least say whether the engine's socket can be used."""
        try:
            socket = await enginefallback.find_socket(connection, self._host)
        except AgentFailed as error:
            self._fail("engine", error)
        else:
            self._say("engine", True, f"its socket {socket} can be used")
        return snapshot

    def _engine(self, snapshot: HostSnapshot) -> None:
        engine = snapshot.engine
        if engine is None or "engine" not in self._left:
            return
        problem = picture.engine_problem(self._host, engine)
        if problem is not None:
            self._say("engine", False, problem.message, problem.hint)
        elif engine.state is EngineState.UP:
            self._say("engine", True, f"{engine.kind} {engine.version} at {engine.socket}")
        else:
            self._say("engine", None, "none wanted" if engine.state is EngineState.OFF else "none here")

    def _gpus(self, snapshot: HostSnapshot) -> None:
        report = snapshot.gpu_report
        if report is None:
            return
        problem = picture.gpu_problem(self._host, report)
        if problem is not None:
            self._say("GPU driver", False, problem.message, problem.hint)
        elif not report.gpus:
            self._say("GPU driver", None, "no GPU found")
        else:
            names = ", ".join(dict.fromkeys(gpu.name for gpu in report.gpus))
            driver = f", driver {report.driver}" if report.driver else ""
            self._say("GPU driver", True, f"{len(report.gpus)} x {names}{driver}")

    def _disks(self, snapshot: HostSnapshot) -> None:
        if not snapshot.disks:
            return
        problems = picture.disk_problems(self._host, snapshot.disks)
        if problems:
            self._say("disk", False, " ".join(each.message for each in problems), problems[0].hint)
        else:
            free = {disk.mount: f"{size(disk.free)} free on {disk.mount}" for disk in snapshot.disks}
            self._say("disk", True, ", ".join(free.values()))

    async def _cluster(self, connection: Link) -> None:
        from backend.queues.slurm.health import examine

        step = "slurm"
        try:
            async for step, ok, message, hint in examine(self._host, connection):
                self._say(step, ok, message, hint)
        except BerthError as error:
            self._fail(next((each for each in self._left if each in _CLUSTER_STEPS), step), error)

    async def _queue(self, connection: Link) -> None:
        if self._host.queue == "slurm":
            await self._cluster(connection)
            return
        if self._host.queue != "docker":
            self._say("queue dir", None, f"queue: {self._host.queue}")
            return
        done = await self._try(connection, ["sh", "-c", _QUEUE])
        word, _, path = done.stdout.decode(errors="replace").strip().rpartition("\n")[2].partition(" ")
        if word == "ok":
            self._say("queue dir", True, f"{path} can be used")
        elif word == "new":
            self._say("queue dir", True, f"{path} will be made when it is needed")
        elif word == "link":
            self._say("queue dir", False, f"{path} is a link, which is not safe", f"Remove it: rm {path}")
        else:
            hint = "Make one: sudo install -d -m 2770 -g docker /var/lib/berth"
            self._say("queue dir", False, f"{path or 'its place'} cannot be written", hint)

    async def _try(self, connection: Link, argv: Sequence[str]) -> Completed:
        return await connection.run(argv, timeout=_RUN_TIMEOUT)
