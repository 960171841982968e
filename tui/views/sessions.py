"""Sessions (7): the tmux sessions of all hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from backend.model import HostSnapshot, HostState, SessionRow
from backend.text import printable
from tui import cells
from tui.columns import Cell, Column
from tui.filter import quote
from tui.views.base import ListView
from tui.views.make import figures, words

if TYPE_CHECKING:
    from tui.wall.watchman import Watchman


class SessionsView(ListView):
    """All tmux sessions."""

    ROW = SessionRow
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "wall", "wall", id="wall"),
        Binding("exclamation_mark", "watch", "Watch it: told when it goes silent", show=False, id="watch"),
    ]
    watchman: Watchman | None = None
    """Who knows what is watched; None until something was."""
    _places: Mapping[tuple[str, str], Sequence[SessionRow]] = MappingProxyType({})
    """Host and name of sessions that are called the same, to all of them."""
    KEY = attrgetter("host", "socket", "id")
    EMPTY: ClassVar[tuple[str, str]] = (
        "The tmux sessions of all hosts, and what runs in them.",
        "No host has one now: `tmux new -s NAME` on a host makes one.",
    )

    def make_columns(self) -> Sequence[Column[Any]]:
        """All columns."""
        return (
            words("host", "HOST", 12, lambda r: r.host, grow=1),
            words("session", "SESSION", 18, lambda r: r.name, cell=self._session, grow=2),
            words("user", "USER", 10, lambda r: r.user, priority=1),
            figures("attached", "ATTACHED", 8, _attached, lambda r: r.attached, priority=2),
            figures(
                "windows", "WINDOWS", 7, lambda r: cells.number(r.windows), lambda r: r.windows, priority=5
            ),
            words("running", "RUNNING", 24, _running, grow=3, priority=3),
            figures(
                "created", "CREATED", 8, lambda r: cells.age(r.created_at), lambda r: r.created_at, priority=7
            ),
            figures(
                "active", "ACTIVE", 8, lambda r: cells.age(r.activity_at), lambda r: r.activity_at, priority=4
            ),
            words("context", "CONTEXT", 12, lambda r: r.context, grow=1, priority=6),
        )

    def make_narrow(self) -> Sequence[Column[Any]]:
        """Where, which, what."""
        return (
            words("host", "HOST", 8, lambda r: r.host, grow=1),
            words("session", "SESSION", 10, lambda r: r.name, cell=self._session, grow=2),
            words("running", "RUNNING", 10, _running, grow=1),
        )

    def make_rows(self) -> Sequence[SessionRow]:
        """One row per session."""
        rows = self.sources.builder.sessions(self.sources.state)
        named: dict[tuple[str, str], list[SessionRow]] = {}
        for row in rows:
            named.setdefault((row.host, row.name), []).append(row)
        self._places = {name: same for name, same in named.items() if len(same) > 1}
        return rows

    def empty(self) -> tuple[str, str]:
        """That there is none is only said once every host that can be reached has told."""
        hosts = self.sources.state.hosts.values()
        waiting = sum(host.error is None and "tmux" not in host.told for host in hosts if _is_asked(host))
        if not waiting:
            return self.EMPTY
        hosts_have = "1 host has" if waiting == 1 else f"{waiting} hosts have"
        return self.EMPTY[0], f"... {hosts_have} not told yet."

    def _session(self, row: SessionRow) -> Cell:
        """Its name, with a mark where it is watched, and what was noticed."""
        name: Cell = ((printable(row.name), ""),)
        if same := self._places.get((row.host, row.name)):
            name = (*name, (f" ({printable(_apart(row, same), 40)})", "accent"))
        watch = self.watchman.of_row(row) if self.watchman is not None else None
        if watch is None:
            return name
        if watch.alert is not None:
            return (("▲ ", "warn"), *name, (f" {printable(watch.alert.text)}", "warn"))
        return (("● ", "good"), *name)

    def action_wall(self) -> None:
        """Show the panes of the marked sessions side by side, live; without marks: of all that are shown."""
        from tui.wall.open import open_wall

        rows = self.table.targets() if self.table.marks else list(self.table.rows)
        self.watchman = open_wall(self.app, rows)  # type: ignore[arg-type]  # it is berth's app

    def action_watch(self) -> None:
        """Be told when these sessions go silent, write what is waited for, or end; or not any more."""
        from tui.wall.open import toggle_watch

        self.watchman = toggle_watch(self.app, self.table.targets())  # type: ignore[arg-type]

    def containers_filter(self, row: SessionRow) -> str:
        """Its own."""
        return f"context:{quote(row.context)}" if row.context else ""


def _is_asked(host: HostSnapshot) -> bool:
    return host.state in (HostState.UP, HostState.CONNECTING)


def _apart(row: SessionRow, same: Sequence[SessionRow]) -> str:
    """What tells a session from those of the same name on its host: whose it is, else its server's socket."""
    if len({each.user for each in same}) == len(same):
        return row.user
    sockets = [PurePosixPath(each.socket).name for each in same if each.user == row.user]
    own = PurePosixPath(row.socket)
    place = own.name if len(set(sockets)) == len(sockets) else str(own)
    return place if len({each.user for each in same}) == 1 else f"{row.user} {place}"


def _attached(row: SessionRow) -> Cell:
    return cells.number(row.attached) if row.attached else (("detached", "dim"),)


def _running(row: SessionRow) -> str:
    return "  ".join(row.commands)
