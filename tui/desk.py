"""The one screen that is always there: header, views, details, and the line at the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import ContentSwitcher

from tui.header import HeaderBar, KeyBar
from tui.views import LISTED, view_class

if TYPE_CHECKING:
    from backend.actions import Action
    from backend.config import Config
    from tui.prompt import Prompt
    from tui.table import FleetTable
    from tui.views.base import ListView, Sources

SETTLE = 0.08
"""Seconds that the cursor has to rest on a row before its details are shown: plots cost more than a row."""

Place = tuple[str, frozenset[str] | None, str, str]
"""Name of a view, its hosts, what they were called, its filter."""


class Wanted(Message):
    """An action is wanted on these rows."""

    def __init__(self, action: str, rows: Sequence[Any]) -> None:
        super().__init__()
        self.action, self.rows = action, list(rows)


class Desk(Screen[None]):
    """Views that are made on their first visit, and what is said about them."""

    BINDING_GROUP_TITLE = "Everywhere"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "undo", "back", id="back"),
        *(Binding(str(v.number), f"view('{v.name}')", v.title, show=False, id=v.name) for v in LISTED),
        Binding("greater_than_sign", "containers_here", "containers", id="containers-here"),
        Binding("less_than_sign,backspace", "go_back", "Back to the view before", show=False, id="go-back"),
        Binding("slash", "filter", "filter", id="filter"),
        Binding("colon", "command", "go", id="command"),
        Binding("question_mark,f1", "help", "help", id="help"),
        Binding("x", "menu", "all actions", id="menu"),
        Binding("o", "sort", "order", id="sort"),
        Binding("vertical_line", "columns", "Choose columns", show=False, id="columns"),
        Binding("d", "toggle_detail", "Details beside the list", show=False, id="detail-pane"),
        Binding("c", "copy", "copy", id="copy"),
        Binding("C", "copy_rows", "Copy the whole rows", show=False, id="copy-rows"),
        Binding("q", "app.quit", "quit", id="quit"),
    ]

    class Painted(Message):
        """The first frame is on the screen."""

    def __init__(self, config: Config, *, read_only: bool = False) -> None:
        super().__init__()
        self.config = config
        self.read_only = read_only
        self.ready = False
        """Whether the views are there: they come right after the first frame."""
        self.live = False
        """Whether a fleet has told anything yet; until then what is shown is from last time."""
        self.sources: Sources
        self._visited: list[Place] = []
        self._shape: Any = None
        self._detail_later: Timer | None = None
        self._keyed: set[str] | None = None

    def compose(self) -> ComposeResult:
        """What the first frame shows: header, an empty frame, the place for details, and the bottom line."""
        first = LISTED[0]
        yield HeaderBar(LISTED, active=first.name, id="header")
        with Container(id="body"):
            with ContentSwitcher(id="views"):
                frame = Container(id="frame", classes="view")
                frame.border_title = first.title
                yield frame
            yield Container(id="detail")
        yield KeyBar(id="footer")

    def on_mount(self) -> None:
        """The rest is imported once the first frame is there."""
        self.call_after_refresh(self.app.post_message, self.Painted())

    async def furnish(self, sources: Sources) -> None:
        """Bring in the first view, with what is known so far, and the input line."""
        from tui.prompt import Prompt

        self.sources = sources
        first = view_class(LISTED[0].name)(sources)
        switcher = self.query_one("#views", ContentSwitcher)
        with self.app.batch_update():
            await switcher.add_content(first, set_current=True)
            await self.query_one("#frame").remove()
            await self.mount(Prompt(self._complete, id="prompt"), before="#footer")
        self.ready = True
        first.table.focus()
        self._show_header()
        self.refresh_bindings()

    async def mount_detail(self) -> None:
        """Bring in the detail pane, with the plotting library."""
        from tui.detail import DetailPane

        await self.query_one("#detail").mount(DetailPane(id="detail-pane"))
        self.call_after_refresh(self._show_detail)

    # ------------------------------------------------------------------------------------- what is shown

    @property
    def view(self) -> ListView:
        """The visible view."""
        from tui.views.base import ListView

        switcher = self.query_one("#views", ContentSwitcher)
        return switcher.get_child_by_id(switcher.current or LISTED[0].name, ListView)

    @property
    def table(self) -> FleetTable:
        """The table of the visible view."""
        return self.view.table

    def show(self) -> None:
        """Take the current state to everything that is visible."""
        if not self._there():
            return
        self.view.show_rows()
        self._show_header()
        self._show_detail()

    def _there(self) -> bool:
        """Whether the views are there: not before they came, and not while the app closes."""
        return self.ready and bool(self.query("#views > ListView"))

    def tick(self) -> None:
        """Ages and countdowns go on while nothing else happens."""
        if not self._there():
            return
        self.table.tick()
        self._show_header()

    def _show_header(self) -> None:
        from backend.text import age
        from tui.summary import summary

        rows = self.sources.builder.hosts(self.sources.state)
        badges = [("read-only", "warn")] if self.read_only else []
        if not self.live and (seen := [row.seen_at for row in rows if row.seen_at is not None]):
            badges.append((f"as of {age(max(seen))} ago", "muted"))
        for header in self.query(HeaderBar):
            header.show(active=self.view.NAME, parts=summary(rows), badges=badges)

    def _show_detail(self) -> None:
        for pane in self.query("#detail-pane"):
            pane.show(self.target(), self.sources.state, self.sources.history, self.config)  # type: ignore[attr-defined]

    def target(self) -> Any:
        """What the cursor is on, as the detail pane takes it: a snapshot for a host, else the row."""
        from backend.model import HostRow

        row = self.table.row
        return self.sources.state.hosts.get(row.name) if isinstance(row, HostRow) else row

    def on_fleet_table_moved(self, event: FleetTable.Moved) -> None:
        """Details follow the cursor; the footer, where other keys do something now."""
        if event.table is self.table:
            self._check_shape()
            if self._detail_later is None:
                self._detail_later = self.set_timer(SETTLE, self._detail_now)
            else:
                self._detail_later.reset()

    def _detail_now(self) -> None:
        self._detail_later = None
        self._show_detail()

    def on_fleet_table_changed(self, event: FleetTable.Changed) -> None:
        """Marks and filters give escape something to do."""
        self._check_shape()

    def _check_shape(self) -> None:
        """Make the footer again only when other keys do something now."""
        shape = (self.view.shape(), self._undoable(), self._doable())
        if shape != self._shape:
            self._shape = shape
            self.refresh_bindings()

    def on_fleet_table_opened(self, event: FleetTable.Opened) -> None:
        """Enter: what the view does with it, else the details on the whole screen."""
        if not self.view.open_row(event.row):
            self._full_detail(True)

    # --------------------------------------------------------------------------------------------- views

    async def show_view(self, name: str) -> ListView:
        """Bring a view to the front; made on the first visit."""
        switcher = self.query_one("#views", ContentSwitcher)
        if not switcher.query(f"#{name}"):
            await switcher.add_content(view_class(name)(self.sources), set_current=False)
        switcher.current = name
        if self._keyed is not None:
            self.take_keys()
        self._full_detail(False)
        self._shape = None
        self.show()
        return self.view

    def find_view(self, kind: type[ListView]) -> ListView | None:
        """The view of that kind, if it was visited."""
        return next(iter(self.query(kind)), None)

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
        self.view.set_hosts(None)
        self.view.set_filter("")
        view = await self.show_view(name)
        view.set_hosts(hosts, label)
        view.set_filter(search)

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
        if action == "do":
            return parameters[0] in self._doable()
        return True

    def action_undo(self) -> None:
        """Undo the latest of: details on the whole screen, marks, filter, hosts."""
        view = self.view
        if self.has_class("-detail-full"):
            self._full_detail(False)
        elif view.table.marks:
            view.table.clear_marks()
        elif view.filter_text:
            view.set_filter("")
        elif view.hosts_label:
            view.set_hosts(None)
        else:
            view.table.focus()

    # ------------------------------------------------------------------------------------------- actions

    def take_keys(self) -> None:
        """Give views the keys of what can be done to their rows."""
        from tui import doing
        from tui.views.base import ListView

        if self._keyed is None:
            self._keyed = set()
            for binding in doing.bindings(None):
                self._bindings.key_to_bindings.setdefault(binding.key, []).append(binding)
        for view in self.query(ListView):
            if view.NAME not in self._keyed:
                self._keyed.add(view.NAME)
                view.take_keys(doing.bindings(view.ROW) if view.ROW else ())
        self._shape = None
        self._check_shape()

    def actions(self) -> list[Action]:
        """What can be done to the row under the cursor, or to the marked rows, and to the fleet."""
        from tui import doing

        if self._keyed is None:
            return []
        rows = self.table.targets()
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
        self.post_message(Wanted(name, self.table.targets()))

    def action_menu(self) -> None:
        """All that can be done to this row, or to the marked ones."""
        from tui import commands

        commands.choose_action(self)

    # ------------------------------------------------------------------------------------------- details

    def action_toggle_detail(self) -> None:
        """Show details beside the list, or not; where there is no room: on the whole screen."""
        if self.has_class("-detail-full"):
            self._full_detail(False)
        elif self.has_class("-wide") or self.has_class("-tall"):
            self.toggle_class("-detail-off")
            self.call_after_refresh(self._show_detail)
        else:
            self._full_detail(True)

    def _full_detail(self, full: bool) -> None:
        self.set_class(full, "-detail-full")
        self._check_shape()
        if full:
            for pane in self.query("#detail-pane"):
                (next((child for child in pane.query("*") if child.can_focus), None) or pane).focus()
        else:
            self.table.focus()
        self.call_after_refresh(self._show_detail)

    # -------------------------------------------------------------------------- filter and command line

    @property
    def prompt(self) -> Prompt:
        """The bottom line that takes text."""
        from tui.prompt import Prompt

        return self.query_one(Prompt)

    def action_filter(self) -> None:
        """Type a filter."""
        view = self.view
        self.run_worker(view.warm_search(), group="search", exclusive=True)
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

    def _complete(self, line: str) -> list[str]:
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
