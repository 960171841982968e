"""A page over the others: something to look at, one line that says how it stands, and the keys."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from backend.text import printable
from tui.filter import Field, FilterError, compile_filter
from tui.header import KeyBar
from tui.table import FleetTable, column_text

if TYPE_CHECKING:
    from backend.actions.runs import Run
    from tui.app import BerthApp
    from tui.columns import Column


class Page(Screen[None]):
    """What such pages have in common."""

    FRONT: ClassVar[str] = "page"
    """What the ids of its parts begin with."""

    @property
    def berth(self) -> BerthApp:
        """The app, as what it is."""
        return cast("BerthApp", self.app)

    def foot(self) -> ComposeResult:
        """Comes last in `compose`: the line that says how it stands, and the keys."""
        yield Static("", id=f"{self.FRONT}-state", classes="page-state", markup=False)
        yield KeyBar(id=f"{self.FRONT}-keys")

    def say(self, text: str, style: str = "$text-muted") -> None:
        """How it stands, from now on."""
        self.query_one(".page-state", Static).update(Content.styled(f" {printable(text)}", style))

    def copy(self, text: str, told: str) -> None:
        """Put `text` on the clipboard, and say what was taken."""
        self.app.copy_to_clipboard(text)
        self.notify(printable(told, 200), title="Copied", markup=False, timeout=3)

    def begin(self, action: str, options: Mapping[str, Any]) -> Run | None:
        """Do something to the fleet; None while there is none to do it to."""
        if self.berth.doing is None:
            self.notify("Not connected yet.", markup=False, timeout=4)
            return None
        return self.berth.doing.begin(action, options)

    def action_leave(self) -> None:
        """Back; what runs goes on."""
        self.dismiss(None)


class FilteredPage(Page):
    """A page with a table that is filtered while one types."""

    HINT: ClassVar[str]
    """What can be typed."""

    # ------------------------------------------------------------------------- what a page fills in

    @property
    @abstractmethod
    def filtered(self) -> FleetTable:
        """The table that the filter is for."""

    @abstractmethod
    def searched(self) -> tuple[Sequence[Column[Any]], Callable[[Any], str]]:
        """The columns that a filter can name, and what it searches of a row where it names none."""

    @abstractmethod
    def stand(self) -> None:
        """Say how it stands: another part of the rows is shown."""

    # ------------------------------------------------------------------------------------- the line

    def foot(self) -> ComposeResult:
        """What is looked for stands over the rest."""
        yield Input(
            placeholder=f"filter: {self.HINT}", id=f"{self.FRONT}-input", classes="page-filter -hidden"
        )
        yield from super().foot()

    @property
    def field(self) -> Input:
        """Where the filter is typed."""
        return self.query_one(".page-filter", Input)

    @property
    def filtering(self) -> bool:
        """Whether rows are left out, or may be in a moment."""
        return self.field.has_focus or bool(self.field.value)

    def drop_filter(self) -> None:
        """All rows again."""
        self.field.value = ""
        self._close_filter()

    def _close_filter(self) -> None:
        self.field.add_class("-hidden")
        self.filtered.focus()

    def action_filter(self) -> None:
        """Type which rows to show."""
        self.field.remove_class("-hidden")
        self.field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        event.stop()
        columns, search = self.searched()
        fields = {
            each.key: Field(text=lambda row, each=each: column_text(each, row), value=each.sort)  # type: ignore[misc]
            for each in columns
        }
        try:
            self.filtered.set_filter(compile_filter(event.value, fields, search))
        except FilterError as error:
            self.say(error.message, "$text-error")
            return
        self.stand()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter."""
        event.stop()
        self._close_filter()
