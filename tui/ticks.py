"""Ticks that can be told apart without colours: `[x]` and `[ ]`. Textual's own differ in nothing else."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.strip import Strip
from textual.widgets import Checkbox, SelectionList

Value = TypeVar("Value")
_BUTTON = 3
"""Segments that Textual makes a button of: its left side, what is in it, its right side."""


def _sign(on: bool) -> str:
    return "[x]" if on else "[ ]"


class Tick(Checkbox, inherit_bindings=False):
    """Yes or no. Enter is not its key: in a form it leads to the next field."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "toggle_button", "change", show=False)]

    @property
    def _button(self) -> Content:
        return Content.styled(_sign(self.value), self.get_visual_style("toggle--button"))


class Ticks(SelectionList[Value]):
    """Some of several."""

    def render_line(self, y: int) -> Strip:
        """One choice."""
        drawn = list(super().render_line(y))
        place = self.scroll_offset.y + y
        if place >= self.option_count or len(drawn) < _BUTTON:
            return Strip(drawn)
        on = self.get_option_at_index(place).value in self.selected
        return Strip([Segment(_sign(on), drawn[1].style), *drawn[_BUTTON:]])
