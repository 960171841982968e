"""The one table that every list view uses: draws only the lines that are visible, straight from the rows.

Textual's DataTable renders all visible cells again for every changed one, and takes seconds for thousands of
rows. Here a line is drawn when it becomes visible or when what it says has changed, nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence, Set
from time import monotonic
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer

from tui.canvas import Canvas, Look
from tui.columns import Column
from tui.filter import Test
from tui.garbage import unsearched
from tui.layout import GUTTER
from tui.rowset import RowSet

HOLD = 1.5
"""Seconds after the last key in which no row changes its place."""


class FleetTable(Canvas, can_focus=True):
    """Rows, a cursor that stays on its row, marks, and an order."""

    BINDING_GROUP_TITLE = "Lists"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "details", id="details"),
        Binding("j,down", "move(1)", "Next row", show=False, id="down"),
        Binding("k,up", "move(-1)", "Previous row", show=False, id="up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="page-down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="page-up"),
        Binding("g,home", "edge(False)", "First row", show=False, id="top"),
        Binding("G,end", "edge(True)", "Last row", show=False, id="bottom"),
        Binding("left", "scroll_columns(-1)", "Columns left", show=False, id="left"),
        Binding("right", "scroll_columns(1)", "Columns right", show=False, id="right"),
        Binding("space", "mark", "Mark the row", show=False, id="mark"),
        Binding("asterisk", "mark_all", "Mark all shown rows, or none", show=False, id="mark-all"),
        Binding("O", "reverse", "Reverse the order", show=False, id="sort-reverse"),
    ]

    class Opened(Message):
        """Enter or a double click on a row."""

        def __init__(self, table: FleetTable, row: Any) -> None:
            super().__init__()
            self.table, self.row = table, row

    class Moved(Message):
        """The cursor is on another row, or its row has new values."""

        def __init__(self, table: FleetTable) -> None:
            super().__init__()
            self.table = table

    class Changed(Message):
        """Order, marks or the number of rows changed: what the frame around the table says."""

        def __init__(self, table: FleetTable, *, sorted: bool = False) -> None:
            super().__init__()
            self.table, self.sorted = table, sorted

    def __init__(
        self,
        columns: Sequence[Column[Any]],
        *,
        key: Callable[[Any], Hashable],
        rank: Callable[[Any], int] | None = None,
        ranked_by: Callable[[Any], Hashable] | None = None,
        look: Callable[[Any], Look] | None = None,
        note_after: str = "",
        narrow: Sequence[Column[Any]] = (),
        id: str | None = None,
    ) -> None:
        rows: RowSet[Any] = RowSet(key, rank, ranked_by)
        super().__init__(columns, rows=rows, look=look, note_after=note_after, narrow=narrow, id=id)
        self._cursor_key: Hashable = None
        self._touched = False
        """Whether a key or the mouse was used: until then the cursor stays on the first row."""
        self.moves = 0
        """How often somebody put the cursor somewhere."""
        self._awaited: Hashable = None
        self._moved_at = float("-inf")
        self._held: Timer | None = None

    # --------------------------------------------------------------------------------- what is shown

    @property
    def rows(self) -> Sequence[Any]:
        """The rows that pass the filter, in order."""
        return self._set.rows

    @property
    def total(self) -> int:
        """How many rows there are before the filter."""
        return self._set.total

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """The chosen columns, in order."""
        return self._columns

    @property
    def row(self) -> Any | None:
        """The row under the cursor."""
        return self._set.rows[self.cursor] if self.cursor < len(self._set.rows) else None

    def targets(self) -> list[Any]:
        """What an action acts on: the marked rows in their order, else the row under the cursor."""
        if self.marks:
            keys, marks = self._set.keys, self.marks
            return [row for row, key in zip(self._set.rows, keys, strict=True) if key in marks]
        return [self.row] if self.row is not None else []

    def set_rows(self, rows: Sequence[Any]) -> None:
        """Take the current rows. Only lines that say something else are drawn again."""
        held = monotonic() - self._moved_at < HOLD
        if held and self._held is None:
            self._held = self.set_timer(HOLD, self._release)
        total = self.total
        self._turn += 1
        with unsearched():
            moved = self._set.update(rows, hold=held)
        self.call_after_refresh(self._set.let_go)
        if moved:
            self._after_move()
        else:
            self._redraw()
        if total != self.total:
            self.tell(self.Changed(self))
        if self._awaited is not None:
            self.select(self._awaited)

    def set_filter(self, test: Test | None) -> None:
        """Show only the rows that pass."""
        self._set.filter(test)
        self._after_move()
        self.tell(self.Changed(self))

    def set_columns(self, columns: Sequence[Column[Any]]) -> None:
        """Show these columns, in this order."""
        self._columns = tuple(columns)
        self._forget_layout()

    def sort_by(self, column: Column[Any] | None, reverse: bool = False) -> None:
        """Order by a column; None is the view's own order."""
        self.sort_key = column.key if column else ""
        self.sort_reverse = reverse
        self._set.sort(sort_value(column) if column else None, reverse)
        self._after_move()
        self.refresh()
        self.tell(self.Changed(self, sorted=True))

    def forget_values(self) -> None:
        """Values of a column may be others now without any new row."""
        self._set.forget_values()

    def toggle_sort(self, column: Column[Any]) -> None:
        """Order by a column, numbers from the highest; again: the other way round."""
        again = column.key == self.sort_key
        self.sort_by(column, not self.sort_reverse if again else column.align == "right")

    def select(self, key: Hashable) -> bool:
        """Put the cursor on the row with that key; whether it is shown."""
        place = self._set.index.get(key)
        if place is None:
            return False
        self._go(place)
        return True

    def await_row(self, key: Hashable) -> None:
        """Put the cursor on the row with that key now, or when it comes if nobody moves it before."""
        if not self.select(key):
            self._awaited = key

    def unmark(self, keys: Set[Hashable]) -> None:
        """Unmark these."""
        self._set_marks(self.marks - keys)

    def tell(self, message: Message) -> None:
        """Post a message that rises to the screen, whose turn it ever is: it would stop at its sender."""
        self.post_message(message.set_sender(self))

    def clear_marks(self) -> None:
        """Unmark everything."""
        self._set_marks(set())

    def tick(self) -> None:
        """Draw the lines again that say something else now (ages grow)."""
        self._turn += 1
        self._redraw()

    def _release(self) -> None:
        """The hold may be over: put rows into order that came meanwhile."""
        self._held = None
        rest = HOLD - (monotonic() - self._moved_at)
        if rest > 0:
            self._held = self.set_timer(rest, self._release)
        elif self._set.arrange():
            self._after_move()

    def _after_move(self) -> None:
        """Rows changed their places: keep the cursor on its row, and its row where it is on the screen."""
        rows, before = self._set.rows, self.cursor
        place = self._set.index.get(self._cursor_key) if self._touched else 0
        self.cursor = min(before, max(0, len(rows) - 1)) if place is None else place
        if rows:
            self._cursor_key = self._set.keys[self.cursor]
        if self.marks:
            self._set_marks(self.marks & self._set.index.keys())
        self._resize_canvas()
        shift = self.cursor - before
        if self.scroll_offset.y and shift:
            self.scroll_to(y=self.scroll_offset.y + shift, animate=False)
        self._show_cursor()
        self.refresh()
        self.tell(self.Moved(self))

    def _redraw(self) -> None:
        self.redraw_changed()
        if self.row is not None:
            self.tell(self.Moved(self))

    # --------------------------------------------------------------------------------- cursor, marks

    def on_key(self) -> None:
        """Any key may be about the row under the cursor: from now on the cursor stays on it."""
        self._touched = True
        self._moved_at = monotonic()

    def _go(self, place: int) -> None:
        place = max(0, min(place, len(self._set.rows) - 1))
        self._moved_at = monotonic()
        self._touched = True
        self.moves += 1
        self._awaited = None
        if not self._set.rows or (place == self.cursor and self._cursor_key == self._set.keys[place]):
            self._show_cursor()
            return
        before, self.cursor = self.cursor, place
        self._cursor_key = self._set.keys[place]
        self.refresh_line(before + self._header)
        self.refresh_line(place + self._header)
        self._show_cursor()
        self.tell(self.Moved(self))

    def _set_marks(self, marks: set[Hashable]) -> None:
        if marks != self.marks:
            self.marks = marks
            self.refresh()
            self.tell(self.Changed(self))

    def action_move(self, lines: int) -> None:
        """Move the cursor by lines."""
        self._go(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._go(self.cursor + pages * max(1, self._extent.height - self._header - 1))

    def action_edge(self, last: bool) -> None:
        """Move the cursor to the first or the last row."""
        self._go(len(self._set.rows) - 1 if last else 0)

    def action_scroll_columns(self, steps: int) -> None:
        """Scroll sideways, where the columns do not fit."""
        self.scroll_to(x=self.scroll_offset.x + 8 * steps, animate=False)

    def action_mark(self) -> None:
        """Mark the row under the cursor, or unmark it."""
        if self._set.rows:
            self._set_marks(self.marks ^ {self._set.keys[self.cursor]})

    def action_mark_all(self) -> None:
        """Mark all shown rows; if they are, none."""
        every = set(self._set.keys)
        self._set_marks(set() if self.marks == every else every)

    def action_reverse(self) -> None:
        """Turn the order round."""
        column = next((column for column in self._columns if column.key == self.sort_key), None)
        if column is not None:
            self.sort_by(column, not self.sort_reverse)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Rows are opened where there are some."""
        return action != "open" or bool(self._set.rows)

    def action_open(self) -> None:
        """Tell that the row under the cursor was chosen."""
        if self.row is not None:
            self.tell(self.Opened(self, self.row))

    def on_click(self, event: events.Click) -> None:
        """Header: order by that column. Row: cursor; with ctrl: mark; twice: open."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < self._header:
            column = self._layout.at(offset.x + self.scroll_offset.x)
            if column is not None and offset.x >= GUTTER:
                self.toggle_sort(column)
            return
        place = offset.y - self._header + self.scroll_offset.y
        if place >= len(self._set.rows):
            return
        self._go(place)
        if event.ctrl:
            self.action_mark()
        elif event.chain == 2:
            self.action_open()


def sort_value(column: Column[Any]) -> Callable[[Any], Any]:
    """What rows are compared by in a column: its `sort`, else its text without regard to capitals."""
    return column.sort or (lambda row: column_text(column, row).casefold() or None)


def column_text(column: Column[Any], row: Any) -> str:
    """What a column says about a row, as plain text, without bars."""
    if column.text is not None:
        return column.text(row)
    return "".join(text for text, style in column.cell(row) if not style.startswith("bar-")).strip()
