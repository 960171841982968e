"""Verbs on the queue as a whole."""

from __future__ import annotations

import time
from typing import Any

from .asked import jobs_of
from .desk import Answer, Desk, Listed
from .errors import RefusedError
from .fields import Fields
from .jobs import QUEUED
from .plan import Limits
from .retention import remove


def status(desk: Desk, body: Any) -> Answer:
    """The queue as a whole, and what of the machine is free."""
    from .overview import overview

    Fields(body, "status", ("machine",))
    return overview(desk, body.get("machine") is not False)


def estimate(desk: Desk, body: Any) -> Answer:
    """`job`: when it would start. Changes nothing."""
    from .overview import forecast

    fields = Fields(body, "estimate", ("job", "owner"))
    owner = desk.owner(fields)
    jobs = jobs_of([fields.data.get("job")], owner, lambda name: name)
    return forecast(desk, jobs[0]._replace(state=QUEUED, after=()))


def pause(desk: Desk, body: Any) -> Answer:
    """`reason`: nothing starts any more."""
    return _stop(desk, body, "paused")


def drain(desk: Desk, body: Any) -> Answer:
    """`reason`: nothing is taken any more, what is there still runs."""
    return _stop(desk, body, "draining")


def _stop(desk: Desk, body: Any, what: str) -> Answer:
    reason = Fields(body, what, ("reason",)).text("reason", longest=500, line=True).strip()
    text = f"{desk.who.name}: {reason}" if reason else desk.who.name
    desk.changed = True
    return _limits(desk.store.set_limits(desk.who.name, **{what: text, f"{what}_at": time.time()}))


def resume(desk: Desk, body: Any) -> Answer:
    """The reverse of both. `only_keeper`: what `wake` does, in the words of older programs."""
    fields = Fields(body, "resume", ("only_keeper",))
    if fields.flag("only_keeper"):
        return wake(desk, {})
    desk.changed = True
    off = {"paused": "", "draining": "", "paused_at": 0.0, "draining_at": 0.0}
    return _limits(desk.store.set_limits(desk.who.name, **off))


def wake(desk: Desk, body: Any) -> Answer:
    """Start a keeper where one is needed, and change nothing: for boot scripts."""
    Fields(body, "wake", ())
    desk.changed = True  # one that is there looks at everything
    return _limits(desk.store.limits())


_SETTINGS = {
    "max_running_per_user": 1_000_000,
    "max_gpus_per_user": 1024,
    "reserved_cpus": 65536,
    "reserved_memory": 2**50,
    "keep_days": 36500,
    "keep_jobs": 10_000_000,
}


def settings(desk: Desk, body: Any) -> Answer:
    """`changes`: limits for everybody; without any, what they are."""
    fields = Fields(Fields(body, "settings", ("changes",)).data.get("changes") or {}, "settings", _SETTINGS)
    changes = {key: fields.whole(key, 0, 0, _SETTINGS[key]) for key in fields.data}
    if not changes:
        return _limits(desk.store.limits())
    if not desk.who.root:
        raise RefusedError("only root may change what holds for everybody.", "Use sudo there.")
    desk.changed = True
    return _limits(desk.store.set_limits(desk.who.name, **changes))


def _limits(limits: Limits) -> Answer:
    return dict(limits._asdict())


def events(desk: Desk, body: Any) -> Answer:
    """`since` (an event's number), `id` (of a job), `limit`: what happened, oldest first."""
    fields = Fields(body, "events", ("since", "id", "limit"))
    number = fields.job() if fields.has("id") else None
    since, limit = fields.whole("since", 0, 0, 2**53), fields.whole("limit", 1000, 1, 100_000)
    return {"events": desk.store.events(number, since, limit)}


def forget(desk: Desk, body: Any) -> Answer:
    """`days`: jobs that ended before are removed, with their logs; for root. `look`: which, and nothing is
    removed. Or `ids`: these, for who may change them."""
    fields = Fields(body, "forget", ("days", "look", "ids"))
    if fields.has("ids"):
        numbers = fields.numbers()
        desk.own(numbers, "forget")
        remove(desk.place, desk.store.remove(numbers))
        return {"ids": numbers}
    days = fields.number("days", 0, 36500)
    if days is None:
        raise fields.wrong("days", "a number of days")
    before = time.time() - days * 86400
    if fields.flag("look"):
        return {"jobs": Listed(desk.store.listing(numbers=desk.store.forgettable(before)))}
    if not desk.who.root:
        raise RefusedError("only root may forget everybody's jobs.", "Use sudo there.")
    numbers, logs = desk.store.forget(before)
    remove(desk.place, logs)
    return {"ids": numbers}
