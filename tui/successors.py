"""The cursor goes with a container that is made again: it has another id then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.actions.runs import Run
    from tui.table import FleetTable
    from tui.views.base import ListView


class Successors:
    """Remembers which cursors were on what is made again."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[FleetTable, int]] = {}
        """Run to the table whose cursor was on its target, and how often that had been moved."""

    def news(self, run: Run, view: ListView) -> None:
        """A run began, went on or ended while `view` is shown. A cursor that was moved meanwhile stays."""
        if run.state == "running":
            self._begin(run, view)
            return
        table, moves = self._began.pop(run.id, (None, 0))
        made = run.notes.get("container")
        if table is not None and made and table.moves == moves:
            table.await_row((run.target.host, made))

    def _begin(self, run: Run, view: ListView) -> None:
        row, kind = view.table.row, view.ROW
        if row is None or kind is None or not isinstance(run.target, kind) or run.id in self._began:
            return
        key = type(view).KEY
        if key(row) == key(run.target):
            self._began[run.id] = view.table, view.table.moves
