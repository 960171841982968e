"""One pane on the wall: a frame that says what it is, and what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from backend.text import printable
from backend.wall import Image, PaneKey
from tui.cells import fit
from tui.wall import sgr

State = Literal["live", "waiting", "gone", "away"]
_NULL = Style.null()


@dataclass(frozen=True)
class Caption:
    """What the frame says."""

    host: str = ""
    name: str = ""
    """Session, window and pane."""
    command: str = ""
    idle: str = ""
    state: State = "waiting"
    note: str = ""
    """Why it is not live: `away 14 m`, `ended`."""
    watched: bool = False
    alert: str = ""
    focused: bool = False
    attached: bool = False


class Tile(Widget):
    """A pane. Draws only rows that changed."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"tile--{part}"
        for part in ("frame", "frame-focus", "frame-alert", "frame-old", "host", "name", "command")
    } | {f"tile--{part}" for part in ("idle", "alert", "watch", "old", "cursor", "say")}

    class Chosen(Message):
        """It was clicked; twice: to be zoomed."""

        def __init__(self, tile: Tile, *, zoom: bool) -> None:
            super().__init__()
            self.tile, self.zoom = tile, zoom

    def __init__(self) -> None:
        super().__init__()
        self.key: PaneKey | None = None
        self.caption = Caption()
        self._image: Image | None = None
        self._rows: list[Sequence[sgr.Run]] = []
        self._cursor: tuple[int, int] | None = None
        self._top = 0
        self._styles: dict[str, Style] = {}

    # ------------------------------------------------------------------------------------ what it shows

    def show(self, key: PaneKey | None, caption: Caption, image: Image | None) -> None:
        """Show that pane from now on; None: no pane."""
        if key != self.key:
            self.key, self._rows, self._cursor, self._top = key, [], None, 0
            self.caption = caption
            self._image = None
            self.refresh()
        elif caption != self.caption:
            old, self.caption = self.caption, caption
            if (old.state, old.focused, bool(old.alert)) != (
                caption.state,
                caption.focused,
                bool(caption.alert),
            ):
                self.refresh()
            else:
                self._refresh_rows({0, self.size.height - 1})
        self.draw(image)

    def draw(self, image: Image | None) -> None:
        """The pane looks different, or it does not: draw the rows that do."""
        self._image = image
        height = max(0, self.size.height - 2)
        if image is None or height == 0:
            return
        rows, cursor, top = _window(image, height)
        if len(rows) != len(self._rows):
            self.refresh()
        else:
            changed = {place for place, row in enumerate(rows) if row is not self._rows[place]}
            if cursor != self._cursor:
                changed |= {place[1] for place in (cursor, self._cursor) if place is not None}
            self._refresh_rows({row + 1 for row in changed})
        self._rows, self._cursor, self._top = rows, cursor, top

    def _refresh_rows(self, rows: set[int]) -> None:
        if len(rows) > self.size.height // 2:
            self.refresh()
        elif rows:
            self.refresh(*(Region(0, row, self.size.width, 1) for row in rows))

    def on_resize(self) -> None:
        """Another part of the pane has room."""
        self._rows = []
        self.draw(self._image)
        self.refresh()

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        self._styles.clear()

    # ------------------------------------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        """One row: of the frame, or of the pane."""
        width, height = self.size
        if self.key is None or width < 4 or height < 3:
            return Strip.blank(width, self.rich_style)
        if y in (0, height - 1):
            return self._edge(width, top=y == 0)
        base, frame = self.rich_style, self._frame()
        side = "┃" if self.caption.focused else "│"
        inner = self._inner(y - 1, width - 2, base)
        return Strip([Segment(side, frame), *inner, Segment(side, frame)], width)

    def _inner(self, row: int, room: int, base: Style) -> list[Segment]:
        if self._image is None:
            return self._say(row, room, base)
        runs: Sequence[sgr.Run] = self._rows[row] if row < len(self._rows) else ()
        segments = [Segment(text, base + style) for text, style in runs]
        if self._cursor is not None and self._cursor[1] == row and self.caption.state == "live":
            segments = _with_cursor(segments, self._cursor[0], room, base, self._style("cursor"))
        strip = Strip(segments).adjust_cell_length(room, base)
        if self.caption.state in ("gone", "away"):
            old = self._style("old")
            return [Segment(text, old) for text, _, _ in strip]
        return list(strip)

    def _say(self, row: int, room: int, base: Style) -> list[Segment]:
        """Where nothing came yet."""
        text = ""
        if row == max(0, (self.size.height - 3) // 2):
            text = self.caption.note or "waiting for its picture"
            text = (" " * max(0, (room - len(text)) // 2) + text)[:room]
        return list(Strip([Segment(text, base + self._style("say"))]).adjust_cell_length(room, base))

    def _edge(self, width: int, *, top: bool) -> Strip:
        caption, frame = self.caption, self._frame()
        heavy = caption.focused
        start, line, end = ("┏━┓" if heavy else "╭─╮") if top else ("┗━┛" if heavy else "╰─╯")
        left, right = self._top_words() if top else self._bottom_words()
        room = width - 4
        right = _fitted(right, room)
        left = _fitted(left, room - _width(right) - 1)
        gap = width - 4 - _width(left) - _width(right)
        parts = [(start + line, frame), *left, (line * gap, frame), *right, (line + end, frame)]
        base = self.rich_style
        return Strip([Segment(text, base + style) for text, style in parts if text], width)

    def _top_words(self) -> tuple[list[sgr.Run], list[sgr.Run]]:
        caption = self.caption
        left = [
            (" ", _NULL),
            (printable(caption.host, 60), self._style("host")),
            (" ", _NULL),
            (printable(caption.name, 80), self._style("name")),
            (" ", _NULL),
        ]
        command = printable(caption.command, 40)
        return left, [(f" {command} ", self._style("command"))] if command else []

    def _bottom_words(self) -> tuple[list[sgr.Run], list[sgr.Run]]:
        caption = self.caption
        left: list[sgr.Run] = []
        if caption.alert:
            left.append((f" ▲ {printable(caption.alert, 200)} ", self._style("alert")))
        elif caption.watched:
            left.append((" ● watched ", self._style("watch")))
        right = caption.note or (f"idle {caption.idle}" if caption.idle else "")
        return left, [(f" {right} ", self._style("old" if caption.note else "idle"))] if right else []

    def _frame(self) -> Style:
        caption = self.caption
        if caption.alert:
            return self._style("frame-alert")
        if caption.focused:
            return self._style("frame-focus")
        return self._style("frame-old" if caption.state in ("gone", "away") else "frame")

    def _style(self, part: str) -> Style:
        found = self._styles.get(part)
        if found is None:
            found = self._styles[part] = self.get_component_rich_style(f"tile--{part}")
        return found

    # -------------------------------------------------------------------------------------------- mouse

    def on_click(self, event: events.Click) -> None:
        """Look at it; twice: zoom it."""
        if self.key is not None:
            event.stop()
            self.post_message(self.Chosen(self, zoom=event.chain > 1))


def _window(image: Image, height: int) -> tuple[list[Sequence[sgr.Run]], tuple[int, int] | None, int]:
    """The rows that have room, the cursor among them, and the first row's number.

    Where not all have room: those up to the last that something stands in, or the cursor.
    """
    last = max(image.lines, default=-1)
    bottom = max(last, image.cursor[1] if image.cursor else 0) + 1
    top = max(0, bottom - height)
    rows: list[Sequence[sgr.Run]] = []
    pen = sgr.START
    for row in range(min(max(bottom, 1), top + height)):
        runs, pen = sgr.decode(image.lines.get(row, ""), pen)
        if row >= top:
            rows.append(runs)
    cursor = (image.cursor[0], image.cursor[1] - top) if image.cursor and image.cursor[1] >= top else None
    return rows, cursor, top


def _with_cursor(segments: list[Segment], column: int, room: int, base: Style, look: Style) -> list[Segment]:
    if column >= room:
        return segments
    strip = Strip(segments).adjust_cell_length(room, base)
    parts = strip.divide([column, column + 1, room])
    here = [Segment(text, (style or base) + look) for text, style, _ in parts[1]]
    return [*parts[0], *here, *(parts[2] if len(parts) > 2 else ())]


def _width(words: Sequence[sgr.Run]) -> int:
    return sum(cell_len(text) for text, _ in words)


def _fitted(words: list[sgr.Run], room: int) -> list[sgr.Run]:
    """As much of the words as has room."""
    if _width(words) <= room:
        return words
    out: list[sgr.Run] = []
    for text, style in words:
        if room <= 0:
            break
        wide = cell_len(text)
        if wide > room:
            text = "".join(piece for piece, _ in fit(((text, ""),), room))
        out.append((text, style))
        room -= wide
    return out
