"""Runs a command line's work so that it ends in order: on SIGTERM and SIGHUP as on Ctrl+C.

What is cancelled cleans up (a container made for a moment, half a file, children of a link); what a signal
ends by its default does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine, Iterator
from types import FrameType
from typing import Any

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)
_SIGNALLED = 128
"""Plus its number: the exit code of what a signal ended, as shells have it."""


def run(work: Coroutine[Any, Any, int]) -> int:
    """`work`'s exit code, or 128 + n where signal n came first. Ctrl+C is a `KeyboardInterrupt`."""
    return asyncio.run(_until_told(work))


async def _until_told(work: Coroutine[Any, Any, int]) -> int:
    told: list[int] = []
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()

    def end(number: int, frame: FrameType | None) -> None:
        if (
            not told
        ):  # the second of two (a terminal and its shell both say so) must not cut the clean-up short
            told.append(number)
            loop.call_soon_threadsafe(task.cancel)

    with _handling(end):
        try:
            return await task
        except asyncio.CancelledError:
            if not told:
                raise
        except Exception:
            if not told:
                raise
            logging.getLogger("berth").exception("while it ended by signal %s", told[0])
    return _SIGNALLED + told[0]


@contextlib.contextmanager
def _handling(handler: Any) -> Iterator[None]:
    """Have the signals handled, but for those that somebody (nohup) had ignored.

    Not by the loop: whoever lends the terminal takes the signals, and puts back the handlers it found.
    """
    before = {each: signal.getsignal(each) for each in _ENDINGS}
    taken = {each: old for each, old in before.items() if old is not signal.SIG_IGN}
    for each in taken:
        signal.signal(each, handler)
    try:
        yield
    finally:
        for each, old in taken.items():
            signal.signal(each, signal.SIG_DFL if old is None else old)
