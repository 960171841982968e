"""What a value did over the last minutes or hour, as a plot of braille dots; a sparkline where it is tight.

plotext draws. It is imported in a thread when the first plot is seen: the first frame never pays for it. A
plot is drawn again only when the picture would differ: points are laid into columns that stand still in
time, the point that is still open is left out, and finished lines are kept.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable
from itertools import pairwise
from math import ceil, isnan, nan
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import work
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from backend import text as words
from backend.history import Series
from tui import cells
from tui.columns import Cell

if TYPE_CHECKING:
    from textual_plotext import Plot

_SPANS = (300, 900, 3600)
"""Time axes, in seconds: the shortest that holds all that is known."""
_MIN_WIDTH, _MIN_HEIGHT = 24, 5
"""Below this, with the title, a plot says less than a sparkline."""
_NOTHING = Series((), 1.0, 0.0, 0.0)


class HistoryPlot(Widget):
    """One value over time, with its name and newest value above."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"plot--title", "plot--line", "plot--axis"}
    ALLOW_SELECT = False

    def __init__(self, title: str, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._title = title
        self._series = _NOTHING
        self._top: float | None = 100.0
        self._form: Callable[[float], str] = words.percent
        self._columns: tuple[float, ...] = ()
        self._span = _SPANS[0]
        self._strips: list[Strip] | None = None

    def show(
        self,
        series: Series,
        *,
        title: str | None = None,
        top: float | None = 100.0,
        form: Callable[[float], str] = words.percent,
    ) -> None:
        """Show `series` on an axis from 0 to `top` (None: its highest value), values written by `form`."""
        # Without a place on the screen its width is not known: the columns are made when it is drawn.
        columns, span = columns_of(series, self._dots()) if self.size else ((), _SPANS[0])
        head = (title or self._title, _told(series, form))
        picture = (columns, span, top)
        same_head = head == (self._title, _told(self._series, self._form))
        same_picture = picture == (self._columns, self._span, self._top)
        self._series, self._form, self._title = series, form, head[0]
        self._columns, self._span, self._top = picture
        if not same_picture:
            self._strips = None
            self.refresh()
        elif not same_head and self._strips:
            self._strips[0] = self._first_line()
            self.refresh(Region(0, 0, self.size.width, 1))

    # ------------------------------------------------------------------------------------------- drawing

    def on_resize(self, event: Resize) -> None:
        """Lay the same series into as many columns as there are now, when it is drawn."""
        self._columns = ()
        self._strips = None

    def notify_style_update(self) -> None:
        """Another theme: draw in its colours."""
        super().notify_style_update()
        self._strips = None

    def render_line(self, y: int) -> Strip:
        """One line of the picture, from the kept lines where nothing changed."""
        if self._strips is None:
            self._strips = self._draw()
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.rich_style)

    def _dots(self) -> int:
        return max(1, 2 * (self.size.width - 5))

    def _draw(self) -> list[Strip]:
        width, height = self.size
        if not self._columns:
            self._columns, self._span = columns_of(self._series, self._dots())
        head = self._first_line()
        if self._is_small:
            return [head]
        if all(isnan(value) for value in self._columns):
            return [head, self._strip(cells.fit((("no data yet", "axis"),), width))]
        if "textual_plotext" not in sys.modules:
            self._load()
            return [
                head,
                self._strip(cells.spark(columns_of(self._series, width)[0], width, self._ceiling())),
            ]
        return [head, *self._plot(width, height - 1)]

    @property
    def _is_small(self) -> bool:
        return self.size.width < _MIN_WIDTH or self.size.height < _MIN_HEIGHT

    def _first_line(self) -> Strip:
        width = self.size.width
        return self._strip(self._small(width) if self._is_small else self._head(width))

    @work(group="plotext", exclusive=True)
    async def _load(self) -> None:
        await asyncio.to_thread(importlib.import_module, "textual_plotext")
        self._strips = None
        self.refresh()

    def _head(self, width: int) -> Cell:
        told = _told(self._series, self._form)
        name = cells.fit(((self._title, "title"),), max(0, width - len(told) - 1))
        return cells.fit((*name, (" ", ""), (told, "line")), width)

    def _small(self, width: int) -> Cell:
        """Name, sparkline and value on one line."""
        told = _told(self._series, self._form).rjust(6)
        room = width - len(told) - 10
        if room < 4:
            return cells.fit(((self._title, "title"), (" " + told.strip(), "line")), width)
        columns, _ = columns_of(self._series, room)
        spark = cells.text_of(cells.spark(columns, room, self._ceiling()))
        name = cells.fit(((self._title, "title"),), 9)
        return cells.fit((*name, (spark, "line"), (" " + told, "")), width)

    def _ceiling(self) -> float:
        if self._top is not None:
            return self._top or 1.0
        return 1.2 * max((value for value in self._columns if not isnan(value)), default=0.0) or 1.0

    def _plot(self, width: int, height: int) -> list[Strip]:
        from textual_plotext import Plot

        plot = Plot()
        plot.plotsize(width, height)
        plot._set_size(width, height)  # plotsize alone stops at the size of the terminal
        self._set_up_axes(plot, width, height)
        color = self._rgb("line")
        step = self._span / len(self._columns)
        for start, run in _runs(self._columns):
            times = [(start + index + 1) * step - self._span for index in range(len(run))]
            plot.plot(times, run, marker="braille", color=color, fillx=True)
        return [
            Strip(line.render(self.app.console)).adjust_cell_length(width).apply_style(self.rich_style)
            for line in Text.from_ansi(plot.build()).split("\n")[:height]
        ]

    def _set_up_axes(self, plot: Plot, width: int, height: int) -> None:
        top = self._ceiling()
        plot.theme("clear")
        plot.canvas_color("default")
        plot.axes_color("default")
        plot.ticks_color(self._rgb("axis"))
        plot.xaxes(True, False)
        plot.yaxes(True, False)
        plot.xlim(-self._span, 0)
        plot.ylim(0, top)
        levels = [0.0, top / 2, top] if height >= 7 else [0.0, top]
        plot.yticks(levels, [self._form(value).removesuffix(" %").rjust(4) for value in levels])
        ticks = [-self._span, -self._span / 2, 0.0] if width >= 40 else [-self._span, 0.0]
        plot.xticks(ticks, [f"-{-tick / 60:g} m" if tick else "now" for tick in ticks])

    def _strip(self, cell: Cell) -> Strip:
        """A line of `title`, `line` and `axis` spans in the colours of the style sheet."""
        segments = [Segment(text, self._style(name)) for text, name in cell]
        return Strip(segments).apply_style(self.rich_style)

    def _rgb(self, name: str) -> tuple[int, int, int]:
        """A colour of the style sheet as plotext takes it, mixed with what is behind it."""
        color = self.get_component_rich_style(f"plot--{name}").color
        if color is None:
            return 128, 128, 128
        red, green, blue = color.get_truecolor()
        return red, green, blue

    def _style(self, name: str) -> Style | None:
        known = name if name in ("title", "line", "axis") else "axis" if name == "dim" else "line"
        if not name:
            return None
        own = self.get_component_rich_style(f"plot--{known}", partial=True)
        mixed = self.get_component_rich_style(f"plot--{known}")  # its colour may let the background through
        return Style(color=mixed.color, bold=own.bold)


