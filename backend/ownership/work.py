"""Ownership kept right: shown first, asked about, begun, ended, listed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend.errors import ActionFailed, NoSuchTarget, UsageError
from backend.ownership.asking import ask
from backend.ownership.host.rules import parsed
from backend.ownership.model import OwnershipRow, counted, row
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.config import Config
    from backend.link import Link

_LOOK = 120.0
"""Seconds that looking through the folders may take."""
_SHOWN = 40
"""Paths that are shown of what would be changed."""


def request(config: Config, folders: Sequence[str], owner: str, group: str, mode: str) -> dict[str, Any]:
    """What a host is told. Raises `UsageError`."""
    try:
        clauses = parsed(mode)
    except ValueError as error:
        raise UsageError(
            f"{error.args[0]!r} is no change of modes.",
            hint="As chmod has it: u+rwX,g+rwX,o-w; s only for g.",
        ) from None
    if owner == "keep" and group in ("", "keep") and not clauses:
        raise UsageError("nothing would be set right.", hint="Say --owner, --group or --mode.")
    names = config.settings.folders
    return {
        "id": secrets.token_hex(3),
        "folders": list(folders) or [names.shared, names.sharedump],
        "optional": not folders,
        "owner": owner,
        "group": group,
        "mode": mode,
        "clauses": clauses,
    }


async def watch(  # what the verb has
    ctx: ActionContext, host: str, wanted: dict[str, Any], *, once: bool, dry_run: bool
) -> str:
    """Show what is wrong, ask, set it right, and keep it so. Raises `BerthError`s."""
    link = await ctx.link(host)
    found = await ask(link, "try", wanted, _LOOK)
    order, status = found["order"], found["status"]
    folders = ", ".join(printable(str(each["path"]), 200) for each in order["folders"])
    who = f"{order['owner']}:{order['group']} {order['mode']}".strip()
    _show(ctx, status)
    count = int(status["changed"])
    things = f"{count:,} thing{'' if count == 1 else 's'}"
    if dry_run:
        ctx.give({"folders": [each["path"] for each in order["folders"]], "wanted": who, **status})
        return _said(ctx, f"{host}: {things} in {folders} would become {printable(who, 200)}")
    if once and not count:
        return _said(ctx, f"{host}: {folders} is {printable(who, 200)} already")
    first = f"{things} in {folders} become" if count else f"What comes into {folders} becomes"
    then = "" if once else ", and what comes too, until berth ownership stop" if count else ""
    await ctx.agree(f"{host}: {first} {printable(who, 200)}{then}. Do it?", f"{host}: not done.")
    if once:
        done = await ask(link, "once", wanted, _LOOK)
        status = done["status"]
        more = "; there was more than time, do it again" if status["unfinished"] else ""
        return _said(ctx, f"{host}: {int(status['changed']):,} set right in {folders}{more}")
    told = await ask(link, "watch", wanted)
    begun = as_row(host, told["watch"])
    ctx.notes["id"] = begun.id
    return _said(ctx, f"{host}: {folders} stays {begun.wanted} (berth ownership stop {host} {begun.id})")


def _said(ctx: ActionContext, text: str) -> str:
    """The last line of what is printed."""
    ctx.report(text)
    return text


def _show(ctx: ActionContext, status: dict[str, Any]) -> None:
    samples = [printable(str(each), 400) for each in status["samples"]]
    for path in samples[:_SHOWN]:
        ctx.report(path)
    more = int(status["changed"]) - min(len(samples), _SHOWN)
    if more > 0:
        ctx.report(f"and {more:,} more")
    for why, count in counted(status):
        ctx.report(f"left as it is, {count:,}: {why}")
    if status["unfinished"]:
        ctx.report(f"and what could not be looked at within {_LOOK:.0f} s")


def as_row(host: str, told: Any) -> OwnershipRow:
    """Raises `ActionFailed` for what cannot be."""
    try:
        return row(host, told)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ActionFailed(f"{host} says what cannot be read of a watch.") from None


async def rows(link: Link) -> list[OwnershipRow]:
    """The watches of a host. Raises `BerthError`s."""
    told = await ask(link, "list", {})
    return [as_row(link.name, each) for each in told["watches"]]


async def stop(link: Link, what: Sequence[str]) -> list[OwnershipRow]:
    """End watches by id or folder, all of ours where none is named. Raises `BerthError`s."""
    told = await ask(link, "stop", {"what": list(what)})
    found = [as_row(link.name, each) for each in told["watches"]]
    if what and not found:
        raise NoSuchTarget(
            f"{link.name} watches nothing called {', '.join(what)}.", hint="See: berth ownership list"
        )
    return found
