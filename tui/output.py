"""What an action says, as a page: it grows while the action runs, and can be searched and copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input

from backend.actions.runner import label
from backend.text import duration, printable
from tui.detail.lines import Lines
from tui.fitting import wrap
from tui.page import Page

if TYPE_CHECKING:
    from backend.actions.runs import Run
    from backend.activity import ActivityRow
    from tui.columns import Cell


class OutputScreen(Page):
    """The output of one run, running or past."""

    FRONT = "output"
    BINDING_GROUP_TITLE = "Output"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "back", id="output-back"),
        Binding("slash", "search", "search", id="output-search"),
        Binding("n", "next(1)", "next", id="output-next"),
        Binding("N", "next(-1)", "Previous", show=False, id="output-previous"),
        Binding("w", "wrap", "wrap", id="output-wrap"),
        Binding("c", "copy", "copy all", id="output-copy"),
        Binding("ctrl+k", "cancel", "cancel", id="output-cancel"),
        Binding("g,home", "scroll('home')", "First line", show=False, id="output-first"),
        Binding("G,end", "scroll('end')", "Last line", show=False, id="output-last"),
    ]

    def __init__(self, run: Run | None, row: ActivityRow | None = None) -> None:
        """Either a run of this process, or a past one from the log."""
        super().__init__()
        self._run = run
        self._row = row
        self._found: list[int] = []
        self._at = -1
        self._needle = ""
        self._drawn: object = None
        self._wrapped = False
        self._tops: list[int] = []
        """Where each line begins on the page; one that is wrapped takes several."""

    def compose(self) -> ComposeResult:
        """The lines, what is searched, one line of state, and the keys."""
        yield Lines(id="output-lines")
        yield Input(placeholder="search", id="output-input", classes="-hidden")
        yield from self.foot()

    def on_mount(self) -> None:
        """Follow the run."""
        self._update()
        if self._run is not None:
            self.set_interval(0.2, self._update)

    @property
    def row(self) -> ActivityRow:
        """What is known of it now."""
        if self._run is not None:
            return self._run.row()
        assert self._row is not None
        return self._row

    def _update(self) -> None:
        row = self.row
        width = self.query_one(Lines).room if self._wrapped else 0
        drawn = (len(row.output), row.output[-1:], row.state, self._needle, self._at, row.done, width)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        lines = self.query_one(Lines)
        self.title = f"{row.title} {row.target}"
        lines.border_title = Content(printable(f"{row.title} {row.target}", 120))
        shown: list[Cell] = []
        self._tops = []
        for place, text in enumerate(row.output):
            self._tops.append(len(shown))
            line = self._line(text, place)
            shown += (wrap(line, width) or [line]) if width else [line]
        lines.set_lines(shown)
        style = {"failed": "$text-error", "done": "$text-success"}.get(row.state, "$text-muted")
        self.say(self._state(row), style)

    def _line(self, text: str, place: int) -> Cell:
        shown = printable(text, 4000)
        if not self._needle or self._needle not in shown.lower():
            return ((shown, ""),)
        style = "accent" if self._found and self._at >= 0 and self._found[self._at] == place else "warn"
        start = shown.lower().index(self._needle)
        end = start + len(self._needle)
        return ((shown[:start], ""), (shown[start:end], style), (shown[end:], ""))

    def _state(self, row: ActivityRow) -> str:
        words: list[str] = [row.state]
        if row.seconds is not None:
            words.append(f"after {duration(row.seconds)}")
        if row.done is not None and row.state == "running":
            words.append(f"{row.done}" + (f" of {row.total}" if row.total else ""))
        if row.message:
            words.append(printable(row.message, 300))
        if row.hint:
            words.append(printable(row.hint, 300))
        if self._needle:
            words.append(f"{self._at + 1 if self._found else 0} of {len(self._found)} for {self._needle}")
        return " · ".join(words)

    # ---------------------------------------------------------------------------------------------- keys

    def action_leave(self) -> None:
        """Back; first out of the search."""
        field = self.query_one("#output-input", Input)
        if field.has_focus:
            field.add_class("-hidden")
            self.query_one(Lines).focus()
        elif self._needle:
            self._needle, self._found, self._at = "", [], -1
            self._update()
        else:
            self.dismiss(None)

    def action_search(self) -> None:
        """Type what to look for."""
        field = self.query_one("#output-input", Input)
        field.remove_class("-hidden")
        field.value = ""
        field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Find all lines that hold it, go to the first."""
        event.stop()
        event.input.add_class("-hidden")
        self.query_one(Lines).focus()
        self._needle = event.value.strip().lower()
        rows = self.row.output
        self._found = [
            place for place, text in enumerate(rows) if self._needle and self._needle in text.lower()
        ]
        self._at = -1
        self.action_next(1)

    def action_next(self, step: int) -> None:
        """Go to the next line that holds it, round the end."""
        if self._found:
            self._at = (self._at + step) % len(self._found) if self._at >= 0 else 0
            self.query_one(Lines).scroll_to(y=max(0, self._tops[self._found[self._at]] - 3), animate=False)
        self._update()

    def action_wrap(self) -> None:
        """Break long lines where the screen ends, or cut them off there again."""
        self._wrapped = not self._wrapped
        self._update()

    def on_lines_resized(self, event: Lines.Resized) -> None:
        """Another width: wrap anew."""
        event.stop()
        self._update()

    def action_copy(self) -> None:
        """Copy all lines."""
        self.copy("\n".join(self.row.output), f"{len(self.row.output)} lines")

    def action_cancel(self) -> None:
        """End the action; its clean-up still runs."""
        if self._run is not None and self._run.state == "running":
            self._run.cancel()
            self.notify(
                f"{self._run.action.title} {label(self._run.target)}", title="Cancelling", markup=False
            )

    def action_scroll(self, where: str) -> None:
        """To the first or the last line."""
        lines = self.query_one(Lines)
        if where == "home":
            lines.scroll_home(animate=False)
        else:
            lines.scroll_end(animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where they do something."""
        if action == "cancel":
            return self._run is not None and self._run.state == "running"
        return True
