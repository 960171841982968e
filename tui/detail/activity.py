"""Details of an action that was done: what was asked for, and what it said."""

from __future__ import annotations

from backend.activity import ActivityRow
from backend.text import duration
from tui import cells
from tui.detail.page import Page, Sheet, View

_STYLES = {"done": "good", "failed": "bad", "cancelled": "warn", "lost": "warn", "running": "accent"}


def page(target: ActivityRow, view: View) -> Page:
    """The page of one run of an action."""
    sheet = Sheet()
    sheet.field("state", cells.plain(target.state, _STYLES.get(target.state, "")))
    if target.message:
        sheet.field("said", cells.plain(target.message))
    if target.hint:
        sheet.field("try", cells.plain(target.hint))
    sheet.field("target", cells.plain(target.target))
    sheet.field("started", view.clock(target.started_at))
    if target.seconds is not None:
        sheet.field("took", ((duration(target.seconds), ""),))
    if target.done is not None and target.state == "running":
        sheet.field(
            "progress", ((f"{target.done:,}" + (f" of {target.total:,}" if target.total else ""), ""),)
        )
    for name, value in sorted(target.options.items()):
        if value not in (None, "", (), [], False):
            sheet.field(name.replace("_", " ")[:10], cells.plain(_shown(value)))
    for name, value in target.notes.items():
        sheet.field(name[:10], cells.plain(value, "dim"))
    if target.output:
        sheet.heading("Output", ((f"{len(target.output)} lines, enter shows them all", "dim"),))
        for line in target.output[-200:]:
            sheet.text(cells.plain(line))
    return Page(
        ("activity", target.id), cells.join(cells.plain(target.title), cells.plain(target.target)), sheet
    )


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
