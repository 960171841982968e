"""`berth push --watch`: what changes here goes over within a second, and goes on doing so.

File events say which paths may have changed; those alone are looked at on both sides. What may have been
missed (a lost link, a laptop that slept, too many events) is found by a full look.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol

from backend.errors import ActionFailed, BerthError, HostError, Refused
from backend.sync.engine import Done, Here, HostSync, Wish
from backend.sync.host.walk import encoded
from backend.sync.looking import Paths
from backend.sync.model import Plan
from backend.sync.where import writable
from backend.sync.words import line, path_of

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config

_STEP = 60
"""Milliseconds without another event after which those that came are worked on."""
_AT_MOST = 300
"""Milliseconds after which they are, whatever comes."""
_MANY = 500
"""Paths beyond which a full look is quicker."""
_TICK = 2.0
_SLEPT = 10.0
"""Seconds by which the clock has to jump to mean that the machine slept."""
_BACKOFF = (1.0, 30.0)
_FEW = 20
"""Deletions that are passed on without a second thought."""
_NAMED = 3
"""Paths that a line names."""
_FULL: set[bytes] = {b""}


class Front(Protocol):
    """Who is told, and asked."""

    def say(self, text: str, host: str = "") -> None:
        """What went wrong, or is odd; with a host, or with all of it."""

    def went(self, plan: Plan, done: Done, *, full: bool) -> None:
        """A host was looked at, `full` or only some paths, and is like this machine now."""

    async def agree(self, plans: Sequence[Plan]) -> bool:
        """Whether all these may delete what they say."""

    async def confirm(self, question: str) -> bool:
        """A question; no is the answer that does nothing."""


class Inbox:
    """What a host has not seen yet."""

    def __init__(self, trees: int) -> None:
        self.paths: list[set[bytes]] = [set(_FULL) for _ in range(trees)]
        self.news = asyncio.Event()
        self.news.set()

    def add(self, tree: int, path: bytes) -> None:
        """A path that may have changed."""
        self.paths[tree].add(path)
        self.news.set()

    def all(self) -> None:
        """Everything may have changed."""
        for each in self.paths:
            each |= _FULL
        self.news.set()

    def take(self) -> Paths | None:
        """What to look at now; None: everything."""
        self.news.clear()
        taken, self.paths = self.paths, [set() for _ in self.paths]
        if any(b"" in each for each in taken) or sum(map(len, taken)) > _MANY:
            return None
        return {number: sorted(each) for number, each in enumerate(taken) if each}


class Watch:
    """Watches the folders of a wish and keeps hosts like them."""

    def __init__(self, access: Access, hosts: Sequence[str], wish: Wish, front: Front) -> None:
        self.access, self.hosts, self.wish, self.front = access, hosts, wish, front
        self.inboxes = {host: Inbox(len(wish.pairs)) for host in hosts}
        self.roots = [os.path.realpath(pair.here) for pair in wish.pairs]
        self.agreed: set[str] = set()
        self.open: dict[str, HostSync] = {}
        """What stays open towards hosts: to start it takes longer than to carry a file."""

    async def run(self) -> None:
        """Until it is cancelled. Raises an `ExceptionGroup` with the `BerthError` that ended it."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._events())
                group.create_task(self._clock())
                for host in self.hosts:
                    group.create_task(self._host(host))
        finally:
            for host in list(self.open):
                await self._close(host)

    async def _close(self, host: str) -> None:
        if (sync := self.open.pop(host, None)) is not None:
            await sync.__aexit__(None, None, None)

    # ---------------------------------------------------------------------------- what happens here

    async def _events(self) -> None:
        """Tell every inbox of what changed."""
        while True:
            try:
                async for path in self._changes():
                    if not path:
                        self._look_at_all()
                    for number, root in enumerate(self.roots):
                        below = _below(path, root)
                        if below is not None:
                            for inbox in self.inboxes.values():
                                inbox.add(number, encoded(below))
            except (OSError, RuntimeError, FileNotFoundError) as error:
                self.front.say(f"watching failed: {error}; trying again")
            await asyncio.sleep(1)
            self._look_at_all()

    def _look_at_all(self) -> None:
        for inbox in self.inboxes.values():
            inbox.all()

    async def _changes(self) -> AsyncIterator[str]:
        from watchfiles import awatch

        roots = _folders(self.roots)
        if not roots:
            raise FileNotFoundError(f"{', '.join(self.roots)}: not there")
        polling = False
        while True:
            watching = awatch(
                *roots,
                watch_filter=None,
                debounce=_AT_MOST,
                step=_STEP,
                recursive=True,
                rust_timeout=1000,
                yield_on_timeout=True,
                force_polling=polling,
                ignore_permission_denied=True,
            )
            try:
                first = True
                async for changes in watching:
                    if first:  # from now on nothing is missed; what came before it may have been
                        first = False
                        yield ""
                    for _, path in changes:
                        yield path
                    if _folders(roots) != roots:
                        return
            except OSError as error:
                if polling or ("limit" not in str(error).lower() and error.errno != errno.ENOSPC):
                    raise
                polling = True
                self.front.say(
                    "too many folders to be told of changes in them: looking for changes instead, which is"
                    " slower. More: sudo sysctl fs.inotify.max_user_watches=524288"
                )

    async def _clock(self) -> None:
        """After a sleep of the machine nobody knows what was missed."""
        before = time.time() - time.monotonic()
        while True:
            await asyncio.sleep(_TICK)
            now = time.time() - time.monotonic()
            if abs(now - before) > _SLEPT:
                self._look_at_all()
            before = now

    # -------------------------------------------------------------------------------- towards a host

    async def _host(self, host: str) -> None:
        inbox = self.inboxes[host]
        wait = _BACKOFF[0]
        lost = False
        while True:
            await inbox.news.wait()
            paths = inbox.take()
            try:
                await self._sync(host, paths)
            except HostError as error:
                if not lost:
                    self.front.say(f"{error.message} Trying again until it answers.", host)
                lost = True
            except Refused as error:
                if host not in self.agreed:
                    raise
                self.front.say(str(error), host)  # and nothing more until something else changes here
                continue
            except ActionFailed as error:
                self.front.say(str(error), host)
            else:
                if lost:
                    self.front.say("connected again", host)
                lost, wait = False, _BACKOFF[0]
                continue
            await asyncio.sleep(wait)
            wait = min(_BACKOFF[1], wait * 2)
            inbox.all()

    async def _sync(self, host: str, paths: Paths | None) -> None:
        sync = self.open.setdefault(host, HostSync(self.access, host, self.wish, Here()))
        try:
            sync.here.forget()
            sync.records.clear()  # another berth may have synced meanwhile
            plan = await sync.plan(paths)
            await self._agree(host, plan, paths)
            self._problems(plan)
            done = await sync.apply(plan, approved=plan.deletions())
        except BaseException:
            await self._close(host)
            raise
        full = paths is None
        if full or done.new or done.changed or done.deleted or done.failed:
            self.front.went(plan, done, full=full)

    async def _agree(self, host: str, plan: Plan, paths: Paths | None) -> None:
        """Deletions are agreed to once, at the start; a flood of them later is not passed on."""
        gone = [each for each in plan.of("deleted") if not each.folder]
        if host not in self.agreed:
            if gone:
                agreed = await self.front.agree([plan])
            else:
                agreed = not self.wish.deletes or await self.front.confirm(
                    f"Delete on {host} from now on what is deleted here?"
                )
            if not agreed:
                raise Refused(f"{host}: not done.", hint="It was not confirmed.")
            self.agreed.add(host)
        elif len(gone) > max(_FEW, plan.same):
            raise Refused(
                f"{host}: {len(gone):,} files are gone here at once: not passed on.",
                hint="If that is meant: berth push --delete",
            )

    def _problems(self, plan: Plan) -> None:
        for each in plan.of("conflict", "kind"):
            self.front.say(line(each, self.wish.pairs), plan.host)
        for text in plan.problems:
            self.front.say(text, plan.host)


def _folders(paths: Sequence[str]) -> list[str]:
    return [path for path in paths if os.path.isdir(path)]


def _below(path: str, root: str) -> str | None:
    if path == root:
        return ""
    return path[len(root) + 1 :] if path.startswith(root.rstrip("/") + "/") else None


def news(plan: Plan, done: Done, wish: Wish) -> str:
    """What went over, in one line."""
    named = [path_of(each, wish.pairs) for each in plan.of("new", "changed", "deleted")]
    if not named:
        return "the same; watching"
    counted = {"new": done.new, "changed": done.changed, "deleted": done.deleted}
    what = ", ".join(f"{count:,} {word}" for word, count in counted.items() if count) or "nothing"
    names = ", ".join(named[:_NAMED]) + (f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else "")
    return f"{what}: {names}"


async def watch_hosts(config: Config, access: Access, hosts: Sequence[str], wish: Wish, front: Front) -> None:
    """Keep these hosts like the folders here until it is cancelled. Raises `BerthError`s."""
    for host in hosts:
        writable(config, host)
    try:
        await Watch(access, hosts, wish, front).run()
    except* BerthError as group:
        raise group.exceptions[0] from None
