"""Whether a page answers by now, asked through the tunnel itself."""

from __future__ import annotations

import asyncio
import re

from backend.errors import ActionFailed, BerthError
from backend.tunnels.relay import Dial

LONGEST = 180.0
"""Seconds a service may take from listening until its page answers."""
_ONE = 10.0
_PAUSE = 0.5


async def wait(dial: Dial, path: str, name: str, seconds: float = LONGEST) -> None:
    """Wait until `path` answers without an error of the server. Raises `ActionFailed` when it never does."""
    said = "nothing"
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    status = await asyncio.wait_for(ask(dial, path), _ONE)
                    if 0 < status < 500:
                        return
                    said = f"status {status}" if status else "nothing that is HTTP"
                except (OSError, TimeoutError, BerthError) as error:
                    said = str(error) or "nothing in time"
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise ActionFailed(
            f"{name} listens, but {path} does not answer well: {said}.", hint="Is `ready` right?"
        ) from None


async def ask(dial: Dial, path: str) -> int:
    """The status of one answer; 0 where it is none."""
    reader = asyncio.StreamReader()
    transport = await dial(lambda: asyncio.StreamReaderProtocol(reader))
    try:
        head = f"GET /{path.lstrip('/')} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        transport.write(head.encode("ascii", "replace"))
        first = await reader.readline()
    finally:
        transport.close()
    match = re.match(rb"HTTP/1\.[01] (\d{3})\b", first)
    return int(match[1]) if match else 0
