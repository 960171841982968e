"""The wall: panes side by side, a page at a time. Only the panes of the page are captured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Static

from backend.model import SessionRow, TmuxPane
from backend.text import age, printable
from backend.wall import PaneKey, SessionKey, session_key
from tui.header import KeyBar
from tui.wall import grid
from tui.wall.header import Summary, WallHeader
from tui.wall.tile import Caption, State, Tile
from tui.wall.watchman import Watchman

Shown = tuple[SessionRow, TmuxPane]
WHO = "wall"


class WallScreen(Screen[None]):
    """Some sessions, live."""

    BINDING_GROUP_TITLE = "Wall"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,z", "zoom", "zoom", id="wall-zoom"),
        Binding("a", "attach", "attach", id="wall-attach"),
        Binding("exclamation_mark", "watch", "watch", id="wall-watch"),
        *(
            Binding(keys, f"focus_tile('{way}')", f"The tile {words}", show=False, id=f"wall-{way}")
            for keys, way, words in (
                ("left,h", "left", "to the left"),
                ("right,l", "right", "to the right"),
                ("up,k", "up", "above"),
                ("down,j", "down", "below"),
            )
        ),
        Binding("tab", "next_tile(1)", "Next tile", show=False, id="wall-next"),
        Binding("shift+tab", "next_tile(-1)", "Tile before", show=False, id="wall-previous"),
        Binding("n,pagedown", "page(1)", "page", id="wall-page-down"),
        Binding("p,pageup", "page(-1)", "Page before", show=False, id="wall-page-up"),
        Binding("question_mark,f1", "help", "help", id="wall-help"),
        Binding("escape", "undo", "back", id="wall-back"),
        Binding("q", "leave", "Back at once", show=False, id="wall-leave"),
    ]

    def __init__(
        self,
        sessions: Sequence[SessionKey],
        rows: Callable[[], Sequence[SessionRow]],
        watchman: Watchman,
        attach: Callable[[SessionRow], None],
        watch: Callable[[SessionRow], None],
    ) -> None:
        """`rows` gives all current sessions; `attach` and `watch` do that to one."""
        super().__init__()
        self._sessions = tuple(sessions)
        self._rows, self._watchman = rows, watchman
        self._give_terminal, self._watch = attach, watch
        self._known: dict[SessionKey, SessionRow] = {}
        self._panes: list[Shown] = []
        self._at = 0
        """The pane that keys act on, among all of them."""
        self._zoomed = False
        self._shape = grid.Grid(1, 1)

    def compose(self) -> ComposeResult:
        """Header, tiles, bottom line."""
        yield WallHeader(id="wall-header")
        yield Container(id="wall")
        yield Static("None of these sessions is left.", id="wall-empty", markup=False)
        yield KeyBar(id="wall-keys")

    def on_mount(self) -> None:
        """Begin to look."""
        self._watchman.changed.append(self._news)
        self._news()

    def on_unmount(self) -> None:
        """Nothing is captured any more."""
        if self._news in self._watchman.changed:
            self._watchman.changed.remove(self._news)
        self._watchman.feed.leave(WHO)

    def on_resize(self) -> None:
        """Another grid has room."""
        self.call_after_refresh(self._lay_out)

    def on_screen_suspend(self) -> None:
        """Something covers it: nothing is captured meanwhile."""
        self._watchman.feed.want(WHO, ())

    def on_screen_resume(self) -> None:
        """It is seen again, and the keys are its own."""
        self._news()
        self.refresh_bindings()

    # ---------------------------------------------------------------------------------------- what is shown

    def _news(self) -> None:
        """Sessions, watches or hosts are others."""
        if not self.is_mounted:
            return
        now = {session_key(row): row for row in self._rows()}
        for key in self._sessions:
            if key in now:
                self._known[key] = now[key]
        self._gone = {key for key in self._sessions if key not in now}
        here = self._here
        self._panes = [
            (row, pane) for key in self._sessions if (row := self._known.get(key)) for pane in row.panes
        ]
        if here is not None:
            self._at = next((place for place, each in enumerate(self._panes) if _key(each) == here), self._at)
        self._at = max(0, min(self._at, len(self._panes) - 1))
        self._lay_out()

    @property
    def _here(self) -> PaneKey | None:
        return _key(self._panes[self._at]) if self._at < len(self._panes) else None

    @property
    def _page(self) -> list[Shown]:
        first = self._at // self._shape.tiles * self._shape.tiles
        return self._panes[first : first + self._shape.tiles]

    def _lay_out(self) -> None:
        """Choose the grid, and give each tile its pane."""
        if not self.is_mounted:
            return
        width, height = self.size.width, self.size.height - 2
        self._shape = grid.Grid(1, 1) if self._zoomed else grid.grid(width, height, max(1, len(self._panes)))
        self.set_class(not self._panes, "-empty")
        wall = self.query_one("#wall", Container)
        tiles = list(wall.query(Tile))
        wall.styles.grid_size_columns, wall.styles.grid_size_rows = self._shape
        for _ in range(len(tiles), self._shape.tiles):
            tiles.append(Tile())
            wall.mount(tiles[-1])
        for tile in tiles[self._shape.tiles :]:
            tile.remove()
        self._fill(tiles[: self._shape.tiles])

    def _fill(self, tiles: Sequence[Tile]) -> None:
        page, album = self._page, self._watchman.feed.album
        keys = [_key(each) for each in page]
        for place, tile in enumerate(tiles):
            if place < len(page):
                tile.show(keys[place], self._caption(page[place]), album[keys[place]])
            else:
                tile.show(None, Caption(), None)
        if self.is_current:
            live = [key for key, (row, _) in zip(keys, page, strict=True) if not row.stale]
            self._watchman.feed.want(WHO, live, self._pane_changed)
        self._say()

    def _pane_changed(self, key: PaneKey) -> None:
        """Called where agents are read: what goes wrong here must not end that."""
        self.call_later(self._draw_pane, key)

    def _draw_pane(self, key: PaneKey) -> None:
        for tile in self.query(Tile):
            if tile.key == key:
                image = self._watchman.feed.album[key]
                if tile.caption.state == "waiting" or (image is not None and image.gone):
                    shown = next((each for each in self._page if _key(each) == key), None)
                    if shown is not None:
                        tile.show(key, self._caption(shown), image)
                        return
                tile.draw(image)

    def _caption(self, shown: Shown) -> Caption:
        row, pane = shown
        key, image = _key(shown), self._watchman.feed.album[_key(shown)]
        state: State = "live" if image is not None else "waiting"
        note = ""
        host = self._watchman.state.hosts.get(row.host)
        if row.stale:
            state = "away"
            note = f"{row.host} is away, seen {age(host.seen_at if host else None)} ago"
        elif session_key(row) in self._gone or (image is not None and image.gone) or pane.dead:
            state, note = "gone", "ended"
        watch = self._watchman.of_row(row)
        number = f":{pane.window}" if row.windows > 1 else ""
        several = sum(each.window == pane.window for each in row.panes) > 1
        return Caption(
            host=row.host,
            name=f"{row.name}{number}" + (f".{pane.index}" if several else ""),
            command=pane.command,
            idle=_coarse(age(row.activity_at)) if row.activity_at else "",
            state=state,
            note=printable(note, 80),
            watched=watch is not None,
            alert=watch.alert.text if watch is not None and watch.alert is not None else "",
            focused=key == self._here,
            attached=bool(row.attached),
        )

    def _say(self) -> None:
        watches = [watch for row in self._known.values() if (watch := self._watchman.of_row(row))]
        hosts = {row.host for row, _ in self._panes}
        tiles = self._shape.tiles
        here = self._panes[self._at] if self._panes else None
        self.query_one(WallHeader).show(
            Summary(
                panes=len(self._panes),
                hosts=len(hosts),
                page=self._at // tiles + 1,
                pages=max(1, -(-len(self._panes) // tiles)),
                alerts=sum(watch.alert is not None for watch in watches),
                watched=len(watches),
                away=len({row.host for row, _ in self._panes if row.stale}),
                zoomed=printable(f"{here[0].host}/{here[0].name}", 60) if self._zoomed and here else "",
            )
        )

    # ----------------------------------------------------------------------------------------------- keys

    def _go(self, place: int) -> None:
        if self._panes and place != self._at:
            page = self._at // self._shape.tiles
            self._at = place
            if page != place // self._shape.tiles:
                self._lay_out()
            else:
                self._fill(list(self.query(Tile)))

    def action_focus_tile(self, way: str) -> None:
        """The tile beside this one; at the edge of the page: the next page, the page before."""
        tiles = self._shape.tiles
        page, place = divmod(self._at, tiles)
        moved = grid.move(place, way, self._shape, len(self._page))
        if moved != place:
            self._go(page * tiles + moved)
        elif tiles == 1 or (way in ("left", "right") and not self._zoomed):
            self.action_next_tile(1 if way in ("right", "down") else -1)

    def action_next_tile(self, step: int) -> None:
        """The next one, round the ends."""
        if self._panes:
            self._go((self._at + step) % len(self._panes))

    def action_page(self, step: int) -> None:
        """The next page, round the ends."""
        tiles = self._shape.tiles
        pages = max(1, -(-len(self._panes) // tiles))
        self._go((self._at // tiles + step) % pages * tiles)

    def action_zoom(self) -> None:
        """One pane on the whole screen, or all of them again."""
        self._zoomed = not self._zoomed and bool(self._panes)
        if self._zoomed:
            self._watchman.seen(session_key(self._panes[self._at][0]))
        self._lay_out()
        self.refresh_bindings()

    def on_tile_chosen(self, event: Tile.Chosen) -> None:
        """A tile was clicked."""
        place = next((at for at, each in enumerate(self._panes) if _key(each) == event.tile.key), None)
        if place is not None:
            self._go(place)
            if event.zoom:
                self.action_zoom()

    def action_attach(self) -> None:
        """Give the terminal to the session."""
        if self._panes:
            row = self._panes[self._at][0]
            self._watchman.seen(session_key(row))
            self._give_terminal(row)

    def action_watch(self) -> None:
        """Be told when it goes silent, matches or ends; or not any more."""
        if self._panes:
            self._watch(self._panes[self._at][0])

    def action_undo(self) -> None:
        """Undo the latest of: an alert's mark here, zoom; else go back."""
        if self._zoomed:
            self.action_zoom()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Back to where one was."""
        self.dismiss(None)

    def action_help(self) -> None:
        """All keys."""
        from tui.help import HelpScreen, key_sections

        self.app.push_screen(HelpScreen(key_sections(self)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Pages are offered where there are several."""
        if action == "page":
            return len(self._panes) > self._shape.tiles
        return True


def _key(shown: Shown) -> PaneKey:
    row, pane = shown
    return PaneKey(row.host, row.socket, pane.id)


def _coarse(said: str) -> str:
    """Seconds flicker: below ten nothing is idle, and then tens count."""
    number, _, unit = said.partition(" ")
    if unit != "s":
        return said
    tens = int(number) // 10 * 10
    return f"{tens} s" if tens else ""
