"""The logs of several containers as one, kept going across restarts and lost links."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from backend.errors import BerthError, NoSuchTarget
from backend.logs.lines import LogLine
from backend.logs.source import stream

if TYPE_CHECKING:
    from backend.engine import EngineClient

RETRY = 2.0
"""Seconds until a container that ended, or a host that was lost, is tried again."""


class Target(Struct, frozen=True):
    """A container whose log is wanted."""

    host: str
    id: str
    name: str


class Follower:
    """Follows containers side by side. What was there comes first, in order of time."""

    def __init__(
        self,
        targets: Sequence[Target],
        engine: Callable[[str], Awaitable[EngineClient]],
        *,
        tail: int | None = 500,
        since: datetime | None = None,
        follow: bool = True,
    ) -> None:
        """`engine` gives a host's engine, each time it is needed: connections come and go."""
        self.targets = tuple(targets)
        self._engine = engine
        self._tail = tail
        self._since = since
        self._follow = follow
        self._marks = [_Mark() for _ in self.targets]

    async def run(self, lines: Callable[[list[LogLine]], None], status: Callable[[int, str], None]) -> None:
        """Read until cancelled, or to the logs' ends without `follow`.

        `lines` gets the batches; `status` what is wrong with a target (by index), or an empty text once it
        is well again.
        """
        async with asyncio.TaskGroup() as group:
            first = [group.create_task(self._past(index, status)) for index in range(len(self.targets))]
        merged = [line for task in first for line in task.result()]
        if len(self.targets) > 1:
            merged.sort(key=lambda line: line.time.timestamp() if line.time else 0.0)
        lines(merged)
        if not self._follow:
            return
        async with asyncio.TaskGroup() as group:
            for index in range(len(self.targets)):
                group.create_task(self._future(index, lines, status))

    async def _past(self, index: int, status: Callable[[int, str], None]) -> list[LogLine]:
        """What is there already."""
        found: list[LogLine] = []
        try:
            engine, tty = await self._open(index)
            async with aclosing(
                stream(
                    engine,
                    self.targets[index].id,
                    tty=tty,
                    follow=False,
                    tail=self._tail,
                    since=self._since,
                    source=index,
                )
            ) as batches:
                async for batch in batches:
                    found += batch
                    self._marks[index].note(batch)
        except BerthError as error:
            status(index, str(error))
        return found

    async def _future(
        self, index: int, lines: Callable[[list[LogLine]], None], status: Callable[[int, str], None]
    ) -> None:
        """What comes, for as long as anybody reads."""
        target, mark = self.targets[index], self._marks[index]
        while True:
            try:
                engine, tty = await self._open(index)
                status(index, "")
                # Without a single line yet, "since" would be the beginning of time.
                tail = None if mark.time else 0 if self._tail == 0 else self._tail
                async with aclosing(
                    stream(
                        engine,
                        target.id,
                        tty=tty,
                        follow=True,
                        tail=tail,
                        since=mark.time or self._since,
                        source=index,
                    )
                ) as batches:
                    mark.resume()
                    async for batch in batches:
                        if fresh := mark.fresh(batch):
                            lines(fresh)
                status(index, "ended")
            except NoSuchTarget:
                status(index, "removed")
                return
            except BerthError as error:
                status(index, str(error))
            await asyncio.sleep(RETRY)

    async def _open(self, index: int) -> tuple[EngineClient, bool]:
        target = self.targets[index]
        engine = await self._engine(target.host)
        found = await engine.inspect(target.id)
        return engine, bool((found.get("Config") or {}).get("Tty"))


class _Mark:
    """Up to where a log was read: the engine resumes by time, and sends lines of that time again."""

    def __init__(self) -> None:
        self.time: datetime | None = None
        self._at_time = 0
        self._skip = 0

    def note(self, batch: Sequence[LogLine]) -> None:
        """These lines were read."""
        for line in batch:
            if line.time is None:
                continue
            if line.time == self.time:
                self._at_time += 1
            elif self.time is None or line.time > self.time:
                self.time, self._at_time = line.time, 1

    def resume(self) -> None:
        """The engine begins again at `time`."""
        self._skip = self._at_time

    def fresh(self, batch: list[LogLine]) -> list[LogLine]:
        """The lines that were not read before."""
        if self._skip:
            start = 0
            while start < len(batch) and self._skip:
                time = batch[start].time
                if time is not None and self.time is not None and time > self.time:
                    self._skip = 0
                    break
                if time == self.time:
                    self._skip -= 1
                start += 1
            batch = batch[start:]
        self.note(batch)
        return batch
