"""Jobs of a cluster that build: followed until their end, cancelled, found again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from backend import shipping
from backend.building import remote
from backend.building.following import Following
from backend.building.model import Build, BuildState
from backend.building.records import Record, failed
from backend.errors import ActionFailed, BerthError, HostError, NoSuchTarget, Unreachable
from backend.text import duration, printable

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config
    from backend.link import Link
    from backend.model import JobRow
    from backend.queues.base import QueueEngine

_MARK = "job "
_ENDED = ("completed", "failed", "cancelled", "timeout")
_CANCEL = 40.0
"""Seconds a job has to end: Slurm's own patience between its two signals is 30."""
PATIENCE = 120.0
"""Seconds that a lost cluster has to come back while somebody waits."""
_PAUSE = 1.0
_REST = 10.0
"""Seconds after the end of a job until what its node wrote last is on the login node, as file servers go.

A job that came to its end says so there, and nobody waits."""


def run_of(job: str, number: int) -> str:
    """What a record calls the build that is `number` of a job."""
    return f"{_MARK}{job} {number}"


def job_of(build: Build) -> tuple[str, int] | None:
    """The job that builds it, and which of its builds it is; None for one without a job."""
    words = build.run.removeprefix(_MARK).split() if build.run.startswith(_MARK) else []
    return (words[0], int(words[1])) if len(words) == 2 and words[1].isdecimal() else None


