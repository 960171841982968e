"""The first line of the wall: how many panes, which page, what is the matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tui import cells
from tui.header import Bar, Span


@dataclass(frozen=True)
class Summary:
    """What is said."""

    panes: int = 0
    hosts: int = 0
    page: int = 1
    pages: int = 1
    alerts: int = 0
    watched: int = 0
    away: int = 0
    """Hosts that are not up."""
    zoomed: str = ""


class WallHeader(Bar):
    """One line."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"bar--{name}" for name in ("brand", "title", "plain", "muted", "warn", "accent")
    }

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._summary = Summary()

    def show(self, summary: Summary) -> None:
        """Say this from now on."""
        if summary != self._summary:
            self._summary = summary
            self.refresh()

    def spans(self, width: int) -> tuple[list[Span], list[Span]]:
        """As much as fits, what is the matter last to go."""
        said = self._summary
        left: list[Span] = [(" berth ", "brand", None), (" Wall ", "title", None)]
        if said.zoomed:
            left.append((f" {said.zoomed} ", "accent", None))
        urgent = _parts((said.alerts, f"▲ {said.alerts}", "warn"), (said.away, f"{said.away} away", "warn"))
        page = _parts((said.pages - 1, f"page {said.page}/{said.pages}", "plain"))
        rest = _parts(
            (said.panes, f"{said.panes} {'pane' if said.panes == 1 else 'panes'}", "muted"),
            (said.hosts, f"{said.hosts} {'host' if said.hosts == 1 else 'hosts'}", "muted"),
            (said.watched, f"{said.watched} watched", "muted"),
        )
        for right in ([*rest, *page, *urgent], [*page, *urgent], urgent):
            joined = _join(right)
            if _width(left) + _width(joined) < width:
                return left, joined
        return left, []


def _parts(*parts: tuple[int, str, str]) -> list[tuple[str, str]]:
    return [(text, style) for number, text, style in parts if number]


def _join(parts: list[tuple[str, str]]) -> list[Span]:
    spans: list[Span] = []
    for text, style in parts:
        spans += [(" · ", "muted", None)] * bool(spans) + [(text, style, None)]
    return [*spans, (" ", "", None)]


def _width(spans: list[Span]) -> int:
    return sum(cells.width_of(((text, ""),)) for text, _, _ in spans)
