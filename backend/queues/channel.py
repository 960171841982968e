"""Talks to the queue on a host: `agent queue batch`, one JSON object per line each way.

One process for as long as the channel is open, on the connection that is there anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from backend import shipping
from backend.errors import ActionFailed, AgentFailed, BerthError, NoSuchTarget, Refused, UsageError
from backend.link import Link

TIMEOUT = 30.0
"""Seconds for one answer: submit may have to wait for an engine that is slow to name an image."""
_KINDS: dict[str, type[BerthError]] = {
    "usage": UsageError,
    "missing": NoSuchTarget,
    "refused": Refused,
    "failed": ActionFailed,
}


def error_of(host: str, said: Any) -> BerthError:
    """The error that an answer `{"kind", "message", "hint"}` means."""
    found: dict[str, Any] = said if isinstance(said, dict) else {}
    kind = _KINDS.get(str(found.get("kind")), ActionFailed)
    message = str(found.get("message") or "the queue gave no reason.")
    return kind(f"{host}: {message}", hint=str(found.get("hint") or ""))


class Channel:
    """Questions and answers, one at a time."""

    def __init__(self, link: Link, agent: shipping.Agent) -> None:
        self._link = link
        self._agent = agent
        self._turn = asyncio.Lock()
        self._broken = False

    async def ask(self, verb: str, body: Mapping[str, Any], *, timeout: float = TIMEOUT) -> Any:
        """The answer to one question. Raises what `error_of` gives, `Unreachable`, `AgentFailed`."""
        async with self._turn:
            if self._broken:
                raise AgentFailed(f"{self._link.name}: the queue's answers are out of step.")
            self._broken = True  # an answer that is not waited for would be taken for the next one's
            try:
                async with asyncio.timeout(timeout):
                    line = json.dumps({"verb": verb, "body": dict(body)}).encode() + b"\n"
                    await self._agent.process.write(line)
                    answer = await anext(self._agent.lines, None)
            except TimeoutError:
                raise AgentFailed(
                    f"{self._link.name}: the queue did not answer within {timeout:.0f} s.",
                    hint=f"Does its engine hang? Try: berth doctor {self._link.name}",
                ) from None
            if answer is None:
                raise await self._ended()
            self._broken = False
        try:
            found = json.loads(answer)
        except ValueError:
            raise AgentFailed(f"{self._link.name}: the queue answered with garbage.") from None
        if not isinstance(found, dict) or "ok" not in found:
            raise error_of(self._link.name, found.get("error") if isinstance(found, dict) else None)
        return found["ok"]

    async def _ended(self) -> AgentFailed:
        code = await self._agent.process.wait()
        said = self._agent.process.stderr.decode(errors="replace").strip()
        return AgentFailed(f"{self._link.name}: the queue ended (exit {code}): {said[-300:] or 'no word'}.")

    async def close(self) -> None:
        """End the process there."""
        with contextlib.suppress(Exception):
            self._agent.process.write_eof()
        await self._agent.process.close()


async def open_channel(link: Link, options: list[str]) -> Channel:
    """`options`: `--engine KIND`, `--socket PATH` of the host's configuration."""
    return Channel(link, await shipping.start(link, ["queue", "batch", *options]))


@asynccontextmanager
async def follow(
    link: Link, options: list[str], body: Mapping[str, Any]
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The lines of `agent queue follow` about one job; see backend/agent/queue/follower.py."""
    agent = await shipping.start(link, ["queue", "follow", *options])
    try:
        await agent.process.write(json.dumps(dict(body)).encode() + b"\n")
        yield _objects(link.name, agent)
    finally:
        await agent.process.close()


async def _objects(host: str, agent: shipping.Agent) -> AsyncIterator[dict[str, Any]]:
    async for line in agent.lines:
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                if "error" in found:
                    raise error_of(host, found["error"])
                yield found
    code = await agent.process.wait()
    if code:
        said = agent.process.stderr.decode(errors="replace").strip()
        raise AgentFailed(f"{host}: following the job ended (exit {code}): {said[-300:] or 'no word'}.")
