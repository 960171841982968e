"""Removing what nothing uses on the engines of hosts, after showing it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from backend.actions.context import ActionContext
from backend.actions.disk import GROUP, things
from backend.actions.registry import Option, action
from backend.errors import ActionFailed, BerthError, Refused, UsageError
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.disk.prune import Outcome, Plan, Wish

_NAMED = 12
"""Things that a question names one by one for each host."""


@action(on=None, verb="disk prune", title="prune", page=True, group=GROUP)
async def disk_prune(
    ctx: ActionContext,
    fleet: None,
    *,
    host: Annotated[
        tuple[str, ...], Option("only these hosts; default: all", host=True, positional=True, ask=True)
    ] = (),
    images: Annotated[bool, Option("images that lost their name")] = False,
    images_unused: Annotated[
        str | None, Option("images that nobody uses, neither made nor named there for so long: 30d")
    ] = None,
    containers: Annotated[bool, Option("containers that have ended")] = False,
    stopped_for: Annotated[str, Option("only containers that ended so long ago: 7d")] = "0",
    volumes: Annotated[bool, Option("volumes that nobody named and no container uses")] = False,
    named_volumes: Annotated[bool, Option("also volumes that somebody named and no container uses")] = False,
    cache: Annotated[bool, Option("build cache that no build uses")] = False,
    cache_unused: Annotated[str, Option("only build cache that was not used for so long: 2w")] = "0",
    dry_run: Annotated[bool, Option("only show what would go")] = False,
) -> str:
    """Remove what nothing uses on hosts, after showing what, and how much room that gives back.

    Each thing is named before it goes, and looked at again: what is used by then stays. Containers of
    contexts and of jobs always stay. With --dry-run alone: all that could go, but volumes with a name.
    """
    from backend.disk.prune import Wish
    from backend.disk.words import span

    wish = Wish(
        images=images,
        images_unused=None if images_unused is None else span(images_unused, "--images-unused"),
        containers=span(stopped_for, "--stopped-for") if containers else None,
        volumes=volumes,
        named_volumes=named_volumes,
        cache=span(cache_unused, "--cache-unused") if cache else None,
    )
    if not wish.any and dry_run:
        wish = Wish(images=True, containers=timedelta(0), volumes=True, cache=timedelta(0))
    if not wish.any:
        raise UsageError(
            "nothing says what is to go.",
            hint="Say --images, --images-unused 30d, --containers, --volumes, --named-volumes or --cache.",
        )
    plans, failed = await _plans(ctx, _hosts(ctx, host, dry_run), wish, named=bool(host))
    total = size(sum(each.frees for each in plans))
    count = sum(len(each.items) for each in plans)
    ctx.give([_plan_json(each) for each in plans])
    if failed and not count:
        raise failed[0]
    if not count:
        return f"nothing to remove on {', '.join(each.host for each in plans)}"
    if dry_run:
        return f"{things(count)} would go, {total} free"
    if not await ctx.confirm(_question(plans, total)):
        raise Refused("prune: not done.", hint="It was not confirmed.")
    return await _prune(ctx, plans, failed)


def _hosts(ctx: ActionContext, said: Sequence[str], dry_run: bool) -> list[str]:
    for each in said:
        ctx.config.host(each)
    return list(dict.fromkeys(said)) or [
        each.name
        for each in ctx.config.hosts
        if not each.skip and each.engine != "none" and (dry_run or not each.read_only)
    ]


async def _plans(
    ctx: ActionContext, hosts: Sequence[str], wish: Wish, *, named: bool
) -> tuple[list[Plan], list[BerthError]]:
    """What would go on each host, said line by line; and who could not be asked, where it was named."""
    from backend.disk.prune import plan

    async def one(name: str) -> Plan | BerthError:
        try:
            engine = await ctx.engine(name)
            ctx.report(f"{name}: its engine counts what it holds ...")
            return await plan(engine, ctx.access, ctx.config, wish)
        except BerthError as error:
            return error

    plans: list[Plan] = []
    failed: list[BerthError] = []
    for found in await asyncio.gather(*map(one, hosts)):
        if isinstance(found, BerthError):
            failed.append(found)
            ctx.report(printable(str(found), 600))
            continue
        plans.append(found)
        for item in found.items:
            note = f" ({item.note})" if item.note else ""
            ctx.report(
                printable(f"{found.host}: {item.kind} {item.name}{note}, frees {size(item.frees)}", 400)
            )
        for line in found.stays:
            ctx.report(printable(f"{found.host}: stays: {line}", 400))
        ctx.report(f"{found.host}: {things(len(found.items))} go, {size(found.frees)} free")
    return plans, failed if named or not plans else []


def _question(plans: Sequence[Plan], total: str) -> str:
    parts = []
    for each in plans:
        if each.items:
            named = [f"{item.kind} {item.name}" for item in each.items[:_NAMED]]
            more = f" and {len(each.items) - _NAMED} more" if len(each.items) > _NAMED else ""
            parts.append(f"on {each.host}: {', '.join(named)}{more} ({size(each.frees)})")
    count = sum(len(each.items) for each in plans)
    return f"Remove {things(count)} ({total})? {'; '.join(parts)}"


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "host": plan.host,
        "frees": plan.frees,
        "items": [
            {"kind": each.kind, "id": each.id, "name": each.name, "frees": each.frees, "note": each.note}
            for each in plan.items
        ],
        "stays": list(plan.stays),
        "removed": None,
        "freed": None,
    }


async def _prune(ctx: ActionContext, plans: Sequence[Plan], failed: Sequence[BerthError]) -> str:
    from backend.disk import prune

    async def one(plan: Plan) -> Outcome:
        engine = await ctx.engine(plan.host)
        return await prune.remove(
            engine, ctx.access, ctx.config, plan, lambda line: ctx.report(printable(line, 300))
        )

    busy = [each for each in plans if each.items]
    answers = await asyncio.gather(*map(one, busy), return_exceptions=True)
    removed = freed = stayed = 0
    bad = list(failed)
    for plan, answer in zip(busy, answers, strict=True):
        if isinstance(answer, BerthError):
            bad.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            removed, freed, stayed = (
                removed + answer.removed,
                freed + answer.freed,
                stayed + len(answer.stayed),
            )
            for line in answer.stayed:
                ctx.report(printable(f"{plan.host}: stays: {line}", 400))
            for each in ctx.data:
                if each["host"] == plan.host:
                    each.update(removed=answer.removed, freed=answer.freed, stayed=answer.stayed)
    what = f"removed {things(removed)}, {size(freed)} free"
    if bad:
        raise ActionFailed(f"{what}; {bad[0].message}", hint=bad[0].hint)
    return what + (f"; {stayed} stayed" if stayed else "")
