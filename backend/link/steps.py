"""The way to a host one step at a time, for `berth doctor`: the same code that connects, in parts."""

from __future__ import annotations

import time

from backend.config import HostConfig
from backend.link.connect import addresses, tcp
from backend.link.target import Target, resolve
from backend.link.threads import in_thread


async def find(host: HostConfig) -> tuple[Target, str]:
    """Where a host is, and that in words. Raises a `HostError`."""
    target = await in_thread(resolve, host)
    words = f"{target.host} port {target.port} as {target.username}"
    if target.jumps:
        return target, f"{words}, through {' and '.join(jump.name for jump in target.jumps)}"
    if target.command:
        return target, f"{words}, through a ProxyCommand"
    places = await addresses(target)
    numbers = dict.fromkeys(str(place[4][0]) for place in places)
    return target, words if target.host in numbers else f"{words} ({', '.join(numbers)})"


async def dial(target: Target) -> str:
    """Open a TCP connection and close it; how that went, or nothing where something else connects."""
    if target.jumps or target.command:
        return ""
    began = time.monotonic()
    (await tcp(target)).close()
    return f"answers in {(time.monotonic() - began) * 1000:.0f} ms"
