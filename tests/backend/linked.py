"""A link to a host, for as long as a test needs it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from backend import link
from backend.config import HostConfig
from backend.link import Link


@contextlib.asynccontextmanager
async def opened(host: HostConfig) -> AsyncIterator[Link]:
    connection = await link.open(host)
    try:
        yield connection
    finally:
        await connection.close()


async def eventually(wish: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not wish():
            await asyncio.sleep(0.01)
