"""What the actions that prune share: hosts, a plan for each, one question for all, what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from backend.actions.context import ActionContext
from backend.errors import ActionFailed, BerthError
from backend.text import printable, size


class Planned(Protocol):
    """What is to go on one host."""

    @property
    def host(self) -> str:
        """Its nick."""

    @property
    def frees(self) -> int:
        """Bytes."""


class Went(Protocol):
    """What went on one host."""

    removed: int
    freed: int
    """Bytes."""
    stayed: list[str]
    """Why something that was to go did not."""


P = TypeVar("P", bound=Planned)
W = TypeVar("W", bound=Went)


def hosts(ctx: ActionContext, said: Sequence[str], *, dry_run: bool) -> list[str]:
    """The named ones, else all with an engine that may be changed. Raises `NoSuchTarget`."""
    for each in said:
        ctx.config.host(each)
    return list(dict.fromkeys(said)) or [
        each.name
        for each in ctx.config.hosts
        if not each.skip and each.engine != "none" and (dry_run or not each.read_only)
    ]


async def plans(
    ctx: ActionContext,
    names: Sequence[str],
    plan: Callable[[str], Awaitable[P]],
    lines: Callable[[P], Iterable[str]],
    *,
    named: bool,
) -> tuple[list[P], list[BerthError]]:
    """What would go on each host, said line by line; and who could not be asked.

    Unless they were `named`, some hosts may have no engine at all: that is said, and is no failure as long as
    another one answers.
    """

    async def one(name: str) -> P | BerthError:
        try:
            return await plan(name)
        except BerthError as error:
            return error

    found: list[P] = []
    failed: list[BerthError] = []
    for answer in await asyncio.gather(*map(one, names)):
        if isinstance(answer, BerthError):
            failed.append(answer)
            ctx.report(printable(str(answer), 600))
            continue
        found.append(answer)
        for line in lines(answer):
            ctx.report(printable(f"{answer.host}: {line}", 400))
    return found, failed if named or not found else []


def question(doomed: Sequence[tuple[Planned, Sequence[str]]], count: str, most: int) -> str:
    """`count`: how many things in all, in words; `most`: how many are named one by one for each host."""
    parts = []
    for each, names in doomed:
        if names:
            more = f" and {len(names) - most} more" if len(names) > most else ""
            parts.append(f"on {each.host}: {', '.join(names[:most])}{more} ({size(each.frees)})")
    total = size(sum(each.frees for each, _ in doomed))
    return f"Remove {count} ({total})? {'; '.join(parts)}"


async def remove(
    ctx: ActionContext,
    doomed: Sequence[P],
    call: Callable[[P], Awaitable[W]],
    failed: Sequence[BerthError],
    *,
    words: Callable[[int], str],
    done: Callable[[P, W], None] = lambda plan, went: None,
) -> str:
    """Remove on all hosts side by side; what went in all. `words` counts things; `done` hears of each host.

    Raises `ActionFailed` with the first thing that went wrong, those of `failed` included.
    """
    answers = await asyncio.gather(*map(call, doomed), return_exceptions=True)
    removed = freed = stayed = 0
    bad = list(failed)
    for plan, answer in zip(doomed, answers, strict=True):
        if isinstance(answer, BerthError):
            bad.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            removed, freed = removed + answer.removed, freed + answer.freed
            stayed += len(answer.stayed)
            for line in answer.stayed:
                ctx.report(printable(f"{plan.host}: stays: {line}", 400))
            done(plan, answer)
    what = f"removed {words(removed)}, {size(freed)} free"
    if bad:
        raise ActionFailed(f"{what}; {bad[0].message}", hint=bad[0].hint)
    return what + (f"; {stayed} stayed" if stayed else "")
