"""What the one screen that is always there is made of: header, views, details, and the line at the bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.reactive import Reactive
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from tui.header import HeaderBar, KeyBar
from tui.views import LISTED, view_class

if TYPE_CHECKING:
    from backend.config import Config
    from tui.detail import DetailPane
    from tui.prompt import Prompt
    from tui.table import FleetTable
    from tui.views.base import ListView, Sources

SETTLE = 0.08
"""Seconds that the cursor has to rest on a row before its details are shown: plots cost more than a row."""


class Room(Container):
    """A place for others. Nothing of its own is seen: drawing it line by line would only cost time."""

    BLANK = True


class Views(ContentSwitcher):
    """All views that were visited; one of them is shown."""

    BLANK = True


class Stage(Screen[None]):
    """Shows the state of the fleet: views that are made on their first visit, and details of one row.

    The first frame waits for nothing of this: `furnish` brings the views in right after it.
    """

    BLANK = True
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """What gets the keys. It draws itself when that changes: the rest of the screen stays as it is."""

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
        self._shape: Any = None
        self._detail_later: Timer | None = None

    def compose(self) -> ComposeResult:
        """What the first frame shows: header, an empty frame, the place for details, and the bottom line."""
        first = LISTED[0]
        yield HeaderBar(LISTED, active=first.name, id="header")
        with Room(id="body"):
            with Views(id="views"):
                frame = Container(id="frame", classes="view")
                frame.border_title = first.title
                yield frame
            yield Room(id="detail")
        yield KeyBar(id="footer")

    def on_mount(self) -> None:
        """The rest is imported once the first frame is there."""
        self.call_after_refresh(self.app.post_message, self.Painted())

    def on_screen_resume(self) -> None:
        """A dialog is gone: the keys are ours again."""
        self.refresh_bindings()

    async def furnish(self, sources: Sources) -> None:
        """Bring in the first view, with what is known so far, and the input line."""
        from tui.prompt import Prompt

        self.sources = sources
        first = view_class(LISTED[0].name)(sources)
        switcher = self.query_one("#views", ContentSwitcher)
        with self.app.batch_update():
            await switcher.add_content(first, set_current=True)
            await self.query_one("#frame").remove()
            await self.mount(Prompt(self.complete_command, id="prompt"), before="#footer")
        self.ready = True
        first.table.focus()
        self.query_one(KeyBar).update(self)
        self._show_header()
        self.refresh_bindings()

    async def mount_detail(self) -> None:
        """Bring in the detail pane, with the plotting library."""
        from tui.detail import DetailPane

        await self.query_one("#detail").mount(DetailPane(id="detail-pane"))
        self.take_keys()
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
        if not self.there():
            return
        self.view.show_rows()
        self._show_header()
        self._show_detail()

    def there(self) -> bool:
        """Whether the views are there: not before they came, and not while the app closes."""
        return self.ready and bool(self.visited())

    def tick(self) -> None:
        """Ages and countdowns go on while nothing else happens."""
        if not self.there():
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
        if (header := self.query_one_optional("#header", HeaderBar)) is not None:
            header.show(active=self.view.NAME, parts=summary(rows), badges=badges)

    def _show_detail(self) -> None:
        if (pane := self.pane) is not None:
            pane.show(self.target(), self.sources.state, self.sources.history, self.config)

    def show_detail_of_view(self) -> None:
        """What the visible view shows has changed by itself."""
        self._show_detail()
        self.check_shape()

    def target(self) -> Any:
        """What the cursor is on, as the detail pane takes it: a snapshot for a host, else the row."""
        from backend.model import HostRow

        row = self.table.row
        return self.sources.state.hosts.get(row.name) if isinstance(row, HostRow) else row

    def on_fleet_table_moved(self, event: FleetTable.Moved) -> None:
        """Details follow the cursor; the footer, where other keys do something now."""
        if event.table is self.table:
            self.check_shape()
            if self._detail_later is None:
                self._detail_later = self.set_timer(SETTLE, self._detail_now)
            else:
                self._detail_later.reset()

    def _detail_now(self) -> None:
        self._detail_later = None
        self._show_detail()

    def on_fleet_table_changed(self, event: FleetTable.Changed) -> None:
        """Marks and filters give escape something to do."""
        self.check_shape()

    def shape(self) -> Any:
        """What decides which keys do something now."""
        return self.view.shape()

    def complete_command(self, line: str) -> list[str]:
        """What a command line can become, likeliest first."""
        return []

    def check_shape(self) -> None:
        """Make the footer again only when other keys do something now."""
        shape = self.shape()
        if shape != self._shape:
            self._shape = shape
            self.refresh_bindings()

    def on_fleet_table_opened(self, event: FleetTable.Opened) -> None:
        """Enter: what the view does with it, else the details on the whole screen."""
        if not self.view.open_row(event.row):
            self.full_detail(True)

    # --------------------------------------------------------------------------------------------- views

    async def show_view(self, name: str) -> ListView:
        """Bring a view to the front; made on the first visit."""
        switcher = self.query_one("#views", ContentSwitcher)
        if all(name != view.NAME for view in self.visited()):
            await switcher.add_content(view_class(name)(self.sources), set_current=False)
        switcher.current = name
        self.take_keys()
        self.full_detail(False)
        self._shape = None
        if self.there():
            self.view.show_rows()
            header = self.query_one("#header", HeaderBar)
            header.activate(self.view.NAME)  # what it says of the fleet can wait for the next state
            self._show_detail()
        return self.view

    def visited(self) -> list[ListView]:
        """All views that were made."""
        from tui.views.base import ListView

        # Not `query`, which looks at each widget of the screen: this is asked for each key and each state.
        switcher = self.query_one_optional("#views", ContentSwitcher)
        children = () if switcher is None else switcher.children
        return [child for child in children if isinstance(child, ListView)]

    def find_view(self, kind: type[ListView]) -> ListView | None:
        """The view of that kind, if it was visited."""
        return next((view for view in self.visited() if isinstance(view, kind)), None)

    @property
    def pane(self) -> DetailPane | None:
        """The details, once they are there."""
        return cast("DetailPane | None", self.query_one_optional("#detail-pane"))

    def take_keys(self) -> None:
        """Give views that are new the keys of what can be done to their rows."""

    @property
    def prompt(self) -> Prompt:
        """The bottom line that takes text."""
        from tui.prompt import Prompt

        return self.query_one(Prompt)

    # ------------------------------------------------------------------------------------------- details

    def action_toggle_detail(self) -> None:
        """Show details beside the list, or not; where there is no room: on the whole screen."""
        if self.has_class("-detail-full"):
            self.full_detail(False)
        elif self.has_class("-wide") or self.has_class("-tall"):
            self.toggle_class("-detail-off")
            self.call_after_refresh(self._show_detail)
        else:
            self.full_detail(True)

    def full_detail(self, full: bool) -> None:
        """Give the whole screen to the details, or back to the list."""
        self.set_class(full, "-detail-full")
        self.check_shape()
        if full:
            if (pane := self.pane) is not None:
                (next((child for child in pane.query("*") if child.can_focus), None) or pane).focus()
        else:
            self.table.focus()
        self.call_after_refresh(self._show_detail)
