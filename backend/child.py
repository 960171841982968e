"""A program of this machine that has to end within a time, and what it said."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

ENGLISH = MappingProxyType({"LC_ALL": "C"})
"""For a program whose words are read."""


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    out: bytes
    err: bytes


async def run(
    *argv: str,
    limit: float,
    input: bytes | None = None,
    more: Mapping[str, str] = MappingProxyType({}),
    heard: bool = True,
    alone: bool = False,
    awaited: bool = True,
) -> Ended:
    """Run it to its end. Raises `OSError` where it cannot be started, `TimeoutError` after `limit` seconds.

    Whoever leaves early ends it; with `alone` (in a session of its own, without a terminal) all that it began
    as well. `awaited` is False where even a killed one may hang: who looks into a dead mount does.
    `more`: variables of its environment. `heard`: its standard output is wanted.
    """
    child = await started(
        lambda child: _end(child, alone, awaited),
        *argv,
        stdin=DEVNULL if input is None else PIPE,
        stdout=PIPE if heard else DEVNULL,
        stderr=PIPE,
        env={**os.environ, **more},
        start_new_session=alone,
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(input), limit)
    finally:
        await _end(child, alone, awaited)
    return Ended(child.returncode or 0, out or b"", err)


async def started(end: Callable[[Process], Awaitable[None]], *argv: str, **options: Any) -> Process:
    """asyncio's `create_subprocess_exec`, with `end` for a child that had begun when we were cancelled.

    It may run already, with what it began, before asyncio has its pipes; asyncio itself kills it then and
    waits until all of these are closed, which a daemon of it may hold for good. Raises `OSError`.
    """
    starting = asyncio.create_task(asyncio.create_subprocess_exec(*argv, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting])
        if starting.exception() is None:
            await end(starting.result())
        raise


async def _end(child: Process, alone: bool, awaited: bool) -> None:
    """End it, unless it has ended."""
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        if alone:
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    if awaited:
        await asyncio.shield(child.wait())
    else:
        child._transport.close()  # type: ignore[attr-defined]
