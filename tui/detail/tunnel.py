"""Details of a tunnel: where it leads, and what goes through it."""

from __future__ import annotations

from backend.model import TunnelRow
from backend.text import size
from tui import cells
from tui.detail.page import Page, Sheet, View

_STATES = {"up": "good", "reconnecting": "warn", "silent": "bad"}


def page(target: TunnelRow, view: View) -> Page:
    """The page of one tunnel."""
    sheet = Sheet()
    sheet.field("state", cells.plain(target.state, _STATES.get(target.state, "")))
    if target.note:
        sheet.field("note", cells.plain(target.note, "warn"))
    sheet.field("address", cells.plain(target.url or target.address, "accent"))
    sheet.field("leads to", cells.plain(f"port {target.port} of {target.name or target.host}"))
    sheet.field("host", cells.plain(target.host))
    if target.context:
        sheet.field("context", cells.plain(target.context))
    sheet.field("since", view.clock(target.since))
    sheet.heading("Traffic")
    sheet.field("in", cells.plain(size(target.received)))
    sheet.field("out", cells.plain(size(target.sent)))
    sheet.heading("Connections")
    sheet.field("open now", cells.number(target.connections))
    sheet.field("so far", cells.number(target.served))
    if target.failed:
        sheet.field("failed", cells.plain(str(target.failed), "warn"))
    sheet.heading("Held by")
    sheet.field("berth", cells.plain(f"{target.holder}, process {target.pid}"))
    return Page(
        ("tunnel", target.id), cells.join(cells.plain(target.service), cells.plain(target.host)), sheet
    )
