"""Folders of hosts that are mounted here: how they are, and their end."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from backend.mounts import records
from backend.mounts.model import STALE, MountRow
from backend.mounts.show import complaints
from backend.text import printable
from tui.header import KeyBar
from tui.mounts import columns
from tui.table import FleetTable

if TYPE_CHECKING:
    from tui.app import BerthApp

_EVERY = 3.0
"""Seconds between two looks, each of which asks every mount."""
_EMPTY = "nothing is mounted: m on a host or context mounts a folder of it"


class MountScreen(Screen[None]):
    """All mounts of berth's, whoever made them."""

    BINDING_GROUP_TITLE = "Mounts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "back", id="mounts-back"),
        Binding("u", "unmount", "unmount", id="mounts-unmount"),
        Binding("S", "stale", "unmount all stale", id="mounts-stale"),
        Binding("c", "copy", "copy folder", id="mounts-copy"),
        Binding("r", "again", "look again", id="mounts-again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._looking = False

    @property
    def berth(self) -> BerthApp:
        """The app, as what it is."""
        return cast("BerthApp", self.app)

    @property
    def table(self) -> FleetTable:
        """The mounts."""
        return self.query_one(FleetTable)

    def compose(self) -> ComposeResult:
        """The mounts, what is to be said of the chosen one, and the keys."""
        yield FleetTable(
            columns.columns(),
            key=attrgetter("id"),
            look=columns.look,
            narrow=columns.narrow(),
            id="mounts-table",
        )
        yield Static("", id="mounts-state", markup=False)
        yield KeyBar(id="mounts-keys")

    def on_mount(self) -> None:
        """Look at once, and again and again."""
        self.table.focus()
        self.action_again()
        self.set_interval(_EVERY, self.action_again)

    def action_again(self) -> None:
        """Ask every mount how it is."""
        if not self._looking:
            self._looking = True
            self.run_worker(self._look(), group="mounts", exit_on_error=False)

    async def _look(self) -> None:
        try:
            found = await records.rows()
        finally:
            self._looking = False
        self.table.set_rows(found)
        self._say(found)
        self.refresh_bindings()

    def _say(self, found: list[MountRow]) -> None:
        wrong = complaints(found)
        words = wrong[0] if wrong else f"{len(found)} mounted" if found else _EMPTY
        style = "$text-warning" if wrong else "$text-muted"
        self.query_one("#mounts-state", Static).update(Content.styled(f" {printable(words, 300)}", style))

    def on_fleet_table_moved(self, event: FleetTable.Moved) -> None:
        """Another row: other keys."""
        event.stop()
        self.refresh_bindings()

    def on_fleet_table_opened(self, event: FleetTable.Opened) -> None:
        """Enter: its folder on the clipboard, as there is nothing more to see."""
        event.stop()
        self.action_copy()

    # ------------------------------------------------------------------------------------------ keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where they do something."""
        table = next(iter(self.query(FleetTable)), None)
        rows = list(table.rows) if table is not None else []
        if action in ("unmount", "copy"):
            return bool(rows)
        if action == "stale":
            return any(row.state in STALE for row in rows)
        return True

    def action_leave(self) -> None:
        """Back; what is mounted stays."""
        self.dismiss(None)

    def action_unmount(self) -> None:
        """End the marked ones, or the one under the cursor."""
        rows: list[MountRow] = self.table.targets()
        if rows:
            self.table.clear_marks()
            self._do({"what": tuple(row.id for row in rows)})

    def action_stale(self) -> None:
        """End all that do not answer."""
        self._do({"stale": True})

    def _do(self, options: dict[str, Any]) -> None:
        if self.berth.doing is None:
            self.notify("Not connected yet.", markup=False, timeout=4)
            return
        run = self.berth.doing.begin("umount", options)
        if run.task is not None:
            run.task.add_done_callback(self._done)

    def _done(self, task: Any) -> None:
        """Something ended: look what is left."""
        if self.is_attached:
            self.action_again()

    def action_copy(self) -> None:
        """Copy the folder's name."""
        row: MountRow | None = self.table.row
        if row is not None:
            self.app.copy_to_clipboard(row.folder)
            self.notify(printable(row.folder, 200), title="Copied", markup=False, timeout=3)
