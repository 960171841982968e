"""One question to `agent output` on a host; see backend/agent/outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from backend import shipping
from backend.errors import ActionFailed, AgentFailed
from backend.link import Link
from backend.text import printable


async def ask(
    link: Link, what: Mapping[str, Any], progress: Callable[[dict[str, Any]], None] = lambda told: None
) -> dict[str, Any]:
    """The answer; `progress` hears what is told before. Cancelled, nothing is left on the host.

    Raises `ActionFailed` with what the host said, `AgentFailed`, `Unreachable`.
    """
    agent = await shipping.start(link, ["output"])
    try:
        await agent.process.write(json.dumps(dict(what)).encode() + b"\n")
        async for line in agent.lines:
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if not isinstance(told, dict):
                continue
            if isinstance(told.get("failed"), dict):
                raise _failed(link.name, told["failed"])
            if isinstance(told.get("done"), dict):
                done: dict[str, Any] = told["done"]
                return done
            if isinstance(told.get("progress"), dict):
                progress(told["progress"])
        code = await agent.process.wait()
        said = printable(agent.process.stderr.decode(errors="replace").strip()[-300:])
        raise AgentFailed(f"{link.name}: it ended in the middle (exit {code}): {said or 'no word'}.")
    finally:
        await agent.process.close()


def _failed(host: str, told: Mapping[str, Any]) -> ActionFailed:
    message = printable(str(told.get("message") or "it gave no reason"), 600)
    return ActionFailed(f"{host}: {message}.", hint=printable(str(told.get("hint") or ""), 300))
