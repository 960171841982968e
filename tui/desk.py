"""The screen that is always there, and what its keys do. What it shows is in `stage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import ActiveBinding, Binding, BindingType
from textual.message import Message

from tui.header import HeaderBar
from tui.stage import Stage
from tui.views import LISTED

if TYPE_CHECKING:
    from backend.actions import Action
    from backend.config import Config
    from tui.prompt import Prompt

Place = tuple[str, frozenset[str] | None, str, str]
"""Name of a view, its hosts, what they were called, its filter."""


class Wanted(Message):
    """An action is wanted on these rows."""

    def __init__(self, action: str, rows: Sequence[Any], given: Mapping[str, Any] | None = None) -> None:
        """`given`: what the action's form is filled with."""
        super().__init__()
        self.action, self.rows, self.given = action, list(rows), dict(given or {})


class Desk(Stage):
    """What the keys of the frame do: go to views and back, narrow, order, copy, and act on rows."""

    BINDING_GROUP_TITLE = "Everywhere"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "undo", "back", id="back"),
        *(Binding(str(v.number), f"view('{v.name}')", v.title, show=False, id=v.name) for v in LISTED),
        Binding("greater_than_sign", "containers_here", "containers", id="containers-here"),
        Binding(
            "less_than_sign,backspace", "go_back", "Back to where > was pressed", show=False, id="go-back"
        ),
        Binding("slash", "filter", "filter", id="filter"),
        Binding("colon", "command", "go", id="command"),
        Binding("question_mark,f1", "help", "help", id="help"),
        Binding("x", "menu", "actions", id="menu"),
        Binding("o", "sort", "order", id="sort"),
        Binding("vertical_line", "columns", "Choose columns", show=False, id="columns"),
        Binding("d", "toggle_detail", "Details beside the list", show=False, id="detail-pane"),
        Binding("c", "copy", "copy", id="copy"),
        Binding("C", "copy_rows", "Copy the whole rows", show=False, id="copy-rows"),
        Binding("q", "app.quit", "quit", id="quit"),
    ]

    def __init__(self, config: Config, *, read_only: bool = False) -> None:
        super().__init__(config, read_only=read_only)
        self._visited: list[Place] = []
        self._keyed: set[str] | None = None
        """Views that have the keys of what can be done; None before anything can be done."""
        self._now_doable: frozenset[str] | None = None

    # --------------------------------------------------------------------------------------------- views

    async def action_view(self, name: str) -> None:
        """Show a view as it was left."""
        await self.show_view(name)

    async def on_header_bar_chosen(self, event: HeaderBar.Chosen) -> None:
        """A view was clicked."""
        await self.show_view(event.view)

    async def action_containers_here(self) -> None:
        """Go to the containers of the row under the cursor."""
        before, row = self.view, self.table.row
        if row is None:
            return
        host, search = before.host_of(row), before.containers_filter(row)
        self._visited.append((before.NAME, before.hosts, before.hosts_label, before.filter_text))
        view = await self.show_view("containers")
        view.set_hosts(frozenset({host}), f"@{host}")
        view.set_filter(search)

    async def action_go_back(self) -> None:
        """Go back to where `its containers` was pressed, and show all containers again."""
        if not self._visited:
            return
        name, hosts, label, search = self._visited.pop()
        for view in self.visited():  # another view may be shown by now: what narrows that one stays
            if view.NAME == "containers":
                view.set_hosts(None)
                view.set_filter("")
        view = await self.show_view(name)
        view.set_hosts(hosts, label)
        view.set_filter(search)

    def shape(self) -> Any:
        """The row, what escape would do, and what can be done."""
        return (self.view.shape(), self._undoable(), self._doable())

    def _undoable(self) -> bool:
        view = self.view
        return bool(
            self.has_class("-detail-full") or view.table.marks or view.filter_text or view.hosts_label
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is offered where it does something, the way back where there is one."""
        if not self.ready:
            return False
        if action == "undo":
            return self._undoable() or not self.table.has_focus
        if action == "go_back":
            return bool(self._visited)
        if action in ("containers_here", "copy", "copy_rows"):
            return self.table.row is not None
        if action == "do":
            doable = self._doable() if self._now_doable is None else self._now_doable
            return parameters[0] in doable
        return True

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """As Textual finds them. What can be done is worked out once, not for each of a hundred keys."""
        self._now_doable = self._doable() if self.ready else None
        try:
            return super().active_bindings
        finally:
            self._now_doable = None

    def action_undo(self) -> None:
        """Undo the latest of: details on the whole screen, marks, filter, hosts."""
        view = self.view
        if self.has_class("-detail-full"):
            self.full_detail(False)
        elif view.table.marks:
            view.table.clear_marks()
        elif view.filter_text:
            view.set_filter("")
        elif view.hosts_label:
            view.set_hosts(None)
        else:
            view.table.focus()

    # ------------------------------------------------------------------------------------------- actions

    def begin(self) -> None:
        """Things can be done from now on."""
        from tui import doing

        self._keyed = set()
        for binding in doing.bindings(None):
            self._bindings.key_to_bindings.setdefault(binding.key, []).append(binding)
        self.take_keys()

    def take_keys(self) -> None:
        """Give views that are new the keys of what can be done to their rows, once anything can be done."""
        if self._keyed is None:
            return
        from tui import doing

        for view in self.visited():
            if view.NAME not in self._keyed:
                self._keyed.add(view.NAME)
                view.take_keys(doing.bindings(view.ROW) if view.ROW else ())
        if (pane := self.pane) is not None:
            pane.take_keys(doing.bindings(self.view.ROW) if self.view.ROW else ())
        self._shape = None
        self.check_shape()

    @property
    def can_act(self) -> bool:
        """Whether things can be done by now."""
        return self._keyed is not None

    def say_why_not(self, key: str) -> None:
        """A key did nothing: say why, if it does something to other rows or at other times."""
        from backend.text import printable
        from tui.excuses import why_silent

        if why := why_silent(self, key):
            self.notify(printable(why, 200), markup=False, timeout=4)

    def actions(self) -> list[Action]:
        """What can be done to the row under the cursor, or to the marked rows, and to the fleet."""
        from tui import doing

        if self._keyed is None:
            return []
        rows = self.view.targets()
        own = doing.of_kind(self.view.ROW) if self.view.ROW is not None and rows else []
        return [
            action
            for action in (*own, *doing.of_kind(None))
            if (action.on is None or any(action.applies(row) for row in rows))
            and not doing.refused(action, rows, self.config, read_only=self.read_only)
        ]

    def _doable(self) -> frozenset[str]:
        return frozenset(action.name for action in self.actions())

    def action_do(self, name: str) -> None:
        """Do an action to the row under the cursor, or to the marked rows."""
        from tui import doing

        view, action = self.view, doing.declared()[name]

        def do(rows: list[Any]) -> None:
            self.post_message(Wanted(name, rows, view.given(action)))

        view.with_targets(action, do)

    def action_menu(self) -> None:
        """All that can be done to this row, or to the marked ones."""
        from tui import commands

        commands.choose_action(self)

    # -------------------------------------------------------------------------- filter and command line

    def action_filter(self) -> None:
        """Type a filter."""
        view = self.view
        self.run_worker(view.warm_search(), group="search", exclusive=True, exit_on_error=False)
        self.prompt.ask("filter", view.filter_text)

    def action_command(self) -> None:
        """Type a command."""
        self.prompt.ask("command")

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        """Filter while it is typed; a bad filter says why and changes nothing."""
        if event.mode == "filter":
            self._try_filter(event.text)

    async def on_prompt_entered(self, event: Prompt.Entered) -> None:
        """Keep the filter, or do the command; stay with what is wrong."""
        if event.mode == "filter":
            if self._try_filter(event.text):
                self.close_prompt()
            return
        from backend.errors import BerthError
        from backend.text import printable
        from tui import commands

        try:
            await commands.perform(self, event.text)
        except BerthError as error:
            self.prompt.hint(printable(error.message, 300), error=True)

    def on_prompt_left(self, event: Prompt.Left) -> None:
        """Escape: no filter any more; no command."""
        if event.mode == "filter":
            self.view.set_filter("")
        self.close_prompt()

    def _try_filter(self, text: str) -> bool:
        from backend.text import printable
        from tui.views.base import FilterError

        try:
            self.view.set_filter(text)
        except FilterError as error:
            self.prompt.hint(printable(error.message, 300), error=True)
            return False
        self.prompt.hint("")
        return True

    def close_prompt(self) -> None:
        """Hide the bottom line's input."""
        self.prompt.close()
        self.table.focus()

    def complete_command(self, line: str) -> list[str]:
        """What a command line can become, likeliest first."""
        from tui import commands

        return commands.completions(self, line)

    # --------------------------------------------------------------------------- order, columns, copying

    def action_sort(self) -> None:
        """Choose the column to order by."""
        from tui import commands

        commands.choose_sort(self)

    def action_columns(self) -> None:
        """Choose which columns are shown."""
        from tui import commands

        commands.choose_columns(self)

    def set_columns(self, chosen: Sequence[str]) -> None:
        """Show these columns of the visible view from now on; none: the default ones."""
        self.view.choose_columns(chosen)

    def action_help(self) -> None:
        """All keys and commands."""
        from tui import commands

        commands.show_help(self)

    def action_copy(self) -> None:
        """Copy one column of the row, or of the marked rows."""
        from tui import commands

        commands.choose_copy(self)

    def action_copy_rows(self) -> None:
        """Copy whole rows, columns separated by tabs."""
        from tui import commands
        from tui.table import column_text

        columns, rows = self.table.columns, self.table.targets()
        text = "\n".join("\t".join(column_text(column, row) for column in columns) for row in rows)
        commands.copy(self, text, len(rows))
