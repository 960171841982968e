"""A push that goes on: a run of Activity, and a page that may be left and come back to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from backend.errors import BerthError
from backend.sync.watch import news, watch_hosts
from backend.text import printable
from tui.sync.questions import agree
from tui.sync.state import HostLine, Syncing

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.actions.runs import Run
    from backend.sync.engine import Done
    from backend.sync.model import Plan
    from tui.app import BerthApp
    from tui.doing import Doing

_NAMES = {"push": "push-files", "sync": "sync-files"}
_watched: WeakKeyDictionary[Run, Syncing] = WeakKeyDictionary()
_left: WeakSet[Run] = WeakSet()


class Watching:
    """What the watch says, for Activity and for the page. It is the watch's front."""

    def __init__(self, ctx: ActionContext, doing: Doing, syncing: Syncing) -> None:
        self._ctx, self._doing, self._syncing = ctx, doing, syncing
        self._asking = asyncio.Lock()
        self._plans: dict[str, Plan] = {}
        self._said: dict[str, str] = {}
        self._away: set[str] = set()
        """Hosts of which the last that was heard is no good."""

    def say(self, text: str, host: str = "") -> None:
        """What went wrong, or is odd."""
        self._ctx.report(f"{host}: {text}" if host else text)
        for each in [host] if host else self._syncing.hosts:
            self._said[each] = f"{datetime.now():%H:%M:%S} {text}"
            self._away.add(each)
        self._syncing.changed += 1

    def went(self, plan: Plan, done: Done, *, full: bool) -> None:
        """A host is like this machine."""
        text = news(plan, done, self._syncing.wish)
        self._away.discard(plan.host)
        self._syncing.changed += 1
        over = [each for each in plan.of("new", "changed", "deleted") if not each.folder]
        if plan.host in self._plans and not over and not done.failed:
            return  # another look at everything: what went over last stays on the page
        self._ctx.report(f"{plan.host}: {text}")
        for note in (*done.failed, *done.notes):
            self._ctx.report(f"  {plan.host}: {note}")
        self._plans[plan.host] = plan
        names = [os.fsdecode(each.path).rpartition("/")[2] for each in over]
        short = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
        said = (*done.failed, short or "the same")[0]
        self._said[plan.host] = f"{datetime.now():%H:%M:%S} {said}"
        if done.failed:
            self._away.add(plan.host)

    async def agree(self, plans: Sequence[Plan]) -> bool:
        """Ask, one host after the other."""
        async with self._asking:
            return await agree(self._doing, plans, self._syncing.wish)

    async def confirm(self, question: str) -> bool:
        """Ask, one after the other."""
        async with self._asking:
            return await self._doing.confirm(question)

    def plan(self, host: str) -> Plan | None:
        """What went over last."""
        return self._plans.get(host)

    def line(self, host: str) -> HostLine:
        """How it stands with a host."""
        said, known = self._said.get(host, ""), host in self._plans
        if host in self._away:
            return HostLine(host, "watching" if known else "looking", self.plan(host), error=said)
        return HostLine(host, "watching" if known else "looking", self.plan(host), said=said)


def begin(app: BerthApp, syncing: Syncing) -> None:
    """Go on pushing what changes here, until the run is cancelled."""
    from tui.doing import declared

    doing, wish = app.doing, syncing.wish
    assert doing is not None

    async def call(ctx: ActionContext, target: None, **_: Any) -> str:
        syncing.watch()
        await syncing.close()
        syncing.watching = Watching(ctx, doing, syncing)
        try:
            await watch_hosts(ctx.config, ctx.access, syncing.hosts, wish, syncing.watching)
        except BerthError as error:
            syncing.failed = str(error)
            raise
        finally:
            syncing.watching, syncing.phase = None, "done"
            syncing.changed += 1
        return "watching ended"

    action = declared()[_NAMES[wish.options.verb]]
    options: Mapping[str, Any] = {"profile": wish.profile.name, "host": syncing.hosts, "watch": True}
    run = doing.begin_as(replace(action, call=call, title=f"watch {wish.profile.name}"), options)
    _watched[run] = syncing
    syncing.run = run
    syncing.watch()


def leave(app: BerthApp, syncing: Syncing) -> None:
    """The page goes, the watch goes on: a toast says so, and another one how it ends."""
    said = "It goes on while berth runs.\n8 lists it, y with the same hosts comes back to it."
    app.notify(said, title=f"Watch {printable(syncing.wish.profile.name, 60)}", markup=False)
    if syncing.run is not None and syncing.run not in _left and app.doing is not None:
        _left.add(syncing.run)
        app.doing.tell_later(syncing.run)


def of(app: BerthApp, hosts: Sequence[str]) -> Syncing | None:
    """The watch that runs with just these hosts."""
    for run in app.doing.runs.runs if app.doing is not None else ():
        syncing = _watched.get(run)
        if syncing is not None and run.state == "running" and set(syncing.hosts) == set(hosts):
            return syncing
    return None
