"""A list on a page of its own: asked for when it is opened, and again and again while it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from backend.text import printable
from tui.header import KeyBar
from tui.table import FleetTable

if TYPE_CHECKING:
    from tui.app import BerthApp


class ListPage(Screen[None]):
    """What such pages have in common: a table, a line that says how it stands, and the keys."""

    EVERY: ClassVar[float] = 3.0
    """Seconds between two looks."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "back", id="page-back"),
        Binding("c", "copy", "copy", id="page-copy"),
        Binding("r", "again", "look again", id="page-again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._looking = False

    # -------------------------------------------------------------------- what a page fills in

    def make_table(self) -> FleetTable:
        """An empty one."""
        raise NotImplementedError

    async def find(self) -> tuple[Sequence[Any], str, bool]:
        """The rows, what is to be said of them, and whether that is bad."""
        raise NotImplementedError

    def text_of(self, row: Any) -> str:
        """What is copied of a row."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------- the page

    @property
    def berth(self) -> BerthApp:
        """The app, as what it is."""
        return cast("BerthApp", self.app)

    @property
    def table(self) -> FleetTable:
        """The list."""
        return self.query_one(FleetTable)

    @property
    def shown(self) -> list[Any]:
        """Its rows; none before there is a table."""
        table = next(iter(self.query(FleetTable)), None)
        return list(table.rows) if table is not None else []

    def compose(self) -> ComposeResult:
        """The list, how it stands, and the keys."""
        yield self.make_table()
        yield Static("", classes="page-state", markup=False)
        yield KeyBar(id="page-keys")

    def on_mount(self) -> None:
        """Look at once, and again and again."""
        self.table.focus()
        self.action_again()
        self.set_interval(self.EVERY, self.action_again)

    def action_again(self) -> None:
        """Look how everything is now; one look at a time."""
        if not self._looking:
            self._looking = True
            self.run_worker(self._look(), group="page", exit_on_error=False)

    async def _look(self) -> None:
        try:
            rows, words, bad = await self.find()
        except Exception as error:
            self.berth.report(error)
            return
        finally:
            self._looking = False
        self.table.set_rows(rows)
        style = "$text-warning" if bad else "$text-muted"
        self.query_one(".page-state", Static).update(Content.styled(f" {printable(words, 400)}", style))
        self.refresh_bindings()

    def on_fleet_table_moved(self, event: FleetTable.Moved) -> None:
        """Another row: other keys."""
        event.stop()
        self.refresh_bindings()

    def on_fleet_table_opened(self, event: FleetTable.Opened) -> None:
        """Enter: its text on the clipboard, as there is nothing more to see."""
        event.stop()
        self.action_copy()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where they do something."""
        return bool(self.shown) if action == "copy" else True

    def action_leave(self) -> None:
        """Back; what runs goes on."""
        self.dismiss(None)

    def action_copy(self) -> None:
        """Copy what names the row."""
        if (row := self.table.row) is not None:
            text = self.text_of(row)
            self.app.copy_to_clipboard(text)
            self.notify(printable(text, 200), title="Copied", markup=False, timeout=3)

    def begin(self, action: str, options: Mapping[str, Any]) -> None:
        """Do something to the fleet, and look again when it is done."""
        if self.berth.doing is None:
            self.notify("Not connected yet.", markup=False, timeout=4)
            return
        run = self.berth.doing.begin(action, options)
        if run.task is not None:
            run.task.add_done_callback(self._done)

    def _done(self, task: Any) -> None:
        if self.is_attached:
            self.action_again()
