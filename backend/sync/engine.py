"""A sync with one host, from the first look to the last word."""

from __future__ import annotations

import asyncio
import getpass
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from backend.config import SyncProfile
from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused, UsageError
from backend.sync.looking import Paths, look
from backend.sync.model import Change, Pair, Plan, Way
from backend.sync.pairs import chosen, pairs
from backend.sync.plan import Options, Planner, Seen, refusal
from backend.sync.record import Record, States
from backend.sync.side import HostSide, LocalSide, Side

if TYPE_CHECKING:
    from backend.actions.context import Access

Progress = Callable[[int, int], None]
"""Bytes that have gone over, of how many."""


@dataclass
class Wish:
    """What is to be synced, and how; the same for all hosts."""

    profile: SyncProfile
    options: Options
    tar: bool = False
    pairs: list[Pair] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raises `UsageError` where the profile has nothing for the verb."""
        self.pairs = pairs(chosen(self.profile, self.options.verb))

    @property
    def pulls(self) -> bool:
        """Whether files of this machine may change."""
        return self.options.verb == "pull" or (
            self.options.verb == "sync"
            and any(part.rule.direction != "push" for pair in self.pairs for part in pair.parts)
        )

    @property
    def deletes(self) -> bool:
        """Whether files may be deleted."""
        said = self.options.delete
        return any(part.rule.delete for pair in self.pairs for part in pair.parts) if said is None else said


class Here:
    """This machine, looked at once for all hosts."""

    def __init__(self) -> None:
        self._look: asyncio.Task[tuple[list[Seen], float]] | None = None
        self.looked_at = 0.0
        """When the last look began, by the clock that is never set."""
        self.turn = asyncio.Lock()
        """For those that write here: one after the other."""

    def forget(self) -> None:
        """Look again the next time."""
        self._look = None

    async def look(self, wish: Wish, paths: Paths | None) -> list[Seen]:
        """This machine's side of the trees; a fresh look where it may have been changed by another host."""
        if self._look is None or wish.pulls or paths is not None:
            self.looked_at = time.monotonic()
            self._look = asyncio.create_task(look(LocalSide(), "here", wish.pairs, wish.options.verb, paths))
        found, _ = await asyncio.shield(self._look)
        return found


