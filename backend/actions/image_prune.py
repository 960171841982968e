"""Removing the images that nobody needs, after showing which."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from backend.actions.images import GROUP
from backend.actions.registry import Option, action
from backend.errors import ActionFailed, BerthError, Refused, UsageError
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.images.prune import Outcome, Plan, Rule

_NAMED = 8
"""Images that a question names one by one for each host."""


@action(on=None, verb="images prune", title="prune images", page=True, group=GROUP)
async def images_prune(
    ctx: ActionContext,
    target: None,
    *,
    host: Annotated[
        tuple[str, ...], Option("only these hosts; default: all", host=True, several=True, ask=True)
    ] = (),
    unused: Annotated[bool, Option("also images with a name that nobody uses")] = False,
    unused_for: Annotated[
        float | None,
        Option("images that nobody uses, neither made nor named there for that many days"),
    ] = None,
    dry_run: Annotated[bool, Option("only show what would go")] = False,
) -> str:
    """Remove images that nobody needs, after showing which, and how much room that gives back.

    Without options: those that lost their name to another image. What a container (running or not), a
    context or a waiting job uses always stays. Each image is looked at again before it goes.
    """
    from backend.images.prune import Rule

    if unused_for is not None and not 0 <= unused_for <= 36500:
        raise UsageError("unused for: days, 0 to 36500.")
    names = list(dict.fromkeys(host)) or [
        each.name
        for each in ctx.config.hosts
        if not each.skip and each.engine != "none" and (dry_run or not each.read_only)
    ]
    for each in names:
        ctx.config.host(each)
    rule = Rule(every=unused, unused_for=None if unused_for is None else timedelta(days=unused_for))
    plans, failed = await _plans(ctx, names, rule)
    doomed = sum(len(each.doomed) for each in plans)
    total = size(sum(each.frees for each in plans))
    if failed and not plans:
        raise failed[0]
    if not host:
        failed = []  # of all hosts, some may have no engine at all; that was said
    if not doomed and failed:
        raise failed[0]
    if not doomed:
        return f"nothing to remove on {', '.join(each.host for each in plans)}"
    if dry_run:
        return f"{_count(doomed)} would go, {total} free"
    if not await ctx.confirm(_question(plans, total)):
        raise Refused("prune images: not done.", hint="It was not confirmed.")
    answers = await asyncio.gather(
        *(_prune(ctx, each) for each in plans if each.doomed), return_exceptions=True
    )
    return _pruned(ctx, [*answers, *failed])


async def _plans(ctx: ActionContext, names: Sequence[str], rule: Rule) -> tuple[list[Plan], list[BerthError]]:
    """What would go on each host, said line by line; and who could not be asked."""
    from backend.images.prune import plan

    async def one(name: str) -> Plan | BerthError:
        try:
            return await plan(await ctx.engine(name), ctx.access, ctx.config, rule)
        except BerthError as error:
            return error

    plans, failed = [], []
    for found in await asyncio.gather(*map(one, names)):
        if isinstance(found, BerthError):
            failed.append(found)
            ctx.report(printable(str(found), 600))
            continue
        plans.append(found)
        for each in found.doomed:
            called = ", ".join(each.image.tags) or f"<none> {each.image.id.removeprefix('sha256:')[:12]}"
            ctx.report(
                printable(f"{found.host}: {called}  {size(each.image.size)}, frees {size(each.frees)}", 400)
            )
        ctx.report(f"{found.host}: {len(found.doomed)} go, {size(found.frees)} free; {found.kept} stay")
    return plans, failed


def _count(images: int) -> str:
    return f"{images} image{'s' * (images != 1)}"


def _question(plans: Sequence[Plan], total: str) -> str:
    parts = []
    for each in plans:
        if each.doomed:
            named = [
                ", ".join(one.image.tags) or one.image.id.removeprefix("sha256:")[:12]
                for one in each.doomed[:_NAMED]
            ]
            more = f" and {len(each.doomed) - _NAMED} more" if len(each.doomed) > _NAMED else ""
            parts.append(f"on {each.host}: {', '.join(named)}{more} ({size(each.frees)})")
    count = sum(len(each.doomed) for each in plans)
    return f"Remove {_count(count)} ({total})? {'; '.join(parts)}"


async def _prune(ctx: ActionContext, plan: Plan) -> Outcome:
    from backend.images import look, prune

    engine = await ctx.engine(plan.host)
    users, _ = await look.users(engine, ctx.access, ctx.config, ctx.config.contexts)
    return await prune.remove(engine, plan, users, lambda line: ctx.report(printable(line, 300)))


def _pruned(ctx: ActionContext, answers: Sequence[Outcome | BaseException]) -> str:
    """What went in all. Raises the first thing that went wrong."""
    removed = freed = stayed = 0
    bad: list[BerthError] = []
    for answer in answers:
        if isinstance(answer, BerthError):
            bad.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            removed, freed = removed + answer.removed, freed + answer.freed
            stayed += len(answer.stayed)
            for line in answer.stayed:
                ctx.report(printable(f"stays: {line}", 400))
    what = f"removed {_count(removed)}, {size(freed)} free"
    if bad:
        raise ActionFailed(f"{what}; {bad[0].message}", hint=bad[0].hint)
    return what + (f"; {stayed} stayed" if stayed else "")
