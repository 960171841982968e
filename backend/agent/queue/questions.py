"""What a run asks the engine about its container."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional, Sequence, Tuple

from ..http_unix import Reply
from . import container, podman
from .container import Found
from .machine import Gpu


async def look(engine: Any, name: str) -> Tuple[Reply, Optional[Found]]:
    """The container of that name or id; None where the engine does not tell of one."""
    reply: Reply = await engine.ask("GET", f"/containers/{name}/json")
    return reply, container.inspected(data(reply))


async def config(engine: Any, image: str) -> Optional[Dict[str, Any]]:
    """What an image says of its containers; None where the engine is away."""
    reply: Reply = await engine.ask("GET", f"/images/{image}/json")
    if reply.error is not None:
        return None
    found = data(reply).get("Config")
    return found if isinstance(found, dict) else {}


async def create(engine: Any, name: str, wanted: Dict[str, Any], gpus: Sequence[Gpu]) -> Reply:
    """Make the container, in the engine's own words."""
    if engine.podman:
        reply: Reply = await engine.ask("POST", podman.CREATE, podman.body(name, wanted, gpus))
    else:
        reply = await engine.ask("POST", f"/containers/create?name={name}", wanted)
    return reply


async def signal(engine: Any, id: str, name: str) -> None:
    """Send a signal; one that is paused goes on, or it would never hear it."""
    target = f"/containers/{id}/kill?signal={name}"
    reply: Reply = await engine.ask("POST", target)
    if reply.status == 409 and b"paused" in reply.body:
        await engine.ask("POST", f"/containers/{id}/unpause")
        await engine.ask("POST", target)


def data(reply: Reply) -> Dict[str, Any]:
    """The object that was answered; empty for anything else."""
    try:
        found = json.loads(reply.body) if reply.error is None and reply.status < 400 else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
