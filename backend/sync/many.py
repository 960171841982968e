"""A sync with several hosts, side by side: plans, one question, results."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from backend.activity import ActivityLog, ActivityRow
from backend.errors import ActionFailed, BerthError, Refused, exit_code_for
from backend.sync.engine import Done, Here, HostSync, Wish, new_run
from backend.sync.history import remember
from backend.sync.model import HostResult, Plan
from backend.sync.where import writable
from backend.sync.words import path_of
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config


class Front(Protocol):
    """Who is told, and asked."""

    def planned(self, host: str, plan: Plan) -> None:
        """What would be done with a host."""

    def progress(self, host: str, done: int, total: int) -> None:
        """Bytes that have gone over to a host, of how many."""

    async def agree(self, plans: Sequence[Plan]) -> bool:
        """Whether all these may delete what they say, and what is `final` may be done."""


@dataclass
class One:
    """One host of several."""

    sync: HostSync
    plan: Plan | None = None
    error: BerthError | None = None
    started: float = 0.0
    started_at: datetime | None = None


class Many:
    """A sync with several hosts. Use it in `async with`."""

    def __init__(self, config: Config, access: Access, hosts: Sequence[str], wish: Wish) -> None:
        self.config, self.access, self.wish = config, access, wish
        here = Here()
        self.here = here
        self.batch = new_run()
        self.hosts = {host: One(HostSync(access, host, wish, here)) for host in hosts}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Many:
        for one in self.hosts.values():
            await self._stack.enter_async_context(one.sync)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def plan(self, front: Front) -> None:
        """Look at all of them. What is wrong with one is kept in its `error`."""
        for one in self.hosts.values():
            one.plan = one.error = None
        self.here.forget()
        await self._each(lambda one: self._plan(one, front))

    async def _plan(self, one: One, front: Front) -> None:
        one.started, one.started_at = time.monotonic(), datetime.now(UTC)
        if self.wish.options.verb != "pull":
            writable(self.config, one.sync.host)
        one.plan = await one.sync.plan()
        front.planned(one.sync.host, one.plan)

    async def run(self, front: Front) -> list[HostResult]:
        """Look, ask, do; a result for each host, whatever becomes of the others."""
        if self.in_turn:
            return await self._in_turn(front)
        await self.plan(front)
        return await self.apply(front)

    async def apply(self, front: Front) -> list[HostResult]:
        """Do what was planned; what deletes or cannot be undone is asked about first, all hosts at once."""
        planned = [one for one in self.hosts.values() if one.plan is not None and one.error is None]
        asking = [one.plan for one in planned if one.plan and one.plan.asks]
        if asking and not await front.agree(asking):
            for one in planned:
                if one.plan and (one.plan.final or one.plan.deletions()):
                    one.error = Refused(f"{one.sync.host}: not done.", hint="It was not confirmed.")
        results: dict[str, HostResult] = {}

        async def do(one: One) -> None:
            done = None
            if one.plan is not None and one.error is None:
                done = await self._apply(one, one.plan, front)
            results[one.sync.host] = self._result(one, done)

        async with asyncio.TaskGroup() as group:
            for one in self.hosts.values():
                group.create_task(do(one))
        found = [results[host] for host in self.hosts]
        self._log(found)
        return found

    @property
    def in_turn(self) -> bool:
        """Whether one host comes after the other, as they write the same files."""
        return self.wish.pulls and len(self.hosts) > 1

    async def _in_turn(self, front: Front) -> list[HostResult]:
        """For what writes here: the next host sees what the one before it has brought."""
        found = []
        for host in self.hosts:
            async with Many(self.config, self.access, [host], self.wish) as alone:
                alone.batch = self.batch
                found += await alone.run(front)
        return found

    async def _apply(self, one: One, plan: Plan, front: Front) -> Done | None:
        host = one.sync.host
        try:
            return await one.sync.apply(
                plan, lambda done, total: front.progress(host, done, total), plan.deletions()
            )
        except BerthError as error:
            one.error = error
        except Exception as bug:
            one.error = _bug(host, bug)
        return None

    async def _each(self, do: Callable[[One], Awaitable[None]]) -> None:
        async def guarded(one: One) -> None:
            try:
                await do(one)
            except BerthError as error:
                one.error = error
            except Exception as bug:
                one.error = _bug(one.sync.host, bug)

        async with asyncio.TaskGroup() as group:
            for one in self.hosts.values():
                group.create_task(guarded(one))

    def _result(self, one: One, done: Done | None) -> HostResult:
        plan, error = one.plan, one.error
        conflicts = plan.of("conflict", "kind") if plan else []
        failed = done.failed if done else []
        problems = [*(plan.problems if plan else ()), *(done.notes if done else ())]
        code = exit_code_for(error) if error else int(bool(failed or conflicts))
        return HostResult(
            host=one.sync.host,
            profile=self.wish.profile.name,
            ok=code == 0,
            run=done.run if done else "",
            batch=self.batch,
            kept_at=done.kept_at if done else {},
            started_at=one.started_at or datetime.now(UTC),
            seconds=round(time.monotonic() - one.started, 3) if one.started else 0.0,
            new=done.new if done else 0,
            changed=done.changed if done else 0,
            deleted=done.deleted if done else 0,
            bytes=done.size if done else 0,
            conflicts=tuple(printable(path_of(each, self.wish.pairs), 400) for each in conflicts),
            newer=len(plan.of("newer")) if plan else 0,
            large=len(plan.of("large")) if plan else 0,
            same=plan.same if plan else 0,
            notes=(*failed, *problems),
            error=str(error) if error else None,
            exit_code=code,
        )

    def _log(self, results: Sequence[HostResult]) -> None:
        """In the history, and among what was done."""
        remember([each for each in results if each.error is None])
        log = ActivityLog()
        for each in results:
            if each.error is None and not (each.new or each.changed or each.deleted or each.notes):
                continue
            log.append(
                ActivityRow(
                    id=f"{each.started_at:%Y%m%dT%H%M%S%f}-{each.run or each.host}",
                    action=self.wish.options.verb,
                    title=f"{self.wish.options.verb} {each.profile}",
                    target=each.host,
                    host=each.host,
                    state="done" if each.ok else "failed",
                    started_at=each.started_at,
                    ended_at=datetime.now(UTC),
                    message=each.error or told(each),
                    output=each.notes,
                    notes={"run": each.run} if each.run else {},
                )
            )


def told(result: HostResult) -> str:
    """A result in one line."""
    from backend.text import size

    parts = [f"{count:,} {word}" for count, word in counts(result) if count]
    over = f", {size(result.bytes)}" if result.bytes else ""
    done = (", ".join(parts) or f"nothing to do, {result.same:,} the same") + over
    return f"{result.host}: {done}" + (f" (undo: berth sync undo {result.run})" if result.run else "")


def counts(result: HostResult) -> list[tuple[int, str]]:
    """What there is to count of a result."""
    return [
        (result.new, "new"),
        (result.changed, "changed"),
        (result.deleted, "deleted"),
        (len(result.conflicts), "in conflict"),
        (result.newer, "newer there"),
        (result.large, "too large"),
    ]


def _bug(host: str, bug: Exception) -> BerthError:
    logging.getLogger("berth").error("sync with %s", host, exc_info=bug)
    return ActionFailed(f"{host}: {type(bug).__name__}: {bug}", hint="This is a bug in berth; see berth.log.")
