"""`python -m backend.building ORDER DIRECTORY`: a request on standard input, done without anybody waiting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import msgspec


async def _run(order: str, directory: Path, data: bytes) -> None:
    from backend.access import StandaloneAccess
    from backend.actions.context import ActionContext
    from backend.building import asking
    from backend.building.model import Request
    from backend.building.order import Order
    from backend.config import load
    from backend.errors import BerthError

    config = load(directory)
    request = msgspec.json.decode(data, type=Request)
    async with StandaloneAccess(config) as access:
        voice = _Voice()
        ctx = ActionContext(config, access, voice)
        made = Order(config, access, request, say=voice.report, confirm=voice.confirm, id=order)
        try:
            await made.prepare()
        except BerthError as error:
            print(str(error).replace("\n", " "), flush=True)
            return
        print("started", flush=True)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        with contextlib.suppress(BerthError):  # the records say how it went
            builds = await made.run()
            asking.raise_worst(builds)
            await asking.afterwards(ctx, request, builds)


class _Voice:
    """Nobody listens, and nobody answers."""

    def report(self, line: str) -> None:
        """Said to nobody."""

    def progress(self, done: int, total: int | None) -> None:
        """Said to nobody."""

    async def confirm(self, question: str) -> bool:
        """The answer that does nothing."""
        return False

    def lend_terminal(self) -> contextlib.AbstractAsyncContextManager[None]:
        """There is none."""
        from backend.errors import ActionFailed

        raise ActionFailed("there is no terminal.")


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], Path(sys.argv[2]), sys.stdin.buffer.read()))
