"""Blocking calls that may take forever: name look-ups, key files on dead network drives."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run in a thread of its own, which neither waits for others in a pool nor holds up our exit.

    asyncio's pool has a handful of threads: a few names that do not resolve would block every other host.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(setter: Callable[[Any], None], value: object) -> None:
        if not future.done():
            setter(value)

    def run() -> None:
        try:
            done, value = future.set_result, function(*args, **kwargs)
        except BaseException as error:
            done, value = future.set_exception, error  # type: ignore[assignment]
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, done, value)

    threading.Thread(target=run, name=function.__name__, daemon=True).start()
    return await future
