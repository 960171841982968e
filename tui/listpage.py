"""A list on a page of its own: asked for when it is opened, and again and again while it is shown."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.page import Page
from tui.table import FleetTable

if TYPE_CHECKING:
    from backend.actions.runs import Run


class ListPage(Page):
    """What such pages have in common: a table."""

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

    @abstractmethod
    def make_table(self) -> FleetTable:
        """An empty one."""

    @abstractmethod
    async def find(self) -> tuple[Sequence[Any], str, bool]:
        """The rows, what is to be said of them, and whether that is bad."""

    @abstractmethod
    def text_of(self, row: Any) -> str:
        """What is copied of a row."""

    # ------------------------------------------------------------------------------- the page

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
        yield from self.foot()

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
        self.say(words, "$text-warning" if bad else "$text-muted")
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

    def action_copy(self) -> None:
        """Copy what names the row."""
        if (row := self.table.row) is not None:
            text = self.text_of(row)
            self.copy(text, text)

    def begin(self, action: str, options: Mapping[str, Any]) -> Run | None:
        """Do something to the fleet, and look again when it is done."""
        run = super().begin(action, options)
        if run is not None and run.task is not None:
            run.task.add_done_callback(self._done)
        return run

    def _done(self, task: Any) -> None:
        if self.is_attached:
            self.action_again()
