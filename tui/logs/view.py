"""Moving through a log: keys and mouse. Follows the end until one looks back, and again from there on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from backend.logs.buffer import LogBuffer
from tui.logs import window
from tui.logs.canvas import LogCanvas
from tui.logs.drawing import Times

_SIDEWAYS = 16
"""Cells per key sideways."""
_NEXT_TIMES: dict[Times, Times] = {"": "time", "time": "date", "date": ""}


class LogView(LogCanvas, can_focus=True):
    """A page of a log that can be moved."""

    BINDING_GROUP_TITLE = "Lines"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Next line", show=False, id="log-down"),
        Binding("k,up", "move(-1)", "Line before", show=False, id="log-up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="log-page-down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="log-page-up"),
        Binding("g,home", "top", "Oldest line", show=False, id="log-top"),
        Binding("G,end", "bottom", "Newest line, and follow", show=False, id="log-bottom"),
        Binding("left", "sideways(-1)", "Text left", show=False, id="log-left"),
        Binding("right", "sideways(1)", "Text right", show=False, id="log-right"),
        Binding("f,s", "follow", "follow", id="log-follow"),
        Binding("w", "wrap", "wrap", id="log-wrap"),
        Binding("t", "times", "times", id="log-times"),
        Binding("space", "mark", "Mark the line", show=False, id="log-mark"),
    ]

    class Changed(Message):
        """It follows, or not; other lines are marked; it looks different."""

    def __init__(self, buffer: LogBuffer, names: Sequence[str], *, id: str | None = None) -> None:
        """`names`: of the containers, by the lines' `source`."""
        super().__init__(buffer, names, id=id)
        self._dragging = False

    def go_to(self, number: int) -> None:
        """Put the cursor on a line and have it on the screen, not on its edge."""
        self._stop()
        self.cursor = number
        if number not in self.lines_shown():
            self.top = window.moved(self.buffer, self.line_height, (number, 0), -(self.size.height // 3))
        self.show_lines()

    # -------------------------------------------------------------------------------------- movement

    def _stop(self) -> None:
        """Stay on this page from now on."""
        if self.following:
            self.top = self.page[0] if self.page else (self.buffer.end, 0)
            self.following = False
            self.post_message(self.Changed())

    def follow(self) -> None:
        """Stay at the end from now on."""
        self.cursor = None
        if not self.following:
            self.following = True
            self.post_message(self.Changed())
        self.show_lines()

    def scroll_rows(self, rows: int) -> None:
        """Move the page; at the end it follows again."""
        self._stop()
        self.top = window.moved(self.buffer, self.line_height, self.top, rows)
        self._page = None
        if (
            rows > 0
            and not self.unseen
            and self.page == window.last_page(self.buffer, self.line_height, max(1, self.size.height))
        ):
            self.follow()
        self.show_lines()

    def action_move(self, lines: int) -> None:
        """Move the cursor by lines; the first step up leaves the end."""
        shown = self.lines_shown()
        if not shown:
            return
        self._stop()
        if self.cursor is None or self.cursor not in shown:
            self._point(shown[-1] if lines < 0 else shown[0])
            return
        row = self.buffer.row(self.cursor) + lines
        if 0 <= row < len(self.buffer):
            self._point(self.buffer.number(row))

    def _point(self, number: int) -> None:
        """Put the cursor there, and scroll no further than that needs."""
        self.cursor = number
        whole = {place for place in self.page if place[0] == number}
        if len(whole) < min(self.line_height(number), self.size.height):
            rows = max(1, self.size.height)
            above = number < self.page[-1][0] if self.page else True
            end = window.page_to(self.buffer, self.line_height, (number, -1), rows)
            self.top = (number, 0) if above or not end else end[0]
        self.show_lines()

    def action_page(self, pages: int) -> None:
        """Move by pages."""
        self.scroll_rows(pages * max(1, self.size.height - 1))
        if self.cursor is not None and (shown := self.lines_shown()):
            self.cursor = min(max(self.cursor, shown[0]), shown[-1])

    def action_top(self) -> None:
        """To the oldest line that is kept."""
        if len(self.buffer):
            self._stop()
            self.cursor = self.buffer.number(0)
            self.top = (self.cursor, 0)
            self.show_lines()

    def action_bottom(self) -> None:
        """To the newest line, and follow."""
        self.follow()

    def action_follow(self) -> None:
        """Follow, or stay here."""
        if self.following:
            self._stop()
            self.show_lines()
        else:
            self.follow()

    def action_sideways(self, steps: int) -> None:
        """Move long lines that are not wrapped."""
        if not self.wrapped:
            longest = max((len(self.buffer[number].plain) for number in self.lines_shown()), default=0)
            most = max(0, longest - self.frame.room // 2)
            self.shift = max(0, min(self.shift + steps * _SIDEWAYS, max(most, self.shift)))
            self.restyle()

    def action_wrap(self) -> None:
        """Wrap long lines, or not."""
        self.wrapped, self.shift = not self.wrapped, 0
        self.top = (self.top[0], 0)
        self.restyle()
        self.post_message(self.Changed())

    def action_times(self) -> None:
        """No time, the time, date and time."""
        self.times = _NEXT_TIMES[self.times]
        self.restyle()
        self.post_message(self.Changed())

    def action_mark(self) -> None:
        """Mark the line under the cursor, or unmark it, and go to the next."""
        if self.cursor is None:
            self.action_move(-1)
        if self.cursor is not None and self.cursor in self.buffer.numbers():
            self.marks ^= {self.cursor}
            row = self.buffer.row(self.cursor) + 1
            self._point(self.buffer.number(row) if row < len(self.buffer) else self.cursor)
            self.post_message(self.Changed())

    def clear_marks(self) -> None:
        """Unmark all."""
        self.marks = set()
        self.show_lines()
        self.post_message(self.Changed())

    # ----------------------------------------------------------------------------------------- mouse

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Back."""
        event.stop()
        self.scroll_rows(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Towards the end."""
        event.stop()
        self.scroll_rows(3)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """On the bar: go there. On a line: point at it; with ctrl: mark it."""
        if event.x == self.size.width - 1 and self.has_bar:
            self._dragging = True
            self.capture_mouse()
            self._drag(event.y)
        elif 0 <= event.y < len(self.page):
            self._stop()
            self._point(self.page[event.y][0])
            if event.ctrl and self.cursor is not None:
                self.marks ^= {self.cursor}
                self.post_message(self.Changed())

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag the bar."""
        if self._dragging:
            self._drag(event.y)

    def on_mouse_up(self) -> None:
        """Let the bar go."""
        if self._dragging:
            self._dragging = False
            self.release_mouse()

    def _drag(self, y: int) -> None:
        rows = max(1, self.size.height - 1)
        row = round(max(0, min(y, rows)) / rows * (len(self.buffer) - 1))
        if y >= rows:
            self.follow()
        elif len(self.buffer):
            self._stop()
            self.top = (self.buffer.number(row), 0)
            self.show_lines()
