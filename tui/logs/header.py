"""What is said around the lines: which containers, how much of them, what is sought, what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.message import Message

from backend.logs.follower import Status
from backend.text import printable
from tui.header import Bar, Span
from tui.logs.canvas import INKS
from tui.logs.state import Picture

_NAME = 24
"""Cells of a container's name at most, where there are several."""


class LogHeader(Bar):
    """The first line of the screen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(
            f"bar--{name}"
            for name in ("brand", "title", "plain", "muted", "good", "warn", "bad", "found", "hidden")
        ),
        *(f"bar--name-{place}" for place in range(INKS)),
    }

    class Chosen(Message):
        """A container's name was clicked."""

        def __init__(self, source: int) -> None:
            super().__init__()
            self.source = source

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._picture = Picture()

    def show(self, picture: Picture) -> None:
        """Say this from now on; repaints only if it is something else."""
        if picture != self._picture:
            self._picture = picture
            self.refresh()

    def spans(self, width: int) -> tuple[list[Span], list[Span]]:
        """As much as fits: how many lines there are goes first, whether it follows stays longest."""
        picture = self._picture
        brand: list[Span] = [(" berth ", "brand", None), (" Logs ", "title", None)]
        titles: list[list[Span]] = [brand, [(" Logs ", "title", None)], []]
        for level in range(4):
            right = _right(picture, level)
            title = titles[min(level, 2)]
            room = width - _width(title) - _width(right) - 1
            names = _names(picture, room)
            if room >= 0 and (names or level == 3):
                return [*title, *names], right
        return _right(picture, 4), []

    def on_span(self, meaning: Any) -> None:
        """Show only other containers."""
        self.post_message(self.Chosen(int(meaning)))


def _right(picture: Picture, level: int) -> list[Span]:
    """What stands on the right; the higher the level the less."""
    parts: list[tuple[str, str]] = []
    if picture.sought:
        where = f"{picture.here + 1:,} of " if picture.here is not None else ""
        word = f"/{_short(picture.sought, 20)} " if level < 2 else "/ "
        parts.append((f"{word}{where}{picture.found:,}", "found" if picture.found else "warn"))
    if picture.only:
        parts.append((f"& {_short(picture.only, 24 if level < 2 else 8)}", "warn"))
    if picture.marked and level < 3:
        parts.append((f"● {picture.marked:,} marked", "found"))
    if level < 2:
        lines = (
            f"{picture.kept:,}" if picture.shown == picture.kept else f"{picture.shown:,} of {picture.kept:,}"
        )
        dropped = f", {picture.dropped:,} older dropped" if picture.dropped and level < 1 else ""
        parts.append((f"{lines} line{'' if picture.kept == 1 else 's'}{dropped}", "muted"))
    if level < 3:
        parts.append((picture.part, "muted"))
    parts.append(_going(picture, level))
    spans: list[Span] = []
    for text, style in parts:
        if spans:
            spans.append((" · ", "muted", None))
        spans.append((text, style, None))
    return [*spans, (" ", "muted", None)]


def _going(picture: Picture, level: int) -> tuple[str, str]:
    if not picture.following:
        below = f"{picture.unseen:,} below" if picture.unseen else "paused"
        return (f"‖ {below}" if level < 3 else "‖"), "warn"
    alive = [status for status in picture.states if status.state in ("following", "opening")]
    if alive or not picture.states:
        return ("● following" if level < 3 else "●"), "good"
    lost = any(status.state == "lost" for status in picture.states)
    return ("! lost", "bad") if lost else ("■ ended", "muted")


def _names(picture: Picture, room: int) -> list[Span]:
    """The containers, as many as there is room for."""
    spans: list[Span] = []
    several = len(picture.names) > 1
    for place, (name, status) in enumerate(zip(picture.names, picture.states, strict=True)):
        sign = {"lost": "! ", "ended": "■ ", "removed": "✗ "}.get(status.state, "")
        style = f"name-{place % INKS}" if several else "plain"
        text = f"{sign}{_short(name, _NAME if several else 60)} "
        rest = len(picture.names) - place - 1
        reserve = len(f"+{rest} ") if rest else 0
        if _width(spans) + cell_len(text) + reserve > room:
            more = f"+{rest + 1} "
            return [*spans, (more, "muted", None)] if spans and _width(spans) + len(more) <= room else spans
        spans.append((text, "hidden" if place in picture.hidden else style, place if several else None))
    return spans


def _short(text: str, width: int) -> str:
    return printable(text, width)


def _width(spans: Sequence[Span]) -> int:
    return sum(cell_len(text) for text, _, _ in spans)


class LogNotice(Bar):
    """The line above the keys that says what is wrong with a container."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"bar--bad", "bar--muted", "bar--warn"}

    def __init__(self, *, id: str, of: str = "container") -> None:
        """`of`: what writes the lines."""
        super().__init__(id=id)
        self._of = of
        self._said: tuple[tuple[str, str], ...] = ()

    def show(self, names: Sequence[str], states: Sequence[Status]) -> None:
        """Say what the worst of them is like; nothing where all is well."""
        said: list[tuple[str, str]] = []
        for name, status in zip(names, states, strict=True):
            if status.state == "lost":
                said.append((f"{name}: {status.error} Trying again.", "bad"))
            elif status.state == "removed":
                said.append((f"{name} was removed; what was read stays here.", "warn"))
        if len(said) < len(states) and not said:
            ended = [name for name, status in zip(names, states, strict=True) if status.state == "ended"]
            if ended and len(ended) == len(states):
                one = len(ended) == 1
                said.append(
                    (f"The {self._of} has ended." if one else f"All {self._of}s have ended.", "muted")
                )
        if tuple(said) != self._said:
            self._said = tuple(said)
            self.set_class(bool(said), "-said")
            self.refresh()

    def spans(self, width: int) -> tuple[list[Span], list[Span]]:
        """The first, and how many more."""
        if not self._said:
            return [], []
        text, style = self._said[0]
        more = f" (and {len(self._said) - 1} more)" if len(self._said) > 1 else ""
        return [(" " + printable(text, max(1, width - 2 - len(more))) + more, style, None)], []
