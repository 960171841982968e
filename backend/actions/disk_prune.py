"""Removing what nothing uses on the engines of hosts, after showing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from backend.actions import pruning
from backend.actions.context import ActionContext
from backend.actions.disk import GROUP, things
from backend.actions.registry import Option, action
from backend.errors import BerthError, UsageError
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.disk.prune import Plan, Wish
    from backend.images.prune import Outcome

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
    plans, failed = await pruning.plans(
        ctx, pruning.hosts(ctx, host, dry_run=dry_run), _planner(ctx, wish), _lines, named=bool(host)
    )
    count = sum(len(each.items) for each in plans)
    ctx.give([_plan_json(each) for each in plans])
    if failed and not count:
        raise failed[0]
    if not count:
        return f"nothing to remove on {', '.join(each.host for each in plans)}"
    if dry_run:
        return f"{things(count)} would go, {size(sum(each.frees for each in plans))} free"
    named = [(each, [f"{item.kind} {item.name}" for item in each.items]) for each in plans]
    await ctx.agree(pruning.question(named, things(count), _NAMED), "prune: not done.")
    return await _prune(ctx, plans, failed)


def _planner(ctx: ActionContext, wish: Wish) -> Callable[[str], Awaitable[Plan]]:
    from backend.disk.prune import plan

    async def one(host: str) -> Plan:
        engine = await ctx.engine(host)
        ctx.report(f"{host}: its engine counts what it holds ...")
        return await plan(engine, ctx.access, ctx.config, wish)

    return one


def _lines(plan: Plan) -> Iterator[str]:
    for item in plan.items:
        note = f" ({item.note})" if item.note else ""
        yield f"{item.kind} {item.name}{note}, frees {size(item.frees)}"
    for line in plan.stays:
        yield f"stays: {line}"
    count = len(plan.items)
    yield f"{things(count)} go{'es' * (count == 1)}, {size(plan.frees)} free"


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

    def done(plan: Plan, went: Outcome) -> None:
        for each in ctx.data:
            if each["host"] == plan.host:
                each.update(removed=went.removed, freed=went.freed, stayed=went.stayed)

    doomed = [each for each in plans if each.items]
    return await pruning.remove(ctx, doomed, one, failed, words=things, done=done)
