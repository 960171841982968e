"""A command on all hosts of a wish, side by side: each with its output, its exit code and its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from backend.errors import BerthError, HostError
from backend.everywhere import channel
from backend.everywhere.channel import Channel
from backend.everywhere.output import Output
from backend.everywhere.wish import Wish
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config
    from backend.link import Link

State = Literal[
    "waiting", "connecting", "running", "done", "timeout", "failed", "unreachable", "lost", "cancelled"
]
KEEP = 1024 * 1024
"""Characters of output that are kept of each host."""
CANCELLED = 130
"""The exit code of what Ctrl+C ended."""
Heard = Callable[["HostRun", list[str]], Awaitable[None]]
"""Told of lines that have come, and of every other change with none. Output waits until it returns."""


@dataclass
class HostRun:
    """How it stands with one host."""

    host: str
    output: Output = field(default_factory=lambda: Output(KEEP))
    state: State = "waiting"
    code: int | None = None
    """The command's exit code."""
    error: str = ""
    """What else ended it."""
    hint: str = ""
    began: float | None = None
    """On the monotonic clock."""
    took: float | None = None
    """Seconds from its start to its end."""

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.state == "done" and self.code == 0

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state not in ("waiting", "connecting", "running")

    @property
    def seconds(self) -> float | None:
        """How long it took, or has taken so far."""
        if self.took is None and self.began is not None:
            return time.monotonic() - self.began
        return self.took

    @property
    def error_kind(self) -> str:
        """What ended it, without the name of its host: the same for hosts that are away alike."""
        return self.error.replace(self.host, "")

    @property
    def verdict(self) -> str:
        """How it ended, in a few words: `exit 1`."""
        if self.state == "done":
            return f"exit {self.code}"
        return {"timeout": "timed out", "lost": "link lost"}.get(self.state, self.state)


def worst(runs: Sequence[HostRun]) -> int:
    """The exit code for all together: 130 cancelled, 3 a host away, 1 any other end, 0 all well."""
    states = {run.state for run in runs}
    if "cancelled" in states:
        return CANCELLED
    if states & {"unreachable", "lost"}:
        return 3
    return 0 if all(run.ok for run in runs) else 1


class Everywhere:
    """One run of a wish. A cancel of `run` ends the command on all hosts, and waits until that is done."""

    def __init__(
        self, config: Config, access: Access, wish: Wish, *, heard: Heard | None = None, keep: int = KEEP
    ) -> None:
        self.wish = wish
        self._config, self._access = config, access
        self._told = [] if heard is None else [heard]
        self.runs = [HostRun(host, Output(keep)) for host in wish.hosts]
        self._gate = asyncio.Semaphore(wish.at_once)
        self._here: Link | None = None

    def also(self, heard: Heard) -> None:
        """Tell somebody else too."""
        self._told.append(heard)

    async def _heard(self, run: HostRun, lines: list[str]) -> None:
        for each in self._told:
            await each(run, lines)

    async def run(self) -> int:
        """To the end of all; the exit code of all together. Raises what `heard` raises."""
        if self.wish.local:
            from backend.link.local import LocalLink

            self._here = LocalLink("local")
        try:
            async with asyncio.TaskGroup() as group:
                for run in self.runs:
                    group.create_task(self._one(run), name=f"each {run.host}")
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # one of them ended the others
        finally:
            if self._here is not None:
                await self._here.close()
        return worst(self.runs)

    async def _one(self, run: HostRun) -> None:
        try:
            async with self._gate:
                await self._say(run, "connecting")
                await self._follow(run)
        except asyncio.CancelledError:
            if not run.over:
                run.output.feed(b"", last=True)
                run.state = "cancelled"
            raise
        except HostError as error:
            await self._fail(run, "lost" if run.began else "unreachable", error)
        except BerthError as error:
            await self._fail(run, "failed", error)
        finally:
            if run.began is not None and run.took is None:
                run.took = time.monotonic() - run.began

    async def _follow(self, run: HostRun) -> None:
        host = self._config.host(run.host)
        argv, environment = await self.wish.on(host)
        link = self._here or await self._access.link(run.host)
        started = await channel.start(link, self.wish.kind, argv, environment)
        run.began = time.monotonic()
        finished = False
        try:
            await self._say(run, "running")
            try:
                async with asyncio.timeout(self.wish.timeout):
                    await self._read(run, started)
                finished = started.code is not None
            except TimeoutError:
                run.error = f"it ran for more than {self.wish.timeout:g} s and was ended."
                run.state = "timeout"
        finally:
            run.took = time.monotonic() - run.began
            await asyncio.shield(_close(started, ended=finished))
        if run.state == "timeout":
            await self._heard(run, run.output.feed(b"", last=True))

    async def _read(self, run: HostRun, started: Channel) -> None:
        while piece := await started.read():
            if lines := run.output.feed(piece):
                await self._heard(run, lines)
        run.took = time.monotonic() - (run.began or 0)
        last = run.output.feed(b"", last=True)
        run.code = started.code
        if started.code is not None:
            run.state = "done"
        else:
            await self._ended_oddly(run, started)
        await self._heard(run, last)

    async def _ended_oddly(self, run: HostRun, started: Channel) -> None:
        said = printable(await started.why(), 500)
        if started.began:
            run.state = "lost"
            run.error = f"{run.host}: the connection was lost."
            run.hint = "What ran there is ended as soon as the host notices."
        else:
            run.state = "failed"
            run.error = f"{run.host} runs no commands: {said or 'it said nothing'}"

    async def _say(self, run: HostRun, state: State) -> None:
        run.state = state
        await self._heard(run, [])

    async def _fail(self, run: HostRun, state: State, error: BerthError) -> None:
        run.error, run.hint = error.message, error.hint
        await self._say(run, state)


async def _close(started: Channel, *, ended: bool) -> None:
    if not ended:
        await started.end()
    await started.close()
