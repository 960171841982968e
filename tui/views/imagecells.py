"""Images to cells: names with what leads to them in the tree, hosts, freshness, users."""

from __future__ import annotations

from backend.imagelines import NAMELESS, ImageLine
from backend.model import ImageRow
from backend.text import printable
from tui import cells
from tui.columns import Cell

STYLES = {"fresh": "good", "stale": "warn", "building": "accent", "missing": "dim"}
SIGNS = {"fresh": "✓", "stale": "~", "building": "▸", "missing": "·"}
_SHOWN = 12
"""Hosts and users that are written one by one; a cell is cut to its column anyway."""


def name(line: ImageLine) -> Cell:
    """The name; in the tree its branch and its recipe first; `≠` where hosts have several of that name."""
    branch: Cell = ((line.branch, "dim"),) if line.branch else ()
    if line.name == NAMELESS:
        return (*branch, (NAMELESS, "dim"))
    repository, colon, tag = line.name.rpartition(":")
    if not colon or "/" in tag:
        repository, colon, tag = line.name, "", ""
    differs: Cell = ((" ≠", "warn"),) if line.differs else ()
    if line.branch and line.recipe:  # names of a stack begin alike, and end where a column is cut
        return (
            *branch,
            (printable(line.recipe, 100), ""),
            *differs,
            (f"  {printable(line.name, 300)}", "dim"),
        )
    return (*branch, (printable(repository, 300), ""), (colon + printable(tag, 130), "dim"), *differs)


def hosts(line: ImageLine) -> Cell:
    """Who has it."""
    if not line.places:
        return (("nowhere", "dim"),)
    names = [printable(each.host, 60) for each in line.places[:_SHOWN]]
    more = len(line.places) - len(names)
    count: Cell = ((f"{len(line.places)}: ", "dim"),) if len(line.places) > 1 else ()
    return (*count, (" ".join(names), ""), *(((f" +{more}", "dim"),) if more else ()))


def state_text(line: ImageLine) -> str:
    """`stale: its recipe changed`."""
    if line.state is None:
        return ""
    return f"{line.state}: {line.reason}" if line.reason else line.state


def state(line: ImageLine) -> Cell:
    """How it stands to its recipe, and why."""
    if line.state is None:
        return cells.EMPTY
    style = STYLES.get(line.state, "")
    word = (f"{SIGNS.get(line.state, '')} {line.state}", style)
    if not line.reason:
        return (word,)
    return (word, (f" {printable(_short(line.reason), 200)}", "" if line.state == "building" else "dim"))


def _short(reason: str) -> str:
    """What has changed, without the words that say so: the column is narrow, the details have all of it."""
    for end in (" has changed", ", have changed", " have changed"):
        if reason.endswith(end):
            return reason.removesuffix(end).removeprefix("its ")
    return reason


def users(line: ImageLine) -> Cell:
    """How many use it, and who."""
    if not line.users:
        return cells.EMPTY
    several = len(line.places) > 1
    names = [
        f"{f'{each.host}/' if several else ''}{user.partition(' ')[2]}"
        for each in line.places
        for user in each.used_by
    ]
    shown = printable(" ".join(names[:_SHOWN]), 300)
    return ((f"{line.users} ", ""), (shown, "dim"))


def by_host(line: ImageLine) -> Cell:
    """Each host that has it, with how it stands there."""
    spans: list[tuple[str, str]] = []
    for each in line.places[: 2 * _SHOWN]:
        spans.append((f"{'  ' if spans else ''}{printable(each.host, 60)}{_sign(each)}", _style(each)))
    spans += [(f"{'  ' if spans else ''}{printable(host, 60)} ·", "dim") for host in line.lacking[:_SHOWN]]
    more = len(line.places) - 2 * _SHOWN
    return (*spans, *(((f"  +{more}", "dim"),) if more > 0 else ()))


def _sign(row: ImageRow) -> str:
    sign = SIGNS.get(row.state or "", "")
    how_far = row.reason if row.state == "building" else ""
    return f" {sign}{how_far}" if sign else ""


def _style(row: ImageRow) -> str:
    return "dim" if row.stale else STYLES.get(row.state or "", "")
