"""From the sessions to the wall, and how a session comes to be watched. Light: the rest is imported then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backend.actions import Action
    from backend.model import SessionRow
    from tui.app import BerthApp
    from tui.wall.watchman import Watchman


def open_wall(app: BerthApp, rows: Sequence[SessionRow]) -> Watchman | None:
    """Show the panes of these sessions; who looks at them, if there is a fleet."""
    from backend.wall import session_key
    from tui.desk import Wanted
    from tui.wall.screen import WallScreen

    watchman = _watchman(app)
    if watchman is None or not rows:
        if watchman is not None:
            app.notify("There is no session to show.", markup=False, timeout=4)
        return watchman

    def every() -> Sequence[SessionRow]:
        return app.sources.builder.sessions(watchman.state)

    def attach(row: SessionRow) -> None:
        app.post_message(Wanted("attach-session", [row]))

    def watch(row: SessionRow) -> None:
        toggle_watch(app, [row])

    keys = [session_key(row) for row in rows]
    app.push_screen(WallScreen(keys, every, watchman, attach, watch))
    return watchman


def toggle_watch(app: BerthApp, rows: Sequence[SessionRow]) -> Watchman | None:
    """Watch these sessions, after asking what for; if all of them are watched: not any more."""
    from backend.errors import BerthError
    from backend.logs.pattern import pattern
    from backend.wall import session_key

    watchman = _watchman(app)
    if watchman is None or not rows:
        return watchman
    if all(watchman.of_row(row) for row in rows):
        for row in rows:
            watchman.unwatch(session_key(row))
        app.notify(_named(rows), title="Not watched any more", markup=False, timeout=4)
        return watchman
    from tui.forms import Form

    def answered(answer: dict[str, Any] | None) -> None:
        if answer is None:
            return
        try:
            wanted = pattern(answer["matches"] or "")
        except BerthError as error:
            app.report(error)
            return
        for row in rows:
            watchman.watch(row, silence=answer["silence"] or None, pattern=wanted)

    app.push_screen(Form(f"Watch {_named(rows)}", _question()), answered)
    return watchman


def _question() -> Action:
    """What is asked, as the form takes it."""
    from backend.actions.registry import Action, Option, Param
    from backend.model import SessionRow
    from backend.wall.alerts import SILENCE

    async def nothing() -> None:
        """Watching is a thing of the dashboard alone."""

    return Action(
        name="watch",
        on=SessionRow,
        verb=(),
        title="watch",
        summary="Tells you when the session goes silent, writes what you wait for, or ends.",
        details="",
        call=nothing,
        params=(
            Param("silence", float, SILENCE, Option("seconds without output; 0: never mind")),
            Param("matches", str, None, Option("text, !text or /regex/ to wait for"), optional=True),
        ),
    )


def _named(rows: Sequence[SessionRow]) -> str:
    from backend.text import printable

    return printable(f"{rows[0].host}/{rows[0].name}", 60) if len(rows) == 1 else f"{len(rows)} sessions"


def _watchman(app: BerthApp) -> Watchman | None:
    from tui.wall.watchman import Watchman

    found = Watchman.of(app)
    if found is None:
        app.notify("Not connected yet.", markup=False, timeout=4)
    return found
