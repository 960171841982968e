"""`berth prepare` and `berth unprepare`: look, plan, show, ask, do, say how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.errors import ActionFailed
from backend.prepare import host, plan, undo, wanted
from backend.prepare.plan import Plan
from backend.prepare.seen import Seen
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import ActionContext


_NAMED = 3
"""Steps that are named where it ended early."""


async def prepare(
    ctx: ActionContext,
    name: str,
    *,
    packages: bool = True,
    git: bool = True,
    key: bool = False,
    dry_run: bool = False,
) -> str:
    """Prepare a host; what was done, in one line."""
    from backend.private import git_identity

    settings = ctx.config.settings
    configuration = {**(await git_identity()), **settings.git} if git else {}
    aim = wanted.wanted(
        settings.folders, packages=settings.packages if packages else (), git=configuration, key=key
    )
    files = [*aim.folders, *aim.files, *wanted.CANDIDATES, wanted.KEY + ".pub"]
    seen = await host.look(await ctx.link(name), files, aim.packages, tuple(aim.git))
    _may_write(name, seen)
    address = ctx.config.host(name).host
    found = plan.prepare(aim, seen, name if address == "local" else address)
    return await carry_out(
        ctx, name, found, dry_run=dry_run, question=f"Prepare {name}", done=f"{name} is prepared",
        nothing=f"{name} is prepared already, nothing was changed",
    )  # fmt: skip


async def unprepare(ctx: ActionContext, name: str, *, packages: bool = False, dry_run: bool = False) -> str:
    """Take away what prepare made on a host; what was done, in one line."""
    seen = await host.look(await ctx.link(name), [])
    if not seen.made:
        return f"nothing on {name} was made by berth prepare"
    _may_write(name, seen)
    found = undo.unprepare(seen, remove_packages=packages)
    return await carry_out(
        ctx, name, found, dry_run=dry_run, question=f"Undo prepare on {name}",
        done=f"what berth prepare made on {name} is gone",
        nothing=f"nothing on {name} can be taken away",
    )  # fmt: skip


def _may_write(name: str, seen: Seen) -> None:
    if not seen.problem:
        return
    hints = {
        "it is not there": f"An administrator can make it: sudo mkhomedir_helper {seen.user}",
        "its disk is full": "Free space there first: du -xh --max-depth=2 ~ shows what holds it.",
    }
    raise ActionFailed(
        f"the home of {printable(seen.user, 40)} on {name}, {printable(seen.home, 200)}, cannot be changed: "
        f"{seen.problem}. Nothing was done.",
        hint=hints.get(seen.problem, "An administrator has to make it writable."),
    )


async def carry_out(
    ctx: ActionContext, name: str, found: Plan, *, question: str, done: str, nothing: str, dry_run: bool
) -> str:
    """Show a plan, ask, do it. Raises `Refused` where the answer is no, `ActionFailed` where it failed."""
    ctx.give(as_data(found, dry_run=dry_run))
    for line in show(found):
        ctx.report(line)
    missing = f"; {len(found.notes)} noted above" if found.notes else ""
    if not (found.before or found.files or found.after):
        return nothing + missing
    if dry_run:
        return f"{_count(found)} would be made on {name}{missing}"
    if found.steps:
        await ctx.agree(f"{question}: {summary(found)}?", f"{name} was left as it is.")
    await perform(ctx, name, found)
    return done + missing


async def perform(ctx: ActionContext, name: str, found: Plan) -> None:
    """Carry out a plan that was agreed to. Raises `ActionFailed` where a part of it failed."""
    if failed := await _do(ctx, name, found):
        why = "; ".join(failed)
        raise ActionFailed(f"{name}: {len(failed)} of {_count(found)} could not be made: {why}.")


async def _do(ctx: ActionContext, name: str, found: Plan) -> list[str]:
    """Carry it out; what of it failed. Raises `ActionFailed` where all of it was put back."""
    steps = [*found.before, *found.files, *found.after]
    waiting = {number for number, step in enumerate(steps) if step.says}
    failed: list[str] = []
    async for line in host.do(await ctx.link(name), found):
        if "failed" in line:
            raise ActionFailed(f"{name}: {printable(str(line['failed']), 300)}. All files are as they were.")
        number = line.get("step")
        if isinstance(number, int) and 0 <= number < len(steps):
            waiting.discard(number)
            said = printable(str(line.get("left") or ""), 2000)
            if not line.get("ok"):
                failed.append(f"{steps[number].says} ({said or 'it says not why'})")
            elif said:
                ctx.report(f"{steps[number].says}: {said}")
                ctx.data["said"].append(said)
        elif text := line.get("line") or line.get("warn"):
            ctx.report(f"  {printable(str(text), 500)}")
    if waiting:
        left = "; ".join(steps[number].says for number in sorted(waiting)[:_NAMED])
        raise ActionFailed(
            f"{name}: it ended early; not known to be done: {left}.",
            hint="What was begun there goes on to its end. Do it again, it does only what is missing.",
        )
    return failed


def show(found: Plan) -> list[str]:
    """A plan in lines for people."""
    lines: list[str] = []
    for step in found.steps:
        lines.append(step.says)
        lines += [f"    {line}" for line in step.diff]
    return lines + [f"note: {note}" for note in found.notes]


def summary(found: Plan) -> str:
    """A plan in half a sentence."""
    kinds: dict[str, list[str]] = {}
    for step in found.steps:
        kinds.setdefault(step.wire["do"], []).append(step.wire.get("path", ""))
    words = {
        "folder": "make {n} folders", "rmdir": "remove {n} folders that are empty", "write": "change {paths}",
        "remove": "remove {paths}", "command": "run the package manager", "git_set": "set {n} values of git",
        "git_unset": "take {n} values out of git", "key_make": "make a deploy key",
        "chmod": "change the mode of {paths}",
    }  # fmt: skip
    return ", ".join(
        words[kind].format(n=len(paths), paths=", ".join(plan.shown(path) for path in paths))
        for kind, paths in kinds.items()
    )


def as_data(found: Plan, *, dry_run: bool) -> dict[str, Any]:
    """A plan for `--json`."""
    return {
        "dry_run": dry_run,
        "changes": [
            {
                "does": step.wire["do"],
                "path": step.wire.get("path"),
                "says": step.says,
                "diff": list(step.diff),
            }
            for step in found.steps
        ],
        "notes": found.notes,
        "said": [],
    }


def _count(found: Plan) -> str:
    number = len(found.steps)
    return f"{number} change{'' if number == 1 else 's'}"
