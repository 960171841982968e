"""Styled lines that scroll, draw only what is seen, and can be selected with the mouse and copied."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from tui.cells import text_of
from tui.columns import STYLES, Cell

_NAMES = (*STYLES, "key", "heading")


class Lines(ScrollView, can_focus=True):
    """Lines of cells. New lines replace old ones in place: only visible ones that differ are drawn again."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"cell--{name}" for name in _NAMES}
    BINDING_GROUP_TITLE = "Details"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_down", "Scroll down", show=False, id="lines-down"),
        Binding("k,up", "scroll_up", "Scroll up", show=False, id="lines-up"),
        Binding("pagedown,ctrl+f", "page_down", "Page down", show=False, id="lines-page-down"),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False, id="lines-page-up"),
        Binding("g,home", "scroll_home", "Top", show=False, id="lines-top"),
        Binding("G,end", "scroll_end", "Bottom", show=False, id="lines-bottom"),
    ]

    class Resized(Message):
        """There is another width for the lines now."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Cell] = []
        self._styles: dict[str, Style] = {}

    def set_lines(self, lines: list[Cell]) -> None:
        """Show these lines; the scroll position stays."""
        before, self._lines = self._lines, lines
        if len(before) != len(lines) or self.virtual_size.width != self.room:
            self.virtual_size = Size(self.room, len(lines))
            self.refresh()
            return
        top = self.scroll_offset.y
        for y in range(top, min(len(lines), top + self.size.height)):
            if before[y] != lines[y]:
                self.refresh_line(y - top)

    def on_resize(self) -> None:
        """Whoever made the lines makes them again."""
        self.post_message(self.Resized())

    @property
    def room(self) -> int:
        """How many terminal cells a line can have."""
        return self.scrollable_content_region.width

    @property
    def text(self) -> str:
        """All lines as plain text."""
        return "\n".join(text_of(line).rstrip() for line in self._lines)

    def notify_style_update(self) -> None:
        """Another theme: other colours."""
        super().notify_style_update()
        self._styles.clear()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text."""
        return selection.extract(self.text), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """What is selected looks different."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        x, top = self.scroll_offset
        y += top
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        selection = self.text_selection
        span = selection.get_span(y) if selection is not None else None
        line = self._plain_strip(y) if span is None else self._selected_strip(y, *span)
        return line.crop_extend(x, x + width, self.rich_style).apply_offsets(x, y)

    def _plain_strip(self, y: int) -> Strip:
        return Strip([Segment(text, self._style(name)) for text, name in self._lines[y]])

    def _selected_strip(self, y: int, start: int, end: int) -> Strip:
        text = Text("", no_wrap=True, end="")
        for part, name in self._lines[y]:
            text.append(part, self._style(name))
        marked = self.screen.get_component_rich_style("screen--selection")
        text.stylize(marked, start, len(text) if end == -1 else end)
        return Strip(text.render(self.app.console))

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self.rich_style
            if name:
                part = f"cell--{name}"
                own = self.get_component_rich_style(part, partial=True)
                mixed = self.get_component_rich_style(part)  # its colour may let the background through
                style += Style(color=mixed.color, bold=own.bold, italic=own.italic)
            self._styles[name] = style
        return style
