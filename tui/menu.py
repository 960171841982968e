"""`x`: all that can be done to a row. Typing narrows the list; what the chosen line means stands below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from backend.text import printable
from tui.fitting import fit, text_of

NO_ROOM = 70
"""Below this many cells a line is the title and its key."""
_TITLE = (18, 24)
"""Cells for titles at least and at most, where something stands behind them."""


class Entry(NamedTuple):
    """One thing that can be done."""

    name: str
    title: str
    key: str
    """As it is written; empty: none."""
    summary: str
    danger: bool
    """Whether it is asked about first."""
    common: bool
    """Whether it stands in the footer."""
    own: bool
    """Whether it is done to the row, not to the fleet as a whole."""


def arranged(entries: Sequence[Entry], typed: str = "") -> list[Entry]:
    """Those that hold all typed words, in their title first; the row's own first, common ones next."""
    words = typed.lower().split()

    def rank(entry: Entry) -> tuple[bool, int, bool, bool, bool]:
        title = entry.title.lower()
        found = 0 if title.startswith(typed.lower().strip()) else 1 if all(w in title for w in words) else 2
        return (not entry.own, found, not entry.common, not entry.key, entry.danger)

    held = [each for each in entries if all(w in f"{each.title} {each.summary}".lower() for w in words)]
    return sorted(held, key=rank)


class Menu(ModalScreen[str | None]):
    """A list that is narrowed by typing. Answers a name, or None."""

    BINDING_GROUP_TITLE = "All actions"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "cancel", id="menu-cancel"),
        Binding("down", "list('cursor_down')", "Next", show=False, id="menu-down", priority=True),
        Binding("up", "list('cursor_up')", "Previous", show=False, id="menu-up", priority=True),
        Binding("pagedown", "list('page_down')", "Page down", show=False, id="menu-page-down", priority=True),
        Binding("pageup", "list('page_up')", "Page up", show=False, id="menu-page-up", priority=True),
    ]

    def __init__(self, title: str, entries: Sequence[Entry]) -> None:
        super().__init__()
        self._heading, self._entries = title, list(entries)
        self._shown: list[Entry] = []

    def compose(self) -> ComposeResult:
        """What is typed, the list, and what the chosen line means."""
        with Vertical(classes="dialog menu") as dialog:
            dialog.border_title = Content(printable(self._heading, 60))
            dialog.border_subtitle = Content("type to find · enter do it · esc cancel")
            yield Input(placeholder="type to find", compact=True, id="menu-input", select_on_focus=False)
            with OptionList(id="menu-list") as found:
                found.can_focus = False
            yield Static("", id="menu-what", markup=False)

    def on_mount(self) -> None:
        """Show all."""
        self.query_one(Input).focus()
        self._show("")

    def on_resize(self) -> None:
        """Lines have another width now."""
        self._show(self.query_one(Input).value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what holds it."""
        event.stop()
        self._show(event.value)

    def _show(self, typed: str) -> None:
        self._shown = arranged(self._entries, typed)
        found = self.query_one(OptionList)
        found.clear_options()
        least, most = _TITLE
        longest = max((cell_len(entry.title) for entry in self._shown), default=0)
        wide = max(least, min(most, longest)) if self.app.size.width >= NO_ROOM else 0
        for before, entry in zip([None, *self._shown], self._shown, strict=False):
            if before is not None and before.own and not entry.own:
                found.add_option(None)
            found.add_option(Option(_line(entry, wide), id=entry.name))
        found.highlighted = 0 if self._shown else None
        if not self._shown:
            self.query_one("#menu-what", Static).update("Nothing is called like that.")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say what it does."""
        event.stop()
        entry = next((each for each in self._shown if each.name == event.option_id), None)
        self.query_one("#menu-what", Static).update(Content(entry.summary if entry else ""))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The answer."""
        event.stop()
        self.query_one(OptionList).action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """The answer."""
        event.stop()
        self.dismiss(event.option_id)

    async def action_list(self, action: str) -> None:
        """Hand a key on to the list."""
        await self.query_one(OptionList).run_action(action)

    def action_leave(self) -> None:
        """Do nothing."""
        self.dismiss(None)


def _line(entry: Entry, wide: int) -> Content:
    """`wide`: cells of the title's column, where there is room for what it means; 0: there is none."""
    mark = ("!", "$text-warning") if entry.danger else (" ", "")
    key = (entry.key.ljust(5), "$text-accent")
    title = text_of(fit(((entry.title, ""),), wide)) if wide else entry.title.ljust(_TITLE[0])
    summary = (entry.summary.rstrip("."), "$text-muted") if wide else ("", "")
    return Content.assemble(mark, " ", (title, "bold"), " ", key, " ", summary)
