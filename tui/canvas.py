"""Drawing of a table: which columns fit, and the lines that are visible. See `table` for everything else."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.cells import fit
from tui.columns import STYLES, Cell, Column
from tui.layout import Layout, lay_out
from tui.rowset import RowSet

NARROW = 60
"""Below this many cells a table shows its narrow columns, without a header."""
TIGHT = 110
"""Below this many cells one space instead of two is between columns."""
KEPT = 150
"""Drawn lines that are remembered."""


class Look(NamedTuple):
    """How a whole row looks."""

    style: str = ""
    """One of `STYLES`, for the spans that have none; `dim` overrides every style (the row is old)."""
    problem: str = ""
    """`bad` or `warn`: a `!` of that style in front of the row."""
    note: Cell | None = None
    """Said in place of the columns after the table's `note_after`."""
    short: Cell | None = None
    """The same in a few letters, after the first column, where the table is narrow."""


class _Line(NamedTuple):
    """A drawn line and what it was drawn from."""

    cells: tuple[Cell, ...]
    state: str
    strip: Strip
    turn: int
    """The turn of values it was compared with last."""


class Canvas(ScrollView):
    """Draws rows under a header that stays; a line only if it says or looks like something else."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"cell--{name}" for name in STYLES} | {
        "table--header",
        "table--sorted",
        "table--cursor",
        "table--cursor-blurred",
        "table--marked",
        "table--mark",
    }

    def __init__(
        self,
        columns: Sequence[Column[Any]],
        *,
        rows: RowSet[Any],
        look: Callable[[Any], Look] | None = None,
        note_after: str = "",
        narrow: Sequence[Column[Any]] = (),
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._set = rows
        self._columns = tuple(columns)
        self._narrow = tuple(narrow)
        self._look = look or (lambda _row: Look())
        self._note_after = note_after
        self._placed: Layout | None = None
        self._lines: dict[Hashable, _Line] = {}
        self._head: tuple[Any, Strip] | None = None
        """The header, and the order that it tells."""
        self._styles: dict[tuple[str, str], Style] = {}
        self._extent = Size(0, 0)
        """Its size without scrollbars, as of the last resize: `size` itself is slow to ask for."""
        self._turn = 0
        """Counts up when values may have changed."""
        self.cursor = 0
        """Place of the cursor among the shown rows."""
        self.marks: set[Hashable] = set()
        """Keys of marked rows; always rows that are shown."""
        self.sort_key = ""
        """Column the rows are ordered by; empty: the view's own order."""
        self.sort_reverse = False

    def redraw_changed(self) -> None:
        """Refresh the visible lines that say something else than they did."""
        header, first = self._header, self.scroll_offset.y
        for place in range(first, min(len(self._set.rows), first + self._extent.height - header)):
            before = self._lines.get(self._set.keys[place])
            if before is None or self._line(place).strip is not before.strip:
                self.refresh_line(place + header)

    @property
    def _header(self) -> int:
        """Lines that the header takes."""
        return 0 if self._is_narrow or self._extent.height < 3 else 1

    @property
    def _is_narrow(self) -> bool:
        return bool(self._narrow) and self._extent.width < NARROW

    @property
    def _gap(self) -> int:
        return 1 if self._extent.width < TIGHT else 2

    @property
    def _layout(self) -> Layout:
        if self._placed is None:
            width = self._extent.width
            columns = self._narrow if self._is_narrow else self._columns
            self._placed = lay_out(columns, width, self._gap)
        return self._placed

    def _forget_layout(self) -> None:
        self._placed = self._head = None
        self._lines.clear()
        self._resize_canvas()
        self.refresh()

    def _resize_canvas(self) -> None:
        size = Size(self._layout.width, len(self._set.rows) + self._header)
        if size != self.virtual_size:
            self.virtual_size = size

    def on_resize(self) -> None:
        """Lay out the columns for the new width. A view that is shown again comes back as large as it was."""
        extent = self.scrollable_content_region.size
        if extent != self._extent:
            self._extent = extent
            self._forget_layout()
        self._show_cursor()

    def _show_cursor(self) -> None:
        """Scroll no further than needed to have the cursor on the screen."""
        page = self._extent.height - self._header
        top = self.scroll_offset.y
        if page <= 0 or top <= self.cursor < top + page:
            return
        self.scroll_to(y=self.cursor if self.cursor < top else self.cursor - page + 1, animate=False)

    def notify_style_update(self) -> None:
        """The theme changed: every line looks different."""
        super().notify_style_update()
        self._styles.clear()
        self._lines.clear()
        self._head = None

    def watch_has_focus(self, has_focus: bool) -> None:
        """No style depends on it but the cursor's, which is drawn accordingly: restyling takes 5 ms."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines of the screen as they are drawn. Textual would make each anew to add border and padding.

        There are none, and a line that stays the same object is written from what was written before.
        """
        filters, behind = self.get_line_filters(), self.background_colors[1]
        left, right = crop.column_span
        strips = []
        for y in crop.line_range:
            strip = self.render_line(y)
            for each in filters:
                strip = strip.apply_filter(each, behind)
            strips.append(strip.crop_extend(left, right, self._style("", "")))
        return strips

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        x, top = self.scroll_offset
        width = self._extent.width
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
        narrow = self._is_narrow
        note, after = look.note, self._note_after
        if narrow and look.short is not None:
            note, after = look.short, layout.placed[0].column.key
        cells: list[Cell] = [(("! ", look.problem),) if look.problem else (("  ", ""),)]
        for place in layout.placed:
            column = place.column
            cells.append(fit(column.cell(row), place.width, column.align))
            if note is not None and column.key == after:
                start = place.x + place.width + self._gap
                room = max(layout.width, self._extent.width) - start - 1
                if room > 0:
                    cells.append(fit(note, room))
                break
        return tuple(cells)

    def _draw(self, cells: tuple[Cell, ...], state: str, look: Look) -> Strip:
        """Cells as one strip over the whole width."""
        base = self._style(state, look.style)
        old = look.style == "dim"
        spans: list[tuple[str, Style]] = []
        if "marked" in state:
            spans.append(("● ", self._style(state, "table--mark")))
            cells = cells[1:]
        for number, cell in enumerate(cells):
            if number > ("marked" not in state):
                spans.append((" " * self._gap, base))
            for text, name in cell:
                plain = not name or (old and name != "bad")
                spans.append((text, base if plain else self._style(state, name)))
        segments = [
            Segment("".join(text for text, _ in run), style)
            for style, run in groupby(spans, key=itemgetter(1))
        ]
        strip = Strip(segments)
        return strip.extend_cell_length(max(self._extent.width, self._layout.width), base)

    def _header_strip(self) -> Strip:
        order = (self.sort_key, self.sort_reverse)
        if self._head is None or self._head[0] != order:
            self._head = order, self._draw_header()
        return self._head[1]

    def _draw_header(self) -> Strip:
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
        return Strip(segments).extend_cell_length(max(self._extent.width, self._layout.width), style)

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
