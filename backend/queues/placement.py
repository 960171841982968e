"""Where a job starts soonest: `--host any`, `--host tag:T`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused, UsageError
from backend.queues.base import Estimate, Submission
from backend.queues.choose import has_queue, queue_of, with_queue
from backend.text import duration

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config

ANY = "any"
TAG = "tag:"
_WAIT = 15.0
"""Seconds a host may take to say when; one that is silent is not chosen."""
_NEVER = float("inf")


def candidates(config: Config, where: str) -> list[str]:
    """Names of the hosts that `any`, `tag:T` or a name mean. Raises `NoSuchTarget`, `UsageError`."""
    if where == ANY:
        found = [host.name for host in with_queue(config) if not host.read_only]
        if not found:
            raise NoSuchTarget("no host has a queue.", hint="See `queue` and `engine` in hosts.yaml.")
        return found
    if where.startswith(TAG):
        tag = where.removeprefix(TAG)
        found = [host.name for host in with_queue(config) if tag in host.tags and not host.read_only]
        if not found:
            tags = sorted({tag for host in with_queue(config) for tag in host.tags})
            raise NoSuchTarget(
                f"no host with a queue has the tag {tag!r}.", hint=f"Tags: {', '.join(tags) or 'none'}"
            )
        return found
    host = config.host(where)
    if not has_queue(host):
        raise UsageError(f"{where} has no queue.", hint="See `queue`, `engine` and `skip` in hosts.yaml.")
    return [where]


async def estimates(config: Config, access: Access, hosts: list[str], job: Submission) -> list[Estimate]:
    """What each host says, side by side; soonest first, those where it cannot run last."""

    async def one(name: str) -> Estimate:
        try:
            async with asyncio.timeout(_WAIT), queue_of(config, access, name) as queue:
                return await queue.estimate(job)
        except BerthError as error:
            return Estimate(name, None, possible=False, why=error.message)
        except TimeoutError:
            return Estimate(name, None, possible=False, why=f"no answer within {_WAIT:.0f} s")

    found = await asyncio.gather(*(one(name) for name in hosts))
    order = {name: place for place, name in enumerate(hosts)}
    return sorted(
        found,
        key=lambda each: (
            not each.possible,
            _NEVER if each.start is None else each.start if each.start >= 1 else 0.0,
            order[each.host],
        ),
    )


async def choose(config: Config, access: Access, where: str, job: Submission) -> tuple[str, list[str]]:
    """The host, and lines that say why. A host that was named is not asked."""
    hosts = candidates(config, where)
    if where in hosts:
        return where, []
    found = await estimates(config, access, hosts, job)
    best = found[0]
    lines = [said(each) for each in found]
    if not best.possible:
        raise ActionFailed("no host can run this job. " + "; ".join(lines))
    return best.host, [f"chosen: {best.host}{_tie(found)}", *lines]


async def ensure(config: Config, access: Access, host: str, job: Submission) -> None:
    """Raises what the queue would say of this job in the end, before its image is built for minutes."""
    async with queue_of(config, access, host) as queue:
        found = await queue.estimate(job)
        if found.possible:
            return
        if (await queue.status()).draining:
            raise Refused(f"{host}: {found.why}.", hint=f"berth queue resume {host}")
    raise UsageError(f"{host}: this host can never run {job.name}: {found.why}.")


def _tie(found: Sequence[Estimate]) -> str:
    """Why the first and not another that would start it as soon."""
    best = found[0]
    equal = [each.host for each in found[1:] if each.possible and _said_when(each) == _said_when(best)]
    if not equal:
        return ""
    known = "would start it as soon" if best.start is not None else "cannot tell when either"
    return f" ({', '.join(equal)} {known}; {best.host} comes first in hosts.yaml)"


def said(estimate: Estimate) -> str:
    """`h100-1: starts at once: 2 of 8 GPUs are free`."""
    when = _said_when(estimate)
    return f"{estimate.host}: {when}" + (f": {estimate.why}" if estimate.why else "")


def _said_when(estimate: Estimate) -> str:
    if not estimate.possible:
        return "not possible"
    if estimate.start is None:
        return "start unknown"
    return "starts at once" if estimate.start < 1 else f"starts in {duration(estimate.start)}"
