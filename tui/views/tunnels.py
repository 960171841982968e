"""Tunnels (9): ports of this machine that lead to hosts and containers, whichever berth holds them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from time import monotonic
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from backend.model import TunnelRow
from backend.text import size
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.views.base import ListView
from tui.views.make import figures, words

EVERY = 1.0
"""Seconds between two looks, while the view is shown."""
_STATES = {"up": "good", "reconnecting": "warn", "silent": "bad"}


class TunnelsView(ListView):
    """All tunnels of this user on this machine."""

    ROW = TunnelRow
    KEY = attrgetter("id")
    EMPTY: ClassVar[tuple[str, str]] = (
        "Ports of this machine that lead to hosts, containers and their services.",
        "None is open: t on a host, a container or a context opens one.",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy_address", "copy address", id="tunnel-copy"),
    ]

    _rows: Sequence[TunnelRow] = ()
    _read_at = 0.0
    _rates: dict[str, tuple[float, float]] = {}  # noqa: RUF012  # always replaced, never changed
    """By id: bytes a second that came and went between the last two looks."""

    def make_columns(self) -> Sequence[Column[Any]]:
        """All columns."""
        return (
            words("id", "ID", 4, lambda r: r.id),
            words("state", "STATE", 12, lambda r: r.state, cell=_state),
            words("address", "ADDRESS", 26, lambda r: r.url or r.address, grow=2),
            words("service", "SERVICE", 11, lambda r: r.service, grow=1),
            words("context", "CONTEXT", 12, lambda r: r.context, grow=1, priority=3),
            words("host", "HOST", 10, lambda r: r.host, grow=1),
            words("name", "CONTAINER", 12, lambda r: r.name, grow=1, priority=2),
            figures("port", "PORT", 5, lambda r: cells.number(r.port), lambda r: r.port, priority=5),
            figures("received", "IN", 8, lambda r: _bytes(r.received), lambda r: r.received, priority=1),
            figures("sent", "OUT", 8, lambda r: _bytes(r.sent), lambda r: r.sent, priority=1),
            figures("rate", "RATE", 9, self._rate, self._rate_of, priority=1),
            figures("connections", "CONN", 5, _connections, lambda r: r.connections, priority=3),
            figures("since", "SINCE", 8, lambda r: cells.age(r.since), lambda r: r.since, priority=4),
            words("holder", "HELD BY", 16, lambda r: f"{r.holder} {r.pid}", priority=6),
            words("note", "NOTE", 20, lambda r: r.note, grow=3, priority=4),
        )

    def make_narrow(self) -> Sequence[Column[Any]]:
        """Which, where, and whether it is up."""
        return (
            words("service", "SERVICE", 9, lambda r: r.service, grow=1),
            words("address", "ADDRESS", 15, lambda r: r.address, grow=1),
            words("state", "STATE", 3, lambda r: r.state, cell=lambda r: ((r.state[:3], _STATES[r.state]),)),
        )

    def on_mount(self) -> None:
        """Look now, and again while it is shown."""
        super().on_mount()
        self.set_interval(EVERY, self.look_again)

    def on_show(self) -> None:
        """What was seen last may be old."""
        self.look_again()

    def look_again(self) -> None:
        """Ask all berths that hold tunnels, unless nobody sees the answer."""
        if self.display and self.screen.is_current:
            self.run_worker(self._read(), group="tunnels", exclusive=True, exit_on_error=False)

    async def _read(self) -> None:
        from backend.tunnels import book

        rows = await book.rows()
        now, before = monotonic(), {row.id: row for row in self._rows}
        took = now - self._read_at
        rates = {
            row.id: ((row.received - old.received) / took, (row.sent - old.sent) / took)
            for row in rows
            if (old := before.get(row.id)) is not None and took > 0
        }
        if rows != self._rows or rates != self._rates:
            self._rates = rates
            self._rows = rows
            self.show_rows()
            self.screen.show_detail_of_view()  # type: ignore[attr-defined]
        self._read_at = now

    def make_rows(self) -> Sequence[TunnelRow]:
        """As they were at the last look."""
        return self._rows

    def _rate_of(self, row: TunnelRow) -> float | None:
        return sum(self._rates[row.id]) if row.id in self._rates else None

    def _rate(self, row: TunnelRow) -> Cell:
        rate = self._rate_of(row)
        return ((f"{size(round(rate))}/s", "accent"),) if rate else cells.EMPTY

    def look(self, row: TunnelRow) -> Look:
        """What does not lead anywhere now carries a sign."""
        return Look() if row.state == "up" else Look("", _STATES.get(row.state, "warn"))

    def containers_filter(self, row: TunnelRow) -> str:
        """The one it leads to."""
        from tui.filter import quote

        return f"name:{quote(row.name)}" if row.name else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where there is a row."""
        return self.table.row is not None if action == "copy_address" else True

    async def action_copy_address(self) -> None:
        """Copy the whole address, with the token that the page may need."""
        from backend.errors import BerthError
        from backend.tunnels import book

        row = self.table.row
        if row is None:
            return
        try:
            url, _ = await book.address(row.id)
        except BerthError as error:
            self.app.notify(str(error), title="Not copied", severity="error", markup=False)
            return
        self.app.copy_to_clipboard(url or row.address)
        self.app.notify(row.url or row.address, title="Copied", markup=False, timeout=3)


def _state(row: TunnelRow) -> Cell:
    return ((row.state, _STATES.get(row.state, "")),)


def _bytes(count: int) -> Cell:
    return ((size(count), "" if count else "dim"),)


def _connections(row: TunnelRow) -> Cell:
    return ((str(row.connections), "good" if row.connections else "dim"),)
