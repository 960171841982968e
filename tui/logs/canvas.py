"""The rows of a log that are on the screen: only they are decoded, wrapped and drawn, each once.

There is no scroll offset: the page hangs on the number of its first line, or on the end of the log while that
is followed. What falls out of the buffer, or is filtered away, moves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from backend.logs.buffer import LogBuffer
from backend.logs.pattern import Pattern
from tui.cells import fit
from tui.logs import drawing, window
from tui.logs.drawing import Frame, Run, Times

INKS = 8
"""Colours that names are told apart by."""
_KEPT = 600
"""Drawn lines that are remembered."""


class LogCanvas(Widget):
    """A page of a log, and how it looks."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--time",
        "log--error",
        "log--cursor",
        "log--marked",
        "log--mark",
        "log--hit",
        "log--hit-here",
        "log--bar",
        "log--empty",
        *(f"log--name-{place}" for place in range(INKS)),
    }

    def __init__(self, buffer: LogBuffer, names: Sequence[str], *, id: str | None = None) -> None:
        """`names`: of the containers, by the lines' `source`."""
        super().__init__(id=id)
        self.buffer = buffer
        self.following = True
        self.wrapped = False
        self.times: Times = ""
        self.cursor: int | None = None
        """Number of the line that keys act on; None while nothing was pointed at."""
        self.marks: set[int] = set()
        """Numbers of marked lines."""
        self.found: Pattern | None = None
        """What is highlighted."""
        self.empty = ""
        """Said where no line is."""
        self._names = list(names)
        self.top: window.Place = (0, 0)
        """Where the page begins while the end is not followed."""
        self.shift = 0
        """Cells that long lines are moved to the left."""
        self._page: list[window.Place] | None = None
        self._drawn: dict[tuple[int, str], list[Strip]] = {}
        self._frame: Frame | None = None
        self._styles: dict[str, Style] = {}

    # -------------------------------------------------------------------------------------- the page

    @property
    def frame(self) -> Frame:
        """What stands before the text, for the current width."""
        if self._frame is None:
            width = max(1, self.size.width - 1)
            self._frame = drawing.frame(width, time=self.times, names=self._names, wrap=self.wrapped)
        return self._frame

    @property
    def page(self) -> list[window.Place]:
        """The rows on the screen."""
        if self._page is None:
            rows = max(1, self.size.height)
            if self.following:
                self._page = window.last_page(self.buffer, self.line_height, rows)
            else:
                self._page = window.page_at(self.buffer, self.line_height, self.top, rows)
            if self._page:
                self.top = self._page[0]
        return self._page

    def lines_shown(self) -> list[int]:
        """Numbers of the lines on the screen."""
        return list(dict.fromkeys(number for number, _ in self.page))

    @property
    def unseen(self) -> int:
        """How many lines are below the screen."""
        page = self.page
        return len(self.buffer) - self.buffer.row(page[-1][0]) - 1 if page else 0

    def line_height(self, number: int) -> int:
        """Rows of a line."""
        return drawing.rows(self.buffer[number].plain, self.frame.room) if self.wrapped else 1

    def show_lines(self) -> None:
        """There are other lines, or other ones are shown: draw the page again."""
        self.marks = {number for number in self.marks if number >= self.buffer.first}
        self._page = None
        self.refresh()

    def restyle(self) -> None:
        """Everything looks different: draw all anew."""
        self._drawn.clear()
        self._styles.clear()
        self._frame = None
        self.show_lines()

    def seek(self, found: Pattern | None) -> None:
        """Highlight what is found."""
        self.found = found
        self.restyle()

    # --------------------------------------------------------------------------------------- drawing

    def on_resize(self) -> None:
        """Another width: wrap anew."""
        self.restyle()

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        self._drawn.clear()
        self._styles.clear()

    @property
    def has_bar(self) -> bool:
        """Whether there is more than the page."""
        return self.size.width > 4 and len(self.page) < len(self.buffer)

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width = self.size.width
        base = self.rich_style
        if not width:
            return Strip([])
        if not len(self.buffer):
            return self._nothing(y)
        page = self.page
        if y >= len(page):
            return Strip.blank(width, base)
        number, sub = page[y]
        rows = self._line(number)
        strip = rows[min(sub, len(rows) - 1)]
        return Strip.join([strip.adjust_cell_length(width - 1, base), self._bar(y)]) if width > 1 else strip

    def _nothing(self, y: int) -> Strip:
        lines = self.empty.split("\n")
        place = y - max(0, (self.size.height - len(lines)) // 2)
        width = self.size.width
        if not 0 <= place < len(lines):
            return Strip.blank(width, self.rich_style)
        text = lines[place][: max(0, width)]
        pad = max(0, (width - len(text)) // 2)
        style = self._style("empty")
        return drawing.strip([(" " * pad + text, style)]).adjust_cell_length(width, style)

    def _bar(self, y: int) -> Strip:
        """A piece of the scroll bar: where the page is in the log."""
        here = False
        if self.has_bar:
            height, total, page = self.size.height, len(self.buffer), self.page
            size = max(1, round(height * len(page) / total))
            first = self.buffer.row(page[0][0])
            last = self.buffer.row(page[-1][0])
            at = round((height - size) * first / max(1, total - (last - first + 1)))
            here = at <= y < at + size
        return drawing.strip([(" ", self._style("bar") if here else self.rich_style)])

    def _line(self, number: int) -> list[Strip]:
        state = "cursor" if number == self.cursor and not self.following else ""
        state += "marked" if number in self.marks else ""
        drawn = self._drawn.get((number, state))
        if drawn is None:
            if len(self._drawn) > _KEPT:
                self._drawn.clear()
            drawn = self._drawn[number, state] = self._draw(number, state)
        return drawn

    def _draw(self, number: int, state: str) -> list[Strip]:
        line, frame = self.buffer[number], self.frame
        pieces = drawing.runs(line)
        if self.found is not None and (spans := self.found.spans(line.plain)):
            hit = self._style("hit-here" if "cursor" in state else "hit")
            pieces = drawing.paint(pieces, spans, hit)
        texts = drawing.break_up(pieces, drawing.cuts(line.plain, frame.room)) if frame.wrap else [pieces]
        whole = self.rich_style
        for part in ("marked", "cursor"):
            if part in state:
                whole += self._style(part)
        strips = []
        for row, text in enumerate(texts):
            body = drawing.strip(text)
            if not frame.wrap:
                body = body.crop(self.shift, self.shift + frame.room)
            front = drawing.strip(self._front(number, state, row == 0))
            strip = Strip.join([front, body]).adjust_cell_length(frame.width)
            strips.append(strip.apply_style(whole))
        return strips

    def _front(self, number: int, state: str, is_first: bool) -> list[Run]:
        """Mark, time and name; blank before the rows that a line goes on in."""
        line, frame = self.buffer[number], self.frame
        mark: Run = (" ", Style.null())
        if "marked" in state:
            mark = ("●", self._style("mark"))
        elif line.error:
            mark = ("▏", self._style("error"))
        if not is_first:
            return [
                (mark[0] if line.error and "marked" not in state else " ", mark[1]),
                (" " * (frame.front - 1), Style.null()),
            ]
        front = [mark]
        if frame.time:
            front.append((drawing.said_time(line.time, frame.time) + " ", self._style("time")))
        if frame.name:
            style = self._style(f"name-{line.source % INKS}")
            front += [(text, style) for text, _ in fit(((self._names[line.source], ""),), frame.name)]
            front.append((" ", Style.null()))
        return front

    def _style(self, part: str) -> Style:
        """What a component adds to the text it is put on; remembered until the theme changes."""
        style = self._styles.get(part)
        if style is None:
            name = f"log--{part}"
            whole = self.get_component_rich_style(name)
            own = self.get_component_rich_style(name, partial=True)
            style = self._styles[part] = Style(
                color=whole.color if own.color else None,
                bgcolor=whole.bgcolor if own.bgcolor else None,
                bold=own.bold,
                dim=own.dim,
            )
        return style
