"""A sync as the dashboard has it: goes on when its screen is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from backend.errors import BerthError
from backend.sync.engine import Wish
from backend.sync.many import Many
from backend.sync.model import Change, Choice, HostResult, Plan

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.actions.runs import Run
    from backend.config import Config
    from tui.sync.watching import Watching

Phase = Literal["looking", "ready", "running", "watching", "done"]
Agree = Callable[[Sequence[Plan], Wish], Awaitable[bool]]


@dataclass(frozen=True)
class HostLine:
    """How it stands with one host."""

    host: str
    phase: str
    plan: Plan | None = None
    result: HostResult | None = None
    error: str = ""
    done: int = 0
    total: int = 0
    said: str = ""
    """What happened last, while it is watched."""


@dataclass(frozen=True)
class FileLine:
    """One change of one host."""

    host: str
    change: Change
    path: str
    choice: Choice = "skip"

    @property
    def key(self) -> tuple[str, int, bytes]:
        """Unique among all."""
        return self.host, self.change.pair, self.change.path


@dataclass
class Syncing:
    """One wish with some hosts."""

    config: Config
    access: Access
    hosts: tuple[str, ...]
    wish: Wish
    folders: bool = False
    """Whether whole folders are replaced."""
    phase: Phase = "looking"
    results: dict[str, HostResult] = field(default_factory=dict)
    moved: dict[str, tuple[int, int]] = field(default_factory=dict)
    choices: dict[tuple[str, int, bytes], Choice] = field(default_factory=dict)
    failed: str = ""
    """What went wrong with all of it."""
    declined: set[str] = field(default_factory=set)
    """Hosts whose deletions the person did not agree to."""
    changed: int = 0
    """Counts up with everything that happens."""
    run: Run | None = None
    """The watch that was begun last."""
    watching: Watching | None = None
    """What that says, while it runs."""

    def __post_init__(self) -> None:
        self.many = self._make()
        self._task: asyncio.Task[None] | None = None
        self._agree: Agree | None = None

    def _make(self) -> Many:
        many = Many(self.config, self.access, self.hosts, self.wish)
        if self.folders:
            from backend.sync.folder import as_folders

            as_folders(many)
        return many

    # -------------------------------------------------------------------------- what Many tells (Front)

    def planned(self, host: str, plan: Plan) -> None:
        """A host was looked at."""
        self.changed += 1

    def progress(self, host: str, done: int, total: int) -> None:
        """Bytes went over."""
        self.moved[host] = done, total
        self.changed += 1

    async def agree(self, plans: Sequence[Plan]) -> bool:
        """Ask the person."""
        agreed = self._agree is not None and await self._agree(plans, self.wish)
        if not agreed:
            self.declined.update(plan.host for plan in plans)
        return agreed

    # ------------------------------------------------------------------------------------------ doing

    def look(self) -> asyncio.Task[None]:
        """Look at all hosts again."""
        self._begin("looking")
        self.results.clear()
        return self._go(self._look())

    def start(self, agree: Agree) -> asyncio.Task[None]:
        """Do it."""
        self._agree = agree
        self._begin("running")
        self.declined.clear()
        return self._go(self._run())

    def watch(self) -> None:
        """From now on another shows how it stands; see `tui.sync.watching`."""
        self._begin("watching")
        self.results.clear()

    @property
    def can_watch(self) -> bool:
        """Whether it only pushes: what is watched is this machine."""
        return not self.folders and not self.wish.pulls

    def _begin(self, phase: Phase) -> None:
        self.phase, self.failed = phase, ""
        self.moved.clear()
        self.changed += 1

    def cancel(self) -> None:
        """End what runs; what has arrived stays."""
        if self.phase == "watching" and self.run is not None:
            self.run.cancel()
        elif self._task is not None:
            self._task.cancel()

    @property
    def busy(self) -> bool:
        """Whether something runs."""
        return self.phase == "watching" or (self._task is not None and not self._task.done())

    def _go(self, work: object) -> asyncio.Task[None]:
        before = self._task

        async def after() -> None:
            if before is not None and not before.done():
                before.cancel()
                await asyncio.gather(before, return_exceptions=True)
            await work  # type: ignore[misc]

        self.changed += 1
        self._task = asyncio.create_task(after(), name="sync")
        return self._task

    async def _look(self) -> None:
        try:
            await self.many.__aexit__()
            self.many = self._make()
            await self.many.__aenter__()
            await self._plan()
            self.phase = "ready"
        except BerthError as error:
            self.failed, self.phase = str(error), "ready"
        finally:
            self.changed += 1

    async def _plan(self) -> None:
        for (host, pair, path), choice in self.choices.items():
            if host in self.many.hosts:
                self.many.hosts[host].sync.choices[pair, path] = choice
        await self.many.plan(self)

    async def _run(self) -> None:
        try:
            if self.many.in_turn:
                results = await self.many.run(self)
            else:
                results = await self.many.apply(self)
            self.results = {each.host: each for each in results}
        except BerthError as error:
            self.failed = str(error)
        finally:
            self.phase = "done"
            self.changed += 1
            await self.many.__aexit__()

    async def close(self) -> None:
        """Let go of the hosts; a watch has its own way to them."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.many.__aexit__()

    # ------------------------------------------------------------------------------------ what is shown

    def lines(self) -> list[HostLine]:
        """A line per host."""
        if self.phase == "watching":
            seen = self.watching
            return [seen.line(host) if seen else HostLine(host, "looking") for host in self.hosts]
        found = []
        for host, one in self.many.hosts.items():
            result = self.results.get(host)
            error = str(one.error) if one.error else (result.error or "") if result else ""
            done, total = self.moved.get(host, (0, 0))
            phase: str = self.phase
            if host in self.declined and phase == "done":
                phase = "cancelled"
            elif phase in ("looking", "ready"):
                phase = "failed" if error else "ready" if one.plan else "looking"
            elif result is not None:
                phase = "done" if result.ok else "failed"
            elif phase == "done":
                phase = "failed" if error else "cancelled"
            found.append(HostLine(host, phase, one.plan, result, error, done, total))
        return found

    def files(self, host: str) -> list[FileLine]:
        """The changes of a host."""
        from backend.sync.words import short_path_of

        one = self.many.hosts.get(host)
        plan = self.watching.plan(host) if self.watching is not None else one.plan if one else None
        if plan is None:
            return []
        return [
            FileLine(
                host,
                each,
                short_path_of(each, self.wish.pairs),
                self.choices.get((host, each.pair, each.path), "skip"),
            )
            for each in plan.changes
        ]
