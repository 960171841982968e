"""Plans and results in words, for the command line and the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.sync.host.walk import decoded
from backend.sync.model import Change, Pair, Plan
from backend.text import printable, size

SIGNS = {
    "new": "+",
    "changed": "~",
    "deleted": "-",
    "conflict": "!",
    "kind": "!",
    "newer": "<",
    "large": ">",
    "link": "@",
}
WORDS = {
    "new": "new",
    "changed": "changed",
    "deleted": "deleted",
    "conflict": "conflict",
    "kind": "not alike",
    "newer": "newer there",
    "large": "too large",
    "link": "leads out",
}


def path_of(change: Change, pairs: Sequence[Pair]) -> str:
    """Where a change is, as the profile writes the folder."""
    root = pairs[change.pair].there.rstrip("/")
    return f"{root}/{decoded(change.path)}" + ("/" if change.folder else "")


def short_path_of(change: Change, pairs: Sequence[Pair]) -> str:
    """The same where there is little room: of a full path only the folder that the rule names."""
    path, root = path_of(change, pairs), pairs[change.pair].there.rstrip("/")
    return path[root.rindex("/") + 1 :] if root.startswith("/") else path


def line(change: Change, pairs: Sequence[Pair]) -> str:
    """A change in one line."""
    note = f"  ({change.note})" if change.note else ""
    way = "" if change.way == "push" else " back" if change.kind in ("new", "changed") else ""
    return (
        f"{SIGNS[change.kind]} {WORDS[change.kind] + way:<12} "
        f"{'' if change.folder else size(change.size):>7}  {printable(path_of(change, pairs), 400)}"
        f"{printable(note, 200)}"
    )


def files(count: int) -> str:
    """So many files."""
    return f"{count:,} file{'s' * (count != 1)}"


def where(plans: Sequence[Plan]) -> str:
    """Where these plans delete or replace for good: hosts, or this machine; and why it cannot be undone."""
    found = [
        (plan.host if each.way == "push" else "this machine") + (f" ({plan.final})" if plan.final else "")
        for plan in plans
        for each in (plan.changes if plan.final else plan.of("deleted"))
    ]
    return ", ".join(dict.fromkeys(found))


def question(plans: Sequence[Plan]) -> str:
    """What somebody has to agree to."""
    total = sum(not each.folder for plan in plans for each in plan.of("deleted"))
    what = (
        "Replace the folder" if not total and any(plan.final for plan in plans) else f"Delete {files(total)}"
    )
    return f"{what} on {where(plans)}?"


def summary(plan: Plan) -> str:
    """A plan in one line."""
    parts = []
    for kind, word in WORDS.items():
        found = [each for each in plan.of(kind) if not each.folder]  # type: ignore[arg-type]
        if found:
            total = sum(each.size for each in found)
            parts.append(f"{len(found):,} {word} ({size(total)})")
    folders = [each for each in plan.of("new", "deleted") if each.folder]
    if folders and not parts:
        parts.append(f"{len(folders):,} folders")
    if plan.final:
        parts.append(plan.final)
    return ", ".join(parts) or f"nothing to do, {plan.same:,} the same"


def as_json(plan: Plan, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """The changes of a plan, as `--dry-run --json` prints them."""
    return [
        {
            "kind": each.kind,
            "way": each.way,
            "path": printable(path_of(each, pairs), 4000),
            "bytes": each.size,
            "folder": each.folder,
            "note": each.note or None,
        }
        for each in plan.changes
    ]