class Ending:
    """Follows a job until all of its builds have ended."""

    def __init__(
        self,
        host: str,
        job: str,
        records: Sequence[Record | None],
        follows: Sequence[Following | None],
        say: Callable[[str], None],
    ) -> None:
        """`records`: of its builds, in their order; None for one that is of no interest."""
        self._host = host
        self._job = job
        self._all = records
        self._follows = follows
        self._say = say
        self._seen: set[int] = set()
        self._row: JobRow | None = None
        self.made: Mapping[str, Any] | None = None
        """What the job says of the image file; None where it did not come to its end."""

    @property
    def records(self) -> list[Record]:
        """Those of interest."""
        return [each for each in self._all if each is not None]

    async def wait(self, access: Access, queue: QueueEngine, order: str) -> None:
        """Until the end, over a new connection as often as one is lost. Raises `HostError` after a while."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                await self._listen(access, queue, order)
                break
            except HostError as error:
                if time.monotonic() > until:
                    raise
                self._say(f"{error.message} Waiting for the cluster to come back")
                for follow in self._follows:
                    if follow is not None:
                        follow.replay()
                await asyncio.sleep(_PAUSE)
        self._settle()

    async def _listen(self, access: Access, queue: QueueEngine, order: str) -> None:
        link = await access.link(self._host)
        async with _events(link, order) as (agent, events):
            rows = asyncio.create_task(self._rows(queue, agent))
            try:
                async for told in events:
                    await self._take(told)
                    if "over" in told:
                        self.made = told["over"].get("made") or {}
                        break
                if self.made is not None and self._row is not None and self._row.state in _ENDED:
                    return
                if self._done:
                    return  # nobody has to wait until the queue says so too
                await rows
            finally:
                rows.cancel()
                await asyncio.gather(rows, return_exceptions=True)

    @property
    def _done(self) -> bool:
        return all(follow is None or follow.end is not None for follow in self._follows)

    async def _rows(self, queue: QueueEngine, agent: shipping.Agent) -> None:
        """What the queue says of the job; when it has ended, the agent tells what is left and ends too."""
        with contextlib.suppress(NoSuchTarget):  # Slurm forgot it: it has ended long ago
            async for row in queue.follow(self._job, output=False):
                if isinstance(row, bytes | str):
                    continue
                self._row = row
                if row.state in _ENDED:
                    await asyncio.sleep(_REST)
                    break
                self._waits(row)
        with contextlib.suppress(BerthError):
            await agent.process.write(b"\n")

    def _waits(self, row: JobRow) -> None:
        why = f"job {self._job}" + (f": {printable(row.reason, 100)}" if row.reason else "")
        node = printable(row.node, 60)
        for record in self.records:
            if record.build.active and (record.build.why, record.build.node) != (why, node):
                record.update(replace(record.build, why=why, node=node))

    async def _take(self, told: Mapping[str, Any]) -> None:
        number = told.get("n")
        if not isinstance(number, int) or not 0 <= number < len(self._all):
            return
        record, follow = self._all[number], self._follows[number]
        if record is None or follow is None or follow.end is not None:
            return
        if number not in self._seen:
            self._seen.add(number)
            record.update(record.build.to(BuildState.BUILDING, started_at=datetime.now(UTC)))
        info = told.get("begin")
        if isinstance(info, dict):
            record.update(replace(record.build, node=printable(str(info.get("node") or ""), 60)))
        event = remote.event_of(dict(told))
        if event is not None:
            await follow.take(event)
            if follow.end is not None:
                self._over(record, follow)

    def _over(self, record: Record, follow: Following) -> None:
        """A build has ended."""
        end = follow.end
        assert end is not None
        if end.fresh:
            record.update(record.build.to(BuildState.FRESH, image_id=end.image, started_at=None))
            follow.say("nothing to do")
            return
        if end.cancelled:
            record.update(record.build.to(BuildState.CANCELLED))
            return
        try:
            follow.outcome()
        except BerthError as error:
            failed(record, error)
            for line in record.build.tail:
                follow.say(f"| {line}")
            follow.say(f"failed: {error.message}")
            return
        record.update(record.build.to(BuildState.DONE, image_id=end.image, builder=end.builder))
        follow.say(f"built {record.build.images[0]} in {duration(record.build.seconds)}")

    def _settle(self) -> None:
        """The job is over: so is every build of it."""
        state = self._row.state if self._row is not None else ""
        bad = next((each for each in self.records if each.build.state is BuildState.FAILED), None)
        for record in self.records:
            if not record.build.active:
                continue
            if state == "cancelled":
                record.update(record.build.to(BuildState.CANCELLED))
            elif bad is not None:
                why = f"{bad.build.recipe} could not be built, on which it stands"
                record.update(record.build.to(BuildState.SKIPPED, error=why))
            else:
                failed(record, self._unfinished())
                bad = record

    def _unfinished(self) -> BerthError:
        row = self._row
        why = (row.reason or row.state) if row is not None else "nobody knows why"
        return ActionFailed(
            f"job {self._job} on {self._host} ended before that: {printable(why, 200)}.",
            hint=f"See: berth job logs {self._host}/{self._job}",
        )


@asynccontextmanager
async def _events(
    link: Link, order: str
) -> AsyncIterator[tuple[shipping.Agent, AsyncIterator[dict[str, Any]]]]:
    """What the builds of a job say, from the first line on."""
    agent = await shipping.start(link, ["build", "job", "follow", order])

    async def lines() -> AsyncIterator[dict[str, Any]]:
        async for line in agent.lines:
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    if "failed" in found:
                        raise remote.failure(link.name, found["failed"])
                    yield found
                    if "over" in found:
                        return
        raise Unreachable(f"{link.name}: the connection was lost.")

    try:
        yield agent, lines()
    finally:
        await agent.process.close()


# ------------------------------------------------------------------------------- builds of other berths


async def cancel(config: Config, access: Access, host: str, job: str) -> None:
    """End a job; returns when its queue says that it has ended, or after a while."""
    from backend.queues.choose import queue_of

    with contextlib.suppress(BerthError, TimeoutError):
        async with asyncio.timeout(_CANCEL), queue_of(config, access, host) as queue:
            await queue.cancel([job])
            async for _ in queue.follow(job, output=False):
                pass


async def follow(config: Config, access: Access, record: Record, say: Callable[[str], None]) -> None:
    """Follow a build that some berth left, to its end. Raises what keeps it from being asked."""
    from backend.queues.choose import queue_of

    found = job_of(record.build)
    assert found is not None
    job, number = found
    records = [*[None] * number, record]
    follows = [*[None] * number, Following(record, "", say)]
    async with queue_of(config, access, record.build.host) as queue:
        ending = Ending(record.build.host, job, records, follows, say)
        await ending.wait(access, queue, record.build.order)


async def has_ended(config: Config, access: Access, build: Build) -> bool:
    """Whether the job that builds it has."""
    from backend.queues.choose import queue_of

    found = job_of(build)
    assert found is not None
    async with queue_of(config, access, build.host) as queue:
        try:
            async for row in queue.follow(found[0], to_the_end=False, output=False):
                if not isinstance(row, bytes | str):
                    return row.state in _ENDED
        except NoSuchTarget:
            return True
    return False
