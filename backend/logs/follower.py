"""The logs of several containers as one, kept going across restarts and lost links."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from msgspec import Struct

from backend.errors import BerthError, NoSuchTarget
from backend.logs.lines import LogLine
from backend.logs.merge import merge
from backend.logs.plain import LogEngine
from backend.logs.source import stream

RETRY = 2.0
"""Seconds until a container that ended, or a host that was lost, is tried again."""
PATIENCE = 1.0
"""Seconds that a host which does not answer keeps the others' lines off the screen."""
RESUME = 2_000
"""Lines that are asked for first when a log is taken up again: engines read a whole log for `since` alone."""

_COMPARED = 200
"""Lines of one moment that are compared to find where a log was read to."""
_BEYOND = 10_000
"""Lines of one moment that are kept until that is found."""
_LOOK, _LOOKS = 0.2, 20
"""Seconds between two looks whether a container that is being removed is gone, and how many there are."""

Take = Callable[[list[LogLine]], Awaitable[None]]
"""Takes a batch of lines."""


class Target(Struct, frozen=True):
    """A container whose log is wanted."""

    host: str
    id: str
    """Its id, or its name where only that is known."""
    name: str


class Status(NamedTuple):
    """Where the log of one container stands."""

    state: Literal["opening", "following", "ended", "removed", "lost"] = "opening"
    error: BerthError | None = None
    """Why it is lost or removed."""


class Wants(Struct, frozen=True):
    """Which part of the logs."""

    tail: int | None = 500
    """The last so many lines; None: all."""
    since: datetime | None = None
    head: int | None = None
    """The first so many lines instead; nothing is followed then."""
    follow: bool = True
    most: int | None = None
    """More lines than that are never asked for: the reader could not keep them. None: no limit."""
    linger: bool = True
    """Wait for containers that ended to start again."""


class Follower:
    """Follows containers side by side. What was there comes first, in order of time."""

    def __init__(
        self,
        targets: Sequence[Target],
        engine: Callable[[str], Awaitable[LogEngine]],
        wants: Wants = Wants(),  # noqa: B008  (frozen)
    ) -> None:
        """`engine` gives a host's engine, each time it is needed: connections come and go."""
        self.targets = tuple(targets)
        self._engine = engine
        self._wants = wants
        self._marks = [_Mark() for _ in self.targets]
        self._lines: Take
        self._status: Callable[[int, Status], None]

    async def run(self, lines: Take, status: Callable[[int, Status], None]) -> None:
        """Read until cancelled, or to the logs' ends without `follow` or `linger`.

        `lines` gets the batches, and nothing more is read until it has taken one; `status` how the target of
        that index is now. Raises what `lines` raises.
        """
        self._lines, self._status = lines, status
        wants, indices = self._wants, range(len(self.targets))
        goes_on = wants.follow and wants.head is None
        if wants.tail != 0 or wants.head is not None:
            past = merge([self._past(index) for index in indices], PATIENCE if goes_on else None)
            async with aclosing(past) as batches:
                async for batch in batches:
                    await lines(batch)
        if not goes_on:
            return
        try:
            async with asyncio.TaskGroup() as group:
                for index in indices:
                    group.create_task(self._future(index))
        except ExceptionGroup as group_of_one:
            raise group_of_one.exceptions[0] from None

    async def _past(self, index: int) -> AsyncGenerator[list[LogLine], None]:
        """What is there already."""
        wants, count = self._wants, 0
        tail = None if wants.head is not None else self._capped(wants.tail)
        try:
            about = await self._open(index)
            log = stream(
                about.engine,
                self.targets[index].id,
                tty=about.tty,
                follow=False,
                tail=tail,
                since=wants.since,
                source=index,
            )
            async with aclosing(log) as batches:
                async for batch in batches:
                    if wants.head is not None:
                        batch = batch[: wants.head - count]
                    count += len(batch)
                    self._marks[index].note(batch)
                    yield batch
                    if wants.head is not None and count >= wants.head:
                        break
            if not wants.follow or wants.head is not None:
                self._status(index, Status("ended"))
        except NoSuchTarget as error:
            self._status(index, Status("removed", error))
        except BerthError as error:
            self._status(index, Status("lost", error))

    async def _future(self, index: int) -> None:
        """What comes, for as long as anybody reads."""
        read_to_end, looks = "", _LOOKS
        while True:
            try:
                about = await self._open(index)
                if about.life != read_to_end:
                    self._status(index, Status("following"))
                    await self._follow(index, about)
                    about = await self._open(index)
                if not about.runs:
                    read_to_end = about.life
                    if about.goes and looks:
                        looks -= 1
                        await asyncio.sleep(_LOOK)
                        continue
                    self._status(index, Status("ended"))
                    if not self._wants.linger:
                        return
            except NoSuchTarget as error:
                self._status(index, Status("removed", error))
                return
            except BerthError as error:
                self._status(index, Status("lost", error))
            await asyncio.sleep(RETRY)

    async def _follow(self, index: int, about: _About) -> None:
        """Read on from what was read, until the container ends."""
        mark = self._marks[index]
        for tail, since, is_last in self._requests(mark):
            mark.resume()
            log = stream(
                about.engine,
                self.targets[index].id,
                tty=about.tty,
                follow=True,
                tail=tail,
                since=since,
                source=index,
            )
            async with aclosing(log) as batches:
                async for batch in batches:
                    fresh = mark.fresh(batch, is_last=is_last)
                    if fresh is None:
                        break
                    if fresh:
                        await self._lines(fresh)
                else:
                    return

    def _requests(self, mark: _Mark) -> Iterator[tuple[int | None, datetime | None, bool]]:
        """`tail`, `since`, and whether it is the last try: all that may have been missed."""
        if mark.time is not None:
            yield self._capped(RESUME), mark.time, False
            yield self._capped(None), mark.time, True
        elif self._wants.tail == 0:
            # From now on, and once a link is back: from when it was first asked.
            began, mark.began = mark.began, mark.began or datetime.now(UTC)
            yield (self._capped(None), began, True) if began else (0, None, True)
        else:
            yield self._capped(self._wants.tail), self._wants.since, True

    def _capped(self, tail: int | None) -> int | None:
        most = self._wants.most
        return most if tail is None else tail if most is None else min(tail, most)

    async def _open(self, index: int) -> _About:
        target = self.targets[index]
        engine = await self._engine(target.host)
        found = await engine.inspect(target.id)
        state = found.get("State") or {}
        return _About(
            engine,
            bool((found.get("Config") or {}).get("Tty")),
            bool(state.get("Running") or state.get("Restarting")),
            state.get("Status") in ("removing", "dead")
            or bool((found.get("HostConfig") or {}).get("AutoRemove")),
            f"{state.get('StartedAt')} {state.get('FinishedAt')}",
        )


