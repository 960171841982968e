"""Activity (8): actions that run, and those that ended, of this dashboard and of every other berth."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from backend.actions.runs import Run, Runs
from backend.activity import ActivityRow
from backend.text import duration
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.views.base import ListView
from tui.views.make import figures, words

_STATES = {"running": "accent", "done": "good", "failed": "bad", "cancelled": "warn", "lost": "warn"}
_SIGNS = {"running": "▸", "done": "✓", "failed": "!", "cancelled": "x", "lost": "?"}


class RunChanged(Message):
    """An action said something, got further, or ended."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


class ActivityView(ListView):
    """What was done, newest first."""

    ROW = ActivityRow
    KEY = attrgetter("id")
    EMPTY: ClassVar[tuple[str, str]] = (
        "Actions that run, and those that ended, with what they said.",
        "Nothing was done yet: x on a row shows all that can be done to it.",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+k", "cancel_run", "cancel", id="cancel-run"),
        Binding("R", "retry_run", "again", id="retry-run"),
    ]

    runs: Runs | None = None
    """Those of this process, once there is a fleet."""
    _past: list[ActivityRow] | None = None

    def make_columns(self) -> Sequence[Column[Any]]:
        """All columns."""
        return (
            words("state", "STATE", 11, lambda r: r.state, cell=_state),
            figures("started", "STARTED", 9, lambda r: cells.age(r.started_at), lambda r: r.started_at),
            words("action", "ACTION", 14, lambda r: r.title),
            words("target", "TARGET", 24, lambda r: r.target, grow=2),
            figures("took", "TOOK", 9, _took, lambda r: r.seconds, priority=2),
            words("message", "WHAT IT SAID", 30, _said, grow=5, priority=1),
        )

    def make_narrow(self) -> Sequence[Column[Any]]:
        """How it stands, and what it was."""
        return (
            words("state", "STATE", 3, lambda r: r.state, cell=lambda r: _state(r)[:1]),
            words("action", "ACTION", 8, lambda r: r.title, grow=1),
            words("target", "TARGET", 12, lambda r: r.target, grow=2),
        )

    def make_rows(self) -> Sequence[ActivityRow]:
        """Running ones first; the log is read when the view is first shown."""
        own = [run.row() for run in self.runs.runs] if self.runs is not None else []
        if self._past is None and self.runs is not None:
            self._past = self.runs.log.read()
        ids = {row.id for row in own}
        rows = own + [row for row in self._past or () if row.id not in ids]
        return sorted(rows, key=lambda row: (row.state != "running", _newest(row)))

    def reread(self) -> None:
        """Read the log again: other berths write to it too."""
        self._past = None

    def look(self, row: ActivityRow) -> Look:
        """What failed carries a `!`."""
        return Look("", "bad") if row.state == "failed" else Look()

    def host_of(self, row: ActivityRow) -> str:
        """The host it was done on."""
        return row.host or ""

    def run_of(self, row: ActivityRow | None) -> Run | None:
        """The run behind a row, if it is one of ours."""
        runs = self.runs.runs if self.runs is not None else []
        return next((run for run in runs if row is not None and run.id == row.id), None)

    def open_row(self, row: ActivityRow) -> bool:
        """Enter: everything it said."""
        from tui.output import OutputScreen

        self.app.push_screen(OutputScreen(self.run_of(row), row))
        return True

    def shape(self) -> Any:
        """Cancelling is for what runs, doing again for what this dashboard did."""
        row = self.table.row
        return (self.NAME, row and row.state, self.run_of(row) is None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where they do something."""
        run = self.run_of(self.table.row)
        if action == "cancel_run":
            return run is not None and run.state == "running"
        if action == "retry_run":
            return run is not None and run.state != "running"
        return True

    def why_not(self, action: str) -> str:
        """How the action stands instead."""
        row = self.table.row
        if row is None or action not in ("cancel_run", "retry_run"):
            return ""
        title = "cancel" if action == "cancel_run" else "again"
        if self.run_of(row) is None:
            return f"{title}: another berth did it"
        return f"{title}: {row.title} is {row.state}"

    def action_cancel_run(self) -> None:
        """End the action; its clean-up still runs."""
        if run := self.run_of(self.table.row):
            run.cancel()

    def action_retry_run(self) -> None:
        """Do the same once more."""
        run = self.run_of(self.table.row)
        if run is not None and self.runs is not None:
            self.runs.retry(run)


def _newest(row: ActivityRow) -> float:
    return -row.started_at.timestamp()


def _state(row: ActivityRow) -> Cell:
    style = _STATES.get(row.state, "")
    return ((f"{_SIGNS.get(row.state, ' ')} ", style), (row.state, style))


def _took(row: ActivityRow) -> Cell:
    if row.state == "running" and row.done is not None and row.total:
        return cells.percent(100 * row.done / row.total)
    return ((duration(row.seconds), ""),) if row.seconds is not None else cells.EMPTY


def _said(row: ActivityRow) -> str:
    return row.message or (row.output[-1] if row.output else "")