class HostSync:
    """The sync of one wish with one host. Use it in `async with`."""

    def __init__(self, access: Access, host: str, wish: Wish, here: Here | None = None) -> None:
        self.access, self.host, self.wish = access, host, wish
        self.options = wish.options
        self.here = here or Here()
        self.local = LocalSide()
        self.there: HostSide | None = None
        self.seen: list[tuple[Seen, Seen]] = []
        self.records: list[Record] = []
        self.settled: list[States] = []
        self.rsync = ""
        self.home = ""
        self.notes: list[str] = []
        self.paths: Paths | None = None
        self.choices: dict[tuple[int, bytes], str] = {}
        """What was chosen for single files of this host."""

    async def __aenter__(self) -> HostSync:
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(BerthError, OSError):
            await self.local.close()
        if self.there is not None:
            there, self.there = self.there, None
            await asyncio.shield(there.close())

    async def side(self) -> HostSide:
        """The host, started when it is first needed."""
        if self.there is None:
            self.there = await HostSide.open(await self.access.link(self.host))
            answer, _ = await self.there.ask("hello")
            self.rsync, self.home = str(answer["rsync"]), str(answer["home"])
        return self.there

    # ----------------------------------------------------------------------------------- the plan

    async def plan(self, paths: Paths | None = None) -> Plan:
        """Look at both sides; of `paths` alone, where they are given. Raises `BerthError`s."""
        self.paths = paths
        local = asyncio.create_task(self.here.look(self.wish, paths))
        try:
            there = await self.side()
            before = time.time()
            seen, clock = await look(there, "there", self.wish.pairs, self.wish.options.verb, paths)
            skew = clock - (before + time.time()) / 2
            mine = await local
        except BaseException:
            local.cancel()
            await asyncio.gather(local, return_exceptions=True)
            raise
        self.seen = list(zip(mine, seen, strict=True))
        self._sane(there)
        name = f"{self.wish.profile.name}"
        if not self.records:
            self.records = [Record(name, self.host, pair) for pair in self.wish.pairs]
        chosen_here = {**self.wish.options.choices, **self.choices}
        self.options = replace(self.wish.options, skew=skew, choices=chosen_here)
        return await asyncio.to_thread(self._compare, skew)

    def _sane(self, there: HostSide) -> None:
        """Raise where there is nothing to sync, or both sides are one."""
        verb = self.wish.options.verb
        for pair, (mine, theirs) in zip(self.wish.pairs, self.seen, strict=True):
            if there.link.local and mine.root == theirs.root:
                raise UsageError(f"{self.host} is this machine: {pair.here} is on both sides.")
        sources = [theirs if verb == "pull" else mine for mine, theirs in self.seen]
        if self.paths is None and verb != "sync" and not any(each.there for each in sources):
            names = ", ".join(pair.there if verb == "pull" else pair.here for pair in self.wish.pairs)
            where = f"on {self.host}" if verb == "pull" else "on this machine"
            raise NoSuchTarget(f"there is nothing to {verb}: {names} is not {where}.")

    def _compare(self, skew: float) -> Plan:
        changes: list[Change] = []
        same = 0
        problems: list[str] = []
        refused = ""
        self.settled = []
        for number, pair in enumerate(self.wish.pairs):
            mine, theirs = self.seen[number]
            record = self.records[number]
            states = record.states
            if self.paths is not None:
                states = dict(states)
            planner = Planner(number, pair, (mine, theirs), states, self.options)
            planner.run()
            changes += planner.changes
            same += planner.same
            self.settled.append(planner.settled)
            problems += [*mine.problems, *theirs.problems]
            sources: tuple[tuple[Way, Seen, str], ...] = (
                ("push", mine, record.mounts[0]),
                ("pull", theirs, record.mounts[1]),
            )
            for way, source, was in sources:
                gone = any(each.kind == "deleted" and each.way == way for each in planner.changes)
                if gone and not refused:
                    refused = refusal(pair, source, was, way)
        return Plan(self.host, tuple(changes), same, tuple(problems), refused, skew)

    # ------------------------------------------------------------------------------------- doing it

    async def apply(
        self,
        plan: Plan,
        progress: Progress = lambda done, total: None,
        approved: frozenset[tuple[str, int, bytes]] | None = None,
    ) -> Done:
        """Do what a plan says. `approved`: what may be deleted, where that was asked."""
        from backend.sync.apply import Applier

        deletions = plan.deletions()
        if deletions and plan.refusal:
            raise Refused(f"{self.host}: nothing is deleted: {plan.refusal}")
        if approved is not None and not deletions <= approved:
            more = len(deletions - approved)
            raise Refused(
                f"{self.host}: {more} more would be deleted than was shown.", hint="Look at it again."
            )
        done = Done(run="", started_at=datetime.now(UTC))
        total = cache(lambda: sum(each.size for each in plan.of("new", "changed")))
        for way in ("push", "pull"):
            changes = [each for each in plan.of("new", "changed", "deleted") if each.way == way]
            if changes:
                applier = Applier(self, way, done, lambda moved: progress(moved, total()))
                await applier.run(changes)
        self._remember(done)
        return done

    def receiver(self, way: Way) -> Side:
        """The side that files come to."""
        if way == "pull":
            return self.local
        if self.there is None:
            raise ActionFailed(f"{self.host}: the connection is closed.")
        return self.there

    def _remember(self, done: Done) -> None:
        """Keep how both sides are now."""
        for number, record in enumerate(self.records):
            if self.paths is None:
                states = dict(self.settled[number])
            else:
                states = dict(record.states)
                looked = {*self.seen[number][0].entries, *self.seen[number][1].entries}
                for path in looked | set(self.paths.get(number, ())):
                    states.pop(path, None)
                states.update(self.settled[number])
            for (pair, path), tokens in done.states.items():
                if pair == number:
                    states[path] = tokens
            mine, theirs = self.seen[number]
            record.write(states, (mine.mount, theirs.mount))


@dataclass
class Done:
    """What was done with one host."""

    run: str
    started_at: datetime
    new: int = 0
    changed: int = 0
    deleted: int = 0
    size: int = 0
    """Bytes of the files that went over."""
    kept: int = 0
    kept_at: dict[str, str] = field(default_factory=dict)
    """By way: a folder that the run was about, which leads to what is kept of it."""
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """What did not go over, and why."""
    states: dict[tuple[int, bytes], tuple[bytes, bytes]] = field(default_factory=dict)
    """What is the same now: tokens of this machine and of the host."""


def new_run() -> str:
    """A name for a run; sorts by time."""
    now = datetime.now(UTC)  # a watch begins several in a second
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}-{secrets.token_hex(3)}"


def owner(profile: str) -> str:
    """Who we are, for those who find the lock taken."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    where = f"profile {profile}, process {os.getpid()}, since {datetime.now():%H:%M}"
    return f"{user} at {socket.gethostname()} ({where})"


def relative(folder: str, base: str) -> str:
    """What leads from one folder to another below it."""
    return "" if folder == base else os.path.relpath(folder, base)


def common(here: str, there: str) -> tuple[str, str, str]:
    """Two folders as their bases, and the part of their names that is the same at their end."""
    mine, theirs = here.strip("/").split("/"), there.strip("/").split("/")
    count = 0
    while count < min(len(mine), len(theirs)) and mine[-1 - count] == theirs[-1 - count]:
        count += 1
    count = min(count, len(mine) - 1, len(theirs) - 1)  # never the root of a disk
    if not count:
        return here, there, ""
    return "/" + "/".join(mine[:-count]), "/" + "/".join(theirs[:-count]), "/".join(mine[-count:])