def columns_of(series: Series, dots: int) -> tuple[tuple[float, ...], int]:
    """`series` laid into at most `dots` columns that end now, and the seconds they span together.

    Column edges are multiples of the column's width on the history's clock: while time passes a picture moves
    by whole columns and keeps its shape. The newest point is still growing: it is left out once there are
    others, and `now` is the end of the one before it.
    """
    points = list(series.values)
    until = series.until
    if len(points) > 1:
        points.pop()
        until -= series.seconds_per_point
    age = series.now - until + len(points) * series.seconds_per_point
    span = next((span for span in _SPANS if age <= span), _SPANS[-1])
    count = max(1, min(dots, int(span / series.seconds_per_point)))
    step = span / count
    fresh = series.now - until <= 2 * series.seconds_per_point + step
    last = int((until - series.seconds_per_point / 2 if fresh else series.now) // step)
    sums, counts = [0.0] * count, [0] * count
    for back, value in enumerate(reversed(points)):
        if isnan(value):
            continue
        middle = until - (back + 0.5) * series.seconds_per_point
        column = count - 1 - (last - int(middle // step))
        if 0 <= column < count:
            sums[column] += value
            counts[column] += 1
    means = [total / n if n else nan for total, n in zip(sums, counts, strict=True)]
    return tuple(_bridge(means, ceil(series.seconds_per_point / step))), span


def _bridge(means: list[float], reach: int) -> list[float]:
    """Fill holes of at most `reach` columns, which come from points and columns not dividing evenly."""
    known = [index for index, value in enumerate(means) if not isnan(value)]
    for left, right in pairwise(known):
        if 1 < right - left <= reach + 1:
            for index in range(left + 1, right):
                means[index] = means[left]
    return means


def _runs(columns: tuple[float, ...]) -> list[tuple[int, list[float]]]:
    """Stretches without a gap, each with the index it starts at."""
    runs: list[tuple[int, list[float]]] = []
    open_run = False
    for index, value in enumerate(columns):
        if isnan(value):
            open_run = False
        elif open_run:
            runs[-1][1].append(value)
        else:
            runs.append((index, [value]))
            open_run = True
    return runs


def _told(series: Series, form: Callable[[float], str]) -> str:
    last = series.last
    return words.UNKNOWN if last is None else form(last)
