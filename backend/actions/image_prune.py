"""Removing the images that nobody needs, after showing which."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from backend.actions import pruning
from backend.actions.images import GROUP
from backend.actions.registry import Option, action
from backend.errors import UsageError
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.images.prune import Doomed, Outcome, Plan, Rule

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
    rule = Rule(every=unused, unused_for=None if unused_for is None else timedelta(days=unused_for))
    plans, failed = await pruning.plans(
        ctx, pruning.hosts(ctx, host, dry_run=dry_run), _planner(ctx, rule), _lines, named=bool(host)
    )
    doomed = sum(len(each.doomed) for each in plans)
    if failed and not doomed:
        raise failed[0]
    if not doomed:
        return f"nothing to remove on {', '.join(each.host for each in plans)}"
    if dry_run:
        return f"{_count(doomed)} would go, {size(sum(each.frees for each in plans))} free"
    named = [(each, [", ".join(one.image.tags) or _short(one) for one in each.doomed]) for each in plans]
    await ctx.agree(pruning.question(named, _count(doomed), _NAMED), "prune images: not done.")
    busy = [each for each in plans if each.doomed]
    return await pruning.remove(ctx, busy, _remover(ctx), failed, words=_count)


def _planner(ctx: ActionContext, rule: Rule) -> Callable[[str], Awaitable[Plan]]:
    from backend.images.prune import plan

    async def one(host: str) -> Plan:
        return await plan(await ctx.engine(host), ctx.access, ctx.config, rule)

    return one


def _lines(plan: Plan) -> Iterator[str]:
    for each in plan.doomed:
        called = ", ".join(each.image.tags) or f"<none> {_short(each)}"
        yield f"{called}  {size(each.image.size)}, frees {size(each.frees)}"
    yield f"{len(plan.doomed)} go, {size(plan.frees)} free; {plan.kept} stay"


def _short(doomed: Doomed) -> str:
    return doomed.image.id.removeprefix("sha256:")[:12]


def _count(images: int) -> str:
    return f"{images} image{'s' * (images != 1)}"


def _remover(ctx: ActionContext) -> Callable[[Plan], Awaitable[Outcome]]:
    from backend.images import look, prune

    async def one(plan: Plan) -> Outcome:
        engine = await ctx.engine(plan.host)
        users, _ = await look.users(engine, ctx.access, ctx.config, ctx.config.contexts)
        return await prune.remove(engine, plan, users, lambda line: ctx.report(printable(line, 300)))

    return one
