"""One build in the agent on a host: begun, waited for, followed, cancelled, found again."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backend import shipping
from backend.errors import ActionFailed, AgentFailed, Unreachable
from backend.link import Link
from backend.text import printable

if TYPE_CHECKING:
    from backend.building.glance import Engine

_BEAT = 10.0
"""Seconds between two signs of life."""
_LAST = 15.0
"""Seconds that a cancelled build has to say how it ended."""


class Waiting(Struct, frozen=True):
    """Somebody builds that image on that host."""

    who: str


class Send(Struct, frozen=True):
    """It is our turn: the context is to be brought to `folder`/tree."""

    folder: str
    rsync: bool
    builder: str


class Running(Struct, frozen=True):
    """A process of its own builds there."""

    id: str
    joined: bool = False
    """It did already, for us: the same content was asked for twice."""


class Output(Struct, frozen=True):
    """What the builder said, with the host's time."""

    lines: list[tuple[float, str]]


class End(Struct, frozen=True):
    """How it ended."""

    code: int = 1
    error: str = ""
    cancelled: bool = False
    image: str = ""
    builder: str = ""
    fresh: bool = False
    """Nothing had to be done."""


class Known(Struct, frozen=True):
    """A build that the host remembers."""

    id: str
    state: str
    """`running`, `ended` or `killed`."""
    end: End | None = None


Event = Waiting | Send | Running | Output | End


class Remote:
    """A conversation with the agent about one build."""

    def __init__(self, link: Link, agent: shipping.Agent) -> None:
        self._link = link
        self._agent = agent
        self._beating: asyncio.Task[None] | None = None

    async def events(self) -> AsyncIterator[Event]:
        """What happens, until `End`. Raises `Unreachable` where the connection is lost before that."""
        async for line in self._agent.lines:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if not isinstance(found, dict):
                continue
            if "failed" in found:
                raise failure(self._link.name, found["failed"])
            if (event := event_of(found)) is not None:
                yield event
                if isinstance(event, End):
                    return
        code = await self._agent.process.wait()
        said = printable(self._agent.process.stderr.decode(errors="replace").strip()[-300:])
        if code in (-1, 255) or not said:
            raise Unreachable(f"{self._link.name}: the connection was lost during the build.")
        raise AgentFailed(f"{self._link.name}: the build's process ended (exit {code}): {said}.")

    async def say(self, what: Mapping[str, Any]) -> None:
        """One line to the agent."""
        await self._agent.process.write(json.dumps(what).encode() + b"\n")

    def beat(self) -> None:
        """Give signs of life from now on."""

        async def go() -> None:
            with contextlib.suppress(Unreachable):
                while True:
                    await asyncio.sleep(_BEAT)
                    await self.say({"beat": 1})

        self._beating = self._beating or asyncio.create_task(go())

    async def cancel(self) -> End | None:
        """End the build, and wait until it has ended."""
        with contextlib.suppress(Unreachable, AgentFailed, ActionFailed, TimeoutError):
            async with asyncio.timeout(_LAST):
                await self.say({"cancel": 1})
                async for event in self.events():
                    if isinstance(event, End):
                        return event
        return None

    async def close(self) -> None:
        """Leave it alone."""
        if self._beating is not None:
            self._beating.cancel()
        with contextlib.suppress(Exception):
            self._agent.process.write_eof()
        await self._agent.process.close()


@asynccontextmanager
async def talk(link: Link, words: Sequence[str]) -> AsyncIterator[Remote]:
    """A conversation with `agent build WORDS`."""
    remote = Remote(link, await shipping.start(link, ["build", *words]))
    try:
        yield remote
    finally:
        await remote.close()


@asynccontextmanager
async def begin(engine: Engine, **asked: Any) -> AsyncIterator[Remote]:
    """Ask for a build: `image`, `digest`, `recipe`, `who`, `mode`, `builder`; see backend/agent/builds."""
    async with talk(engine.link, ["run"]) as remote:
        await remote.say({"engine": engine.kind, "kind": engine.kind, "socket": engine.socket, **asked})
        yield remote


def specification(
    *,
    dockerfile: str,
    tags: Sequence[str],
    args: Mapping[str, str],
    labels: Mapping[str, str],
    secrets: Mapping[str, bytes],
    target: str = "",
    platform: str = "",
    no_cache: bool = False,
) -> dict[str, Any]:
    """What `{"build": ...}` holds."""
    return {
        "dockerfile": dockerfile,
        "tags": list(tags),
        "args": dict(args),
        "labels": dict(labels),
        "secrets": {name: base64.b64encode(data).decode() for name, data in secrets.items()},
        "target": target,
        "platform": platform,
        "no_cache": no_cache,
    }


async def known(link: Link) -> list[Known]:
    """The builds that a host remembers for this user, newest first."""
    found: list[Known] = []
    agent = await shipping.start(link, ["build", "list"])
    try:
        async for line in agent.lines:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                build = json.loads(line)["build"]
                end = _end(build["end"]) if build.get("end") else None
                found.append(Known(str(build["id"]), str(build["state"]), end))
    finally:
        await agent.process.close()
    return found


async def cancel(link: Link, run: str) -> End | None:
    """End a build that nobody follows."""
    async with talk(link, ["cancel", run]) as remote:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST):
                async for event in remote.events():
                    if isinstance(event, End):
                        return event
    return None


def event_of(found: dict[str, Any]) -> Event | None:
    """What a line of the agent tells; None for one that makes no sense."""
    try:
        if "waiting" in found:
            return Waiting(printable(str(found["waiting"]), 100))
        if "send" in found:
            send = found["send"]
            return Send(str(send["folder"]), bool(send["rsync"]), str(send["builder"]))
        if "run" in found:
            return Running(str(found["run"]["id"]), bool(found["run"].get("joined")))
        if "o" in found:
            return Output([(float(at), str(text)) for at, text in found["o"]])
        if "end" in found:
            return _end(found["end"])
    except (ValueError, TypeError, KeyError):
        pass
    return None


def _end(found: Any) -> End:
    return End(
        code=int(found.get("code") or 0),
        error=str(found.get("error") or "")[:4000],
        cancelled=bool(found.get("cancelled")),
        image=str(found.get("image") or "")[:200],
        builder=str(found.get("builder") or "")[:20],
        fresh=bool(found.get("fresh")),
    )


def failure(host: str, said: Any) -> ActionFailed:
    """What the agent says went wrong, as one of our errors."""
    found: dict[str, Any] = said if isinstance(said, dict) else {}
    why = printable(str(found.get("message") or "no reason was given"), 400)
    hint = "The host's disk is full: free some room there first." if found.get("full") else ""
    return ActionFailed(f"{host}: {why}.", hint=hint)
