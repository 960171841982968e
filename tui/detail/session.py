"""Details of a tmux session: its windows, and what runs in their panes."""

from __future__ import annotations

from backend.model import SessionRow, TmuxPane
from tui import cells
from tui.detail.page import Page, Sheet, View


def page(target: SessionRow, view: View) -> Page:
    """The page of a tmux session."""
    host = view.host(target.host)
    found = next(
        (s for s in (host.sessions if host else ()) if (s.socket, s.id) == (target.socket, target.id)), None
    )
    sheet = Sheet()
    if found is None:
        sheet.text((("This session has ended.", "warn"),))
    session = found or target
    sheet.field("host", cells.plain(target.host))
    sheet.field("user", cells.plain(session.user))
    if target.context:
        sheet.field("context", cells.plain(target.context, "accent"))
    watching = f"{session.attached} {'terminal' if session.attached == 1 else 'terminals'}"
    sheet.field("attached", ((watching, "good"),) if session.attached else (("no", "dim"),))
    sheet.field("created", view.clock(session.created_at))
    sheet.field("active", view.clock(session.activity_at))
    sheet.field("socket", cells.plain(session.socket, "dim"))
    for number in dict.fromkeys(pane.window for pane in session.panes):
        panes = [pane for pane in session.panes if pane.window == number]
        sheet.heading(f"Window {number}", cells.plain(panes[0].window_name))
        _panes(sheet, panes)
    title = cells.join(cells.plain(session.name), (("on", "dim"),), cells.plain(target.host))
    return Page(("session", target.host, target.socket, target.id), title, sheet)


def _panes(sheet: Sheet, panes: list[TmuxPane]) -> None:
    sheet.table(
        ("PANE", "COMMAND", "SIZE", "PATH"),
        [
            (
                ((f"{pane.index}{' *' if pane.active else ''}", "accent" if pane.active else ""),),
                (("ended", "dim"),) if pane.dead else cells.plain(pane.command),
                ((f"{pane.width}x{pane.height}", "dim"),),
                cells.plain(pane.path),
            )
            for pane in panes
        ],
    )