class _About(NamedTuple):
    """A container as it is now."""

    engine: LogEngine
    tty: bool
    runs: bool
    goes: bool
    """It is being removed, or will be once it has ended."""
    life: str
    """Differs each time it was started or ended."""


class _Mark:
    """Up to where a log was read, so that it can be taken up again.

    Engines count time in microseconds at best (Podman: in seconds), and send all lines of a moment again: the
    lines that were read of the last moment are looked for, and what comes after them is new.
    """

    def __init__(self) -> None:
        self.time: datetime | None = None
        self.began: datetime | None = None
        """When it was first asked for what comes, where that was all that was wanted."""
        self._count = 0
        """How many lines were read of the last moment. Clocks that stand still make it a long one."""
        self._texts: deque[str] = deque(maxlen=_COMPARED)
        """The last of them."""
        self._seen: int | None = None
        """How many lines of that moment came again, while those that were read are not found among them."""
        self._again: deque[str] = deque(maxlen=_COMPARED)
        """The last of them."""
        self._beyond: deque[LogLine] = deque(maxlen=_BEYOND)
        """Those that are more than were read."""

    def note(self, batch: Sequence[LogLine]) -> None:
        """These lines were read."""
        for line in batch:
            if line.time is None:
                continue
            if self.time is None or line.time > self.time:
                self.time, self._count = line.time, 0
                self._texts.clear()
            if line.time == self.time:
                self._count += 1
                self._texts.append(line.text)

    def resume(self) -> None:
        """The engine begins again, somewhere before what comes next."""
        self._seen = None if self.time is None else 0
        self._again.clear()
        self._beyond.clear()

    def fresh(self, batch: list[LogLine], *, is_last: bool) -> list[LogLine] | None:
        """The lines that were not read before; None: what was read last is not there, so some may be missing.

        `is_last`: nothing more can be had; lines that were thrown away on the host are lost.
        """
        if self._seen is None:
            self.note(batch)
            return batch
        for place, line in enumerate(batch):
            if line.time is not None and self.time is not None and line.time > self.time:
                if not is_last:
                    return None
                return self._found([*self._beyond, *batch[place:]])
            if line.time == self.time:
                self._seen += 1
                self._again.append(line.text)
                if self._seen > self._count:
                    self._beyond.append(line)
                if self._ends_with_what_was_read(self._seen):
                    return self._found(batch[place + 1 :])
        return []

    def _ends_with_what_was_read(self, seen: int) -> bool:
        if seen < self._count or self._again[-1] != self._texts[-1]:
            return False
        return list(self._again)[-len(self._texts) :] == list(self._texts)

    def _found(self, fresh: list[LogLine]) -> list[LogLine]:
        self._seen = None
        self.note(fresh)
        return fresh
