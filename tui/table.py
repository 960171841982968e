"""The one table that every list view uses: draws only the lines that are visible, straight from the rows.

Textual's DataTable renders all visible cells again for every changed one, and takes seconds for thousands of
rows. Here a line is drawn when it becomes visible or when what it says has changed, nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from time import monotonic
from typing import Any, ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer

from tui.cells import fit, text_of
from tui.columns import STYLES, Cell, Column
from tui.filter import Test
from tui.layout import GUTTER, Layout, lay_out
from tui.rowset import RowSet

HOLD = 1.5
"""Seconds after the last move of the cursor in which no row changes its place."""
NARROW = 60
"""Below this many cells a table shows its narrow columns, without a header."""
TIGHT = 110
"""Below this many cells one space instead of two is between columns."""


KEPT = 400
"""Drawn lines that are remembered."""


class Look(NamedTuple):
    """How a whole row looks."""

    style: str = ""
    """One of `STYLES`, for the spans that have none; `dim` overrides every style (the row is old)."""
    problem: str = ""
    """`bad` or `warn`: a `!` of that style in front of the row."""
    note: Cell | None = None
    """Said in place of the columns after the table's `note_after`."""


class _Line(NamedTuple):
    """A drawn line and what it was drawn from."""

    cells: tuple[Cell, ...]
    state: str
    strip: Strip
    turn: int
    """The turn of values it was compared with last."""


