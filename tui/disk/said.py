"""What the disk page says of a host in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.disk import words
from backend.text import duration

if TYPE_CHECKING:
    from tui.disk.state import Looking


def itself(looking: Looking) -> str:
    """The folder that is shown."""
    found = looking.listing
    if found is None:
        return ""
    files = f"{found.itself.files:,}{'+' if found.itself.sampled else ''} files"
    more = f", and {found.more:,} smaller ones" if found.more else ""
    return f"{words.about(found.itself)}  {files}{more}"


def state_of(looking: Looking) -> tuple[list[str], str]:
    """The line below: what went wrong, else how far it is."""
    wrong = [each for each in (looking.problem, looking.disk_problem) if each]
    if wrong:
        return wrong, "$text-error"
    said = []
    found = looking.progress
    if looking.running:
        said.append(f"reading: {found.folders:,} folders, {found.files:,} files in {duration(found.seconds)}")
    elif looking.listing is not None:
        said.append(words.sure(looking.listing.scan))
        said += words.unread(looking.listing.scan)
    else:
        said.append(f"asking {looking.host}")
    if looking.counting:
        said.append("the engine counts")
    elif looking.engine_problem and looking.use is None:
        said.append(looking.engine_problem)
    return said, "$text-muted"


def first_holding(looking: Looking, owner: str) -> str:
    """The folder that holds most of what a user has."""
    for each in looking.owners or ():
        if each.owner == owner and each.holdings:
            return each.holdings[0][0]
    return ""
