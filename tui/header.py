"""The first line (views and what the fleet is like) and the last (what can be done now)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from tui.keys import is_shown
from tui.views import Listed

Span = tuple[str, str, Any]
"""Text, style name, and what a click on it means (None: nothing)."""


class Bar(Widget):
    """One line of clickable spans."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._drawn: list[Span] = []

    @abstractmethod
    def spans(self, width: int) -> tuple[list[Span], list[Span]]:
        """What stands on the left and on the right for that width."""

    def on_span(self, meaning: Any) -> None:
        """A span was clicked."""

    def render(self) -> Text:
        """The line, cut to the width."""
        width = self.size.width
        left, right = self.spans(width)
        room = width - sum(cell_len(text) for text, _, _ in (*left, *right))
        self._drawn = [*left, (" " * max(0, room), "", None), *right]
        text = Text(no_wrap=True, overflow="crop", end="")
        for span, name, _ in self._drawn:
            text.append(span, self._look(name))
        return text

    def _look(self, name: str) -> Style | str:
        return self.get_component_rich_style(f"bar--{name}") if name else ""

    def on_click(self, event: events.Click) -> None:
        """Find the span that was clicked."""
        x = 0
        for text, _, meaning in self._drawn:
            x += cell_len(text)
            if event.x < x:
                if meaning is not None:
                    self.on_span(meaning)
                return


Part = tuple[str, str]
"""Text and style name."""


class HeaderBar(Bar):
    """berth, the views, and the fleet in a few words."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"bar--{name}"
        for name in ("brand", "tab", "number", "active", "plain", "muted", "free", "warn", "bad")
    }

    class Chosen(Message):
        """A view was clicked."""

        def __init__(self, view: str) -> None:
            super().__init__()
            self.view = view

    def __init__(self, views: Sequence[Listed], *, active: str, id: str) -> None:
        super().__init__(id=id)
        self._views = views
        self._active = active
        self._parts: list[list[Part]] = [[]]
        self._badges: list[Part] = []

    def show(self, *, active: str, parts: list[list[Part]], badges: list[Part]) -> None:
        """Say this from now on; repaints only if it is something else."""
        if (active, parts, badges) != (self._active, self._parts, self._badges):
            self._active, self._parts, self._badges = active, parts, badges
            self.refresh()

    def activate(self, view: str) -> None:
        """Another view is shown."""
        self.show(active=view, parts=self._parts, badges=self._badges)

    def spans(self, width: int) -> tuple[list[Span], list[Span]]:
        """As much as fits: titles of other views go first (the last ones before others), then our name, then
        the other views.
        """
        tabs, *titled = (self._tabs(titles) for titles in (0, *range(len(self._views), 0, -1)))
        active = [tab for tab in tabs if tab[1] == "active"]
        problems = [part for part in self._parts[-1] if part[1] in ("bad", "warn")]
        for left in (*titled, tabs, tabs[2:], active):
            for parts in (*self._parts, problems) if left is active else self._parts:
                right = self._summary([*self._badges, *parts])
                if _width(left) + _width(right) + 1 <= width:
                    return left, right
        return [(" ", "", None), *self._summary(self._parts[-1])], []

    def _summary(self, parts: Sequence[Part]) -> list[Span]:
        spans: list[Span] = []
        for text, style in parts:
            if spans:
                spans.append((" · ", "muted", None))
            spans.append((text, style, None))
        return [*spans, (" ", "", None)]

    def _tabs(self, titles: int) -> list[Span]:
        """All views, so many of them with their titles."""
        spans: list[Span] = [(" berth ", "brand", None), (" ", "", None)]
        for place, (name, number, title, *_) in enumerate(self._views):
            if name == self._active:
                spans.append((f" {number} {title} ", "active", name))
            elif place < titles:
                spans += [(f" {number} ", "number", name), (f"{title} ", "tab", name)]
            else:
                spans.append((f" {number} ", "number", name))
        return spans

    def on_span(self, meaning: Any) -> None:
        """Go to the view."""
        self.post_message(self.Chosen(meaning))


_ALWAYS = ("menu", "command", "ask('command')", "help")
"""Actions that lead to all others: they have room on every screen."""


class Hint(NamedTuple):
    """A key that does something now."""

    display: str
    """How the key is written."""
    what: str
    key: str
    action: str


class KeyBar(Bar):
    """The keys that do something now, most important first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"bar--key", "bar--what"}

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._hints: list[Hint] = []
        self._due = False

    def on_mount(self) -> None:
        """Follow the bindings of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[Any]) -> None:
        """Look at all keys once, after what a key is awaited for was painted: it takes some milliseconds."""
        if not self._hints:
            self.update(screen)
        elif not self._due:
            self._due = True
            self.call_after_refresh(self.update, screen)

    def update(self, screen: Screen[Any]) -> None:
        """Show the keys that do something now."""
        self._due = False
        if screen is not self.app.screen or screen.has_class("-asking"):
            return  # keys are a dialog's or the input line's: ours would be wrong for a moment afterwards
        hints = key_hints(screen, self.app.get_key_display)
        if hints != self._hints:
            self._hints = hints
            self.refresh()

    def spans(self, width: int) -> tuple[list[Span], list[Span]]:
        """As many as fit; all that can be done, the command line and help always."""
        last = sorted(
            (hint for hint in self._hints if hint.action in _ALWAYS),
            key=lambda hint: _ALWAYS.index(hint.action),
        )
        first = [hint for hint in self._hints if hint not in last]
        room = width - 1 - sum(_hint_width(hint) for hint in last)
        shown = []
        for hint in first:
            room -= _hint_width(hint)
            if room < 0:
                break
            shown.append(hint)
        spans: list[Span] = [(" ", "", None)]
        for display, what, key, _ in (*shown, *last):
            spans += [(display, "key", key), (f" {what}", "what", key), ("  ", "", None)]
        return spans, []

    def on_span(self, meaning: Any) -> None:
        """A click is the key."""
        self.app.simulate_key(meaning)


def key_hints(screen: Screen[Any], display: Callable[[Any], str]) -> list[Hint]:
    """All bindings that are meant to be shown."""
    hints: dict[str, Hint] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.show and active.enabled and is_shown(binding.key) and binding.action not in hints:
            hints[binding.action] = Hint(display(binding), binding.description, binding.key, binding.action)
    return list(hints.values())


def _width(spans: Sequence[Span]) -> int:
    return sum(cell_len(text) for text, _, _ in spans)


def _hint_width(hint: Hint) -> int:
    return cell_len(hint.display + hint.what) + 3