class FleetTable(ScrollView, can_focus=True):
    """Rows under a header that stays; a cursor that stays on its row; marks; sorting."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"cell--{name}" for name in STYLES} | {
        "table--header",
        "table--sorted",
        "table--cursor",
        "table--cursor-blurred",
        "table--marked",
        "table--mark",
    }
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

        @property
        def control(self) -> FleetTable:
            """The table."""
            return self.table

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
        look: Callable[[Any], Look] | None = None,
        note_after: str = "",
        narrow: Sequence[Column[Any]] = (),
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._narrow = tuple(narrow)
        self._look = look or (lambda _row: Look())
        self._note_after = note_after
        self._set: RowSet[Any] = RowSet(key, rank)
        self._placed: Layout | None = None
        self._lines: dict[Hashable, _Line] = {}
        self._styles: dict[tuple[str, str], Style] = {}
        self._turn = 0
        self._moved_at = float("-inf")
        self._held: Timer | None = None
        self.cursor = 0
        """Place of the cursor among the shown rows."""
        self._cursor_key: Hashable = None
        self.marks: set[Hashable] = set()
        """Keys of marked rows; always rows that are shown."""
        self.sort_key = ""
        """Column the rows are ordered by; empty: the view's own order."""
        self.sort_reverse = False

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
        if self._set.update(rows, hold=held):
            self._after_move()
        else:
            self._redraw_changed()
        if total != self.total:
            self.post_message(self.Changed(self))

    def set_filter(self, test: Test | None) -> None:
        """Show only the rows that pass."""
        self._set.filter(test)
        self._after_move()
        self.post_message(self.Changed(self))

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
        self.post_message(self.Changed(self, sorted=True))

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

    def clear_marks(self) -> None:
        """Unmark everything."""
        self._set_marks(set())

    def tick(self) -> None:
        """Draw the lines again that say something else now (ages grow)."""
        self._turn += 1
        self._redraw_changed()

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
        place = self._set.index.get(self._cursor_key)
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
        self.post_message(self.Moved(self))

    def _redraw_changed(self) -> None:
        """Refresh the visible lines that say something else than they did."""
        header, first = self._header, self.scroll_offset.y
        for place in range(first, min(len(self._set.rows), first + self.size.height - header)):
            before = self._lines.get(self._set.keys[place])
            if before is None or self._line(place).strip is not before.strip:
                self.refresh_line(place + header)
        if self.cursor < len(self._set.rows):
            self.post_message(self.Moved(self))

    # -------------------------------------------------------------------------------------- drawing

    @property
    def _header(self) -> int:
        """Lines that the header takes."""
        return 0 if self._is_narrow or self.size.height < 3 else 1

    @property
    def _is_narrow(self) -> bool:
        return bool(self._narrow) and self.size.width < NARROW

    @property
    def _layout(self) -> Layout:
        if self._placed is None:
            width = self.scrollable_content_region.width
            columns = self._narrow if self._is_narrow else self._columns
            self._placed = lay_out(columns, width, gap=1 if width < TIGHT else 2)
        return self._placed

    def _forget_layout(self) -> None:
        self._placed = None
        self._lines.clear()
        self._resize_canvas()
        self.refresh()

    def _resize_canvas(self) -> None:
        size = Size(self._layout.width, len(self._set.rows) + self._header)
        if size != self.virtual_size:
            self.virtual_size = size

    def on_resize(self) -> None:
        """Lay out the columns for the new width."""
        self._forget_layout()
        self._show_cursor()

    def notify_style_update(self) -> None:
        """The theme changed: every line looks different."""
        super().notify_style_update()
        self._styles.clear()
        self._lines.clear()

    def on_focus(self) -> None:
        """The cursor line looks different with the focus."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor line looks different without the focus."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        x, top = self.scroll_offset
        width = self.size.width
        if y < self._header:
            strip = self._header_strip()
        else:
            place = y - self._header + top
            if place >= len(self._set.rows):
                return Strip.blank(width, self._style("", ""))
            strip = self._line(place).strip
        return strip.crop_extend(x, x + width, self._style("", ""))

    def _line(self, place: int) -> _Line:
        """The line of a row, drawn again only if it says or looks like something else."""
        key, row = self._set.keys[place], self._set.rows[place]
        state = "marked" if key in self.marks else ""
        if place == self.cursor:
            state = ("cursor" if self.has_focus else "cursor-blurred") + state
        line = self._lines.get(key)
        if line is not None and line.turn == self._turn and line.state == state:
            return line
        cells = self._cells(row)
        if line is not None and line.state == state and line.cells == cells:
            line = line._replace(turn=self._turn)
        else:
            line = _Line(cells, state, self._draw(cells, state, self._look(row)), self._turn)
        if len(self._lines) > KEPT:
            self._lines.clear()
        self._lines[key] = line
        return line

    def _cells(self, row: Any) -> tuple[Cell, ...]:
        """What the line of `row` says: the gutter, then one cell for each column."""
        layout, look = self._layout, self._look(row)
        cells: list[Cell] = [(("! ", look.problem),) if look.problem else (("  ", ""),)]
        for place in layout.placed:
            column = place.column
            cells.append(fit(column.cell(row), place.width, column.align))
            if look.note is not None and column.key == self._note_after:
                start = place.x + place.width
                gap = 1 if self.size.width < TIGHT else 2
                room = max(layout.width, self.size.width) - start - gap
                if room > 0:
                    cells.append(fit(look.note, room))
                break
        return tuple(cells)

    def _draw(self, cells: tuple[Cell, ...], state: str, look: Look) -> Strip:
        """Cells as one strip over the whole width."""
        gap = " " if self.size.width < TIGHT else "  "
        base = self._style(state, look.style)
        segments: list[Segment] = []
        if "marked" in state:
            segments.append(Segment("● ", self._style(state, "table--mark")))
            cells = (*cells[1:],)
        for number, cell in enumerate(cells):
            if number > (0 if "marked" in state else 1):
                segments.append(Segment(gap, base))
            for text, name in cell:
                old = look.style == "dim" and name != "bad"
                segments.append(Segment(text, base if old or not name else self._style(state, name)))
        strip = Strip(segments)
        return strip.extend_cell_length(max(self.size.width, self._layout.width), base)

    def _header_strip(self) -> Strip:
        style, chosen = self._style("", "table--header"), self._style("", "table--sorted")
        x = 0
        segments: list[Segment] = []
        for place in self._layout.placed:
            column = place.column
            ordered = column.key == self.sort_key
            title = column.title
            if ordered:
                arrow = "▼" if self.sort_reverse else "▲"
                title = (title + arrow)[-place.width :] if len(title) >= place.width else title + arrow
            [(text, _), *rest] = fit(((title, ""),), place.width, column.align)
            text += "".join(span for span, _ in rest)
            segments.append(Segment(" " * (place.x - x), style))
            segments.append(Segment(text, chosen if ordered else style))
            x = place.x + place.width
        return Strip(segments).extend_cell_length(max(self.size.width, self._layout.width), style)

    def _style(self, state: str, name: str) -> Style:
        """The style of spans called `name` on a line in `state`; remembered until the theme changes."""
        style = self._styles.get((state, name))
        if style is None:
            style = self.rich_style
            if state.startswith("cursor"):
                style += self._paint("table--" + state.removesuffix("marked"))
            if "marked" in state and not state.startswith("cursor"):
                style += self._paint("table--marked")
            if name:
                style += self._ink(name if name.startswith("table--") else f"cell--{name}")
            self._styles[state, name] = style
        return style

    def _ink(self, part: str) -> Style:
        """Colour and weight of a component, mixed with what is behind it."""
        whole, own = self.get_component_rich_style(part), self.get_component_rich_style(part, partial=True)
        return Style(color=whole.color if own.color else None, bold=own.bold, italic=own.italic, dim=own.dim)

    def _paint(self, part: str) -> Style:
        """Background, colour and weight of a component, mixed with what is behind it."""
        whole, own = self.get_component_rich_style(part), self.get_component_rich_style(part, partial=True)
        return self._ink(part) + Style(bgcolor=whole.bgcolor if own.bgcolor else None, reverse=own.reverse)

    # --------------------------------------------------------------------------------- cursor, marks

    def _go(self, place: int) -> None:
        place = max(0, min(place, len(self._set.rows) - 1))
        self._moved_at = monotonic()
        if not self._set.rows or (place == self.cursor and self._cursor_key == self._set.keys[place]):
            self._show_cursor()
            return
        before, self.cursor = self.cursor, place
        self._cursor_key = self._set.keys[place]
        self.refresh_line(before + self._header)
        self.refresh_line(place + self._header)
        self._show_cursor()
        self.post_message(self.Moved(self))

    def _show_cursor(self) -> None:
        """Scroll no further than needed to have the cursor on the screen."""
        page = self.size.height - self._header
        top = self.scroll_offset.y
        if page <= 0 or top <= self.cursor < top + page:
            return
        self.scroll_to(y=self.cursor if self.cursor < top else self.cursor - page + 1, animate=False)

    def _set_marks(self, marks: set[Hashable]) -> None:
        if marks != self.marks:
            self.marks = marks
            self.refresh()
            self.post_message(self.Changed(self))

    def action_move(self, lines: int) -> None:
        """Move the cursor by lines."""
        self._go(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._go(self.cursor + pages * max(1, self.size.height - self._header - 1))

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

    def action_open(self) -> None:
        """Tell that the row under the cursor was chosen."""
        if self.row is not None:
            self.post_message(self.Opened(self, self.row))

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
    """What a column says about a row, as plain text."""
    return column.text(row) if column.text is not None else text_of(column.cell(row)).strip()
