"""The detail pane: text that scrolls on one side, the past on the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from time import monotonic
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding, BindingsMap
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import Resize
from textual.timer import Timer

from backend.activity import ActivityRow
from backend.config import Config
from backend.history import History
from backend.imagelines import ImageLine
from backend.model import (
    ContainerRow,
    ContextRow,
    FleetState,
    GpuRow,
    HostSnapshot,
    JobRow,
    SessionRow,
    TunnelRow,
)
from tui.cells import plain, text_of
from tui.columns import Cell
from tui.detail import activity, container, context, gpu, host, image, imagefacts, job, session, tunnel
from tui.detail.lines import Lines
from tui.detail.page import Curve, Page, Sheet, View
from tui.plots import HistoryPlot
from tui.reports import describe

Target = (
    HostSnapshot
    | GpuRow
    | ContainerRow
    | ContextRow
    | SessionRow
    | JobRow
    | ActivityRow
    | ImageLine
    | TunnelRow
)
"""What there are details of."""

PAGES: dict[type, Callable[[Any, View], Page]] = {
    HostSnapshot: host.page,
    GpuRow: gpu.page,
    ContainerRow: container.page,
    ContextRow: context.page,
    SessionRow: session.page,
    JobRow: job.page,
    ActivityRow: activity.page,
    ImageLine: image.page,
    TunnelRow: tunnel.page,
}
_PLOTS = 3
_WIDE = 96
"""From this width on, plots stand beside the text."""
_REST = 0.2
"""Seconds a cursor must stay on a row before its details are drawn: moving on must cost nothing."""
_BETWEEN = 0.02
"""Seconds between two plots that are drawn."""
_TALL = 30
"""From this height on, there is room for plots below the text; else they are one line each."""


class DetailPane(Container):
    """Everything about one target, kept up to date in place."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown: tuple[Target | None, View] | None = None
        self._drawn: Hashable = None
        self._key: Hashable = None
        self._titled = ""
        self._curves: list[tuple[HistoryPlot, Curve]] = []
        self._drawing: Timer | None = None
        self._resting: Timer | None = None
        self._rests_at = 0.0
        """When the cursor will have rested. A time, not a state: under load a timer may never fire."""

    def compose(self) -> ComposeResult:
        """Text and plots."""
        yield Lines(id="detail-text")
        with Vertical(id="detail-plots"):
            for _ in range(_PLOTS):
                yield HistoryPlot("")

    def take_keys(self, bindings: Iterable[Binding]) -> None:
        """Bind the keys of what can be done to what is shown: they work here as they do in the list."""
        self._bindings = BindingsMap(bindings)

    def show(self, target: Target | None, state: FleetState, history: History, config: Config) -> None:
        """Show `target` as it is in `state`; another one than before once the cursor rests. None clears."""
        before = self._shown
        self._shown = (target, View(state, history, config))
        if before is None or (before[0] is None) is not (target is None):
            self._update()
        elif _name(before[0]) != _name(target):
            if self._resting is not None:
                self._resting.stop()
            self._rests_at = monotonic() + _REST
            self._resting = self.set_timer(_REST, self._update)
        elif monotonic() >= self._rests_at:
            self._update()

    @property
    def text(self) -> str:
        """What the pane says, as plain text: for the clipboard."""
        return self.query_one(Lines).text if self.is_mounted else ""

    def on_resize(self, event: Resize) -> None:
        """Another shape: plots beside the text, below it, or as single lines."""
        width, height = event.size
        self.set_class(width >= _WIDE, "-wide")
        self.set_class(width < _WIDE and height >= _TALL, "-tall")
        self.set_class(width < _WIDE and height < 8, "-tiny")

    def on_lines_resized(self) -> None:
        """Lay the text out for its new width."""
        self._update()

    def _update(self) -> None:
        """Bring the page onto the screen, unless nobody sees it or nothing can have changed."""
        if self._shown is None or not self.is_mounted or not self.size:
            return
        target, view = self._shown
        lines = self.query_one(Lines)
        drawn = (_identity(target, view), int(view.now.timestamp()), lines.room, id(view.config))
        if drawn == self._drawn:
            return
        self._drawn = drawn
        page, text = _laid_out(target, view, lines.room)
        if page.key != self._key:
            self._key = page.key
            lines.scroll_to(0, 0, animate=False, immediate=True)
        title = text_of(page.title)
        if title != self._titled:  # each title paints the whole pane again
            self._titled = title
            self.border_title = Content(title)
        self._show_curves(page)
        lines.set_lines(text)

    def _show_curves(self, page: Page) -> None:
        """Give each plot its curve, one at a time: drawing is slow enough to be felt by whoever types."""
        plots = list(self.query(HistoryPlot))
        curves = [curve for curve in page.curves if not curve.series.empty]
        self.query_one("#detail-plots").display = bool(curves)
        for plot in plots[len(curves) :]:
            plot.display = False
        self._curves = list(zip(plots, curves, strict=False))
        if self._drawing is not None:
            self._drawing.stop()
        self._next_curve()

    def _next_curve(self) -> None:
        if not self._curves:
            return
        plot, curve = self._curves.pop(0)
        plot.display = True
        plot.show(curve.series, title=curve.title, top=curve.top, form=curve.form)
        if self._curves:
            self._drawing = self.set_timer(_BETWEEN, self._next_curve)


def _identity(target: Target | None, view: View) -> Hashable:
    """Changes whenever the page of `target` may read differently, apart from times that pass."""
    if target is None:
        return None
    if isinstance(target, ActivityRow):
        return (_name(target), target.state, target.done, len(target.output), target.output[-1:])
    if isinstance(target, ImageLine):
        used = tuple(each.used_by for each in target.places)
        known = imagefacts.known(target.id)
        facts = known is not None and id(known)
        built = tuple((each.id, each.state) for each in imagefacts.builds_of(target.recipe)[:8])
        return (_name(target), target.hosts, target.state, target.reason, used, facts, built)
    if isinstance(target, TunnelRow):
        return target
    name = target.name if isinstance(target, HostSnapshot) else target.host
    snapshot = view.host(name)
    row = target if isinstance(target, ContextRow) else None
    return (_name(target), snapshot.revision if snapshot else None, row and row.state)


def _name(target: Target | None) -> Hashable:
    """What tells one target from another, whatever its values."""
    match target:
        case None:
            return None
        case HostSnapshot() | ContextRow():
            return type(target), target.name
        case GpuRow():
            return GpuRow, target.host, target.uuid
        case ContainerRow():
            return ContainerRow, target.host, target.id
        case TunnelRow():
            return TunnelRow, target.id
        case ActivityRow():
            return ActivityRow, target.id
        case ImageLine():
            return ImageLine, target.name, target.id
        case JobRow():
            return JobRow, target.host, target.engine, target.id
        case SessionRow():
            return SessionRow, target.host, target.socket, target.id


def _laid_out(target: Target | None, view: View, room: int) -> tuple[Page, list[Cell]]:
    """The page of a target and its lines. A bug in one page must not take the dashboard with it."""
    try:
        page = PAGES[type(target)](target, view) if target is not None else _nothing()
        return page, page.sheet.lines(room)
    except Exception as error:
        title, said = describe(error)
        sheet = Sheet()
        sheet.text(plain(f"! {title}", "bad"))
        sheet.text(plain(said))
        return Page(("bug", _name(target)), (("Details", ""),), sheet), sheet.lines(room)


def _nothing() -> Page:
    sheet = Sheet()
    sheet.text((("Nothing is selected. Move to a row to see everything about it.", "dim"),))
    return Page(None, (("Details", ""),), sheet)
