"""Hands jobs to a queue once, whatever becomes of the link, or of who asks, before the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from uuid import uuid4

from backend.errors import BerthError, HostError
from backend.queues.base import QueueEngine, Submission, Unanswered
from backend.whole import whole

Queues = Callable[[], AbstractAsyncContextManager[QueueEngine]]
Say = Callable[[str], None]
_AGAIN = 1.0
"""Seconds until a host is asked once more that gave no answer."""
_BACK = 30.0
"""Seconds that it may take to find out what was queued, and to end it."""


async def queued(
    queues: Queues, host: str, jobs: Sequence[Submission], key: str, say: Say, *, hint: str = ""
) -> list[str]:
    """Their numbers. Where the link is lost before the answer, it is asked for once more: by its key a submit
    that came through is known. Raises `Unanswered`, with `hint`, where that stays unknown.

    `key`: of a submit before. Who is cancelled meanwhile leaves no job behind, but for those that were
    there by an older key. Where it stays unknown whether one is left, that cancel has an `Unanswered` as its
    cause.
    """
    mine = key or uuid4().hex
    same = f"The same once more makes no second one if you add: --host {host} --key {mine}"
    asking = asyncio.ensure_future(_ask(queues, jobs, mine, again=bool(key)))
    try:
        try:
            return await asyncio.shield(asking)
        except Unanswered as error:
            say(f"{error.message} Asking once more whether it is queued.")
            why: HostError = error
        await asyncio.sleep(_AGAIN)
        asking = asyncio.ensure_future(_ask(queues, jobs, mine, again=True))
        try:
            return await asyncio.shield(asking)
        except HostError as error:
            why = error
    except asyncio.CancelledError as cancel:
        say("it may be queued already: asking, to take it back, which may take a minute")
        asking.cancel()
        back = asyncio.ensure_future(
            _take_back(asking, queues, host, mine, say, ours=not key, hint=hint or same)
        )
        with suppress(asyncio.CancelledError):  # another one: this one is raised already
            await whole(back)
        raise cancel from back.result()
    raise Unanswered(
        f"{why.message} Whether {'the jobs are' if len(jobs) > 1 else 'the job is'} queued on {host} "
        "is not known.",
        hint=hint or same,
    ) from why


async def _ask(queues: Queues, jobs: Sequence[Submission], key: str, *, again: bool) -> list[str]:
    async with queues() as queue:
        return await queue.submit(jobs, key=key, again=again)


async def _take_back(
    asking: asyncio.Future[list[str]], queues: Queues, host: str, key: str, say: Say, *, ours: bool, hint: str
) -> Unanswered | None:
    """End what came through, and say so; what stays unknown is given. `ours`: the key is of this submit.

    It is cancelled itself only where all of the program is (a second Ctrl+C): what to know is said even then.
    """
    try:
        await asyncio.gather(
            asking, return_exceptions=True
        )  # an engine ends it when nothing can come any more
        async with asyncio.timeout(_BACK), queues() as queue:
            ids = await queue.submitted(key)
            for line in await queue.cancel(ids) if ids and ours else ():
                say(line)
    except (asyncio.CancelledError, KeyboardInterrupt):
        why = "It is not asked any more."
    except (BerthError, TimeoutError) as error:
        why = error.message if isinstance(error, BerthError) else f"{host} gives no answer."
    else:
        if not ids:
            say("nothing is queued")
        elif not ours:
            say(f"queued by that key, and left alone: {', '.join(f'{host}/{number}' for number in ids)}")
        return None
    say(f"{why} It may be queued there. {hint}")
    return Unanswered(f"{why} It may be queued on {host}.", hint=hint)
