"""The line at the bottom that takes a filter (`/`) or a command (`:`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from backend.text import printable

Mode = str
"""What the text is for: `filter`, `command`, or another one that has a sign."""
SIGNS: Mapping[Mode, str] = {"filter": "/", "command": ":"}
Complete = Callable[[str], list[str]]


class _FirstOf(Suggester):
    """Suggests the first completion."""

    def __init__(self, complete: Complete) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        """The likeliest whole line."""
        return next(iter(self._complete(value)), None) if value else None


class Prompt(Horizontal):
    """An input with a sign in front of it, and behind it what is wrong or what could come next."""

    BINDING_GROUP_TITLE = "Filter and command line"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="prompt-cancel", priority=True),
        Binding("tab", "complete", "complete", show=False, id="prompt-complete", priority=True),
        Binding("up", "recall(-1)", "Earlier line", show=False, id="prompt-earlier", priority=True),
        Binding("down", "recall(1)", "Later line", show=False, id="prompt-later", priority=True),
    ]

    class Typed(Message):
        """The text changed."""

        def __init__(self, mode: Mode, text: str) -> None:
            super().__init__()
            self.mode, self.text = mode, text

    class Entered(Typed):
        """Enter."""

    class Left(Message):
        """Escape."""

        def __init__(self, mode: Mode) -> None:
            super().__init__()
            self.mode = mode

    def __init__(self, complete: Complete, *, signs: Mapping[Mode, str] = SIGNS, id: str) -> None:
        """`signs`: what stands in front of the text, by mode."""
        super().__init__(id=id)
        self._complete = complete
        self._signs = dict(signs)
        self.mode: Mode = "filter"
        self._past: dict[Mode, list[str]] = {mode: [] for mode in signs}
        self._at = 0
        self._sign = Static("/", id="prompt-sign", markup=False)
        self._input = Input(id="prompt-input", compact=True, select_on_focus=False)
        self._hint = Static("", id="prompt-hint", markup=False)

    def compose(self) -> ComposeResult:
        """Sign, input, hint."""
        yield self._sign
        yield self._input
        yield self._hint

    @property
    def text(self) -> str:
        """What was typed so far."""
        return self._input.value

    def ask(self, mode: Mode, text: str = "") -> None:
        """Show the line and take the keys."""
        self.mode = mode
        self._at = len(self._past[mode])
        self._sign.update(self._signs[mode])
        self._input.suggester = _FirstOf(self._complete) if mode == "command" else None
        with self.prevent(Input.Changed):
            self._input.value = text
        self._input.cursor_position = len(text)
        self.hint("")
        self.screen.add_class("-asking")
        self._input.focus()
        if mode == "command":
            self._offer(text)

    def close(self) -> None:
        """Hide the line."""
        self.screen.remove_class("-asking")

    def on_descendant_blur(self) -> None:
        """Keys go elsewhere (a click, another view): the line would only look as if it took them."""
        if self.app.app_focus and self.screen.focused is not self._input:
            self.close()

    def hint(self, text: str, *, error: bool = False) -> None:
        """Say something behind the input."""
        self._hint.update(Content(printable(text)))
        self.set_class(error, "-error")

    def _offer(self, text: str) -> None:
        """Show how the line could go on."""
        nexts = [line.rpartition(" ")[2] for line in self._complete(text)[:12]]
        self.hint("  ".join(nexts))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell; offer completions."""
        event.stop()
        self.hint("")
        if self.mode == "command":
            self._offer(event.value)
        self.post_message(self.Typed(self.mode, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Tell, and remember the line."""
        event.stop()
        line = event.value.strip()
        if line:
            past = self._past[self.mode]
            if line in past:
                past.remove(line)
            past.append(line)
        self.post_message(self.Entered(self.mode, event.value))

    def action_cancel(self) -> None:
        """Give up."""
        self.post_message(self.Left(self.mode))

    def action_complete(self) -> None:
        """Take the suggested line."""
        found = self._complete(self._input.value) if self.mode == "command" else []
        if found:
            self._input.value = found[0]
            self._input.cursor_position = len(found[0])

    def action_recall(self, step: int) -> None:
        """Walk through earlier lines."""
        past = self._past[self.mode]
        if past:
            self._at = max(0, min(len(past), self._at + step))
            self._input.value = past[self._at] if self._at < len(past) else ""
            self._input.cursor_position = len(self._input.value)
