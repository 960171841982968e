"""A command for all hosts: typed above, what they say below, beside each other where there is room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from backend.errors import ActionFailed, BerthError
from backend.everywhere import text as said
from backend.everywhere.fold import blocks, several
from backend.text import printable
from tui.detail.lines import Lines
from tui.everywhere.drawing import HINTS, page
from tui.everywhere.open import wish_of
from tui.everywhere.state import Live, begin
from tui.page import Page

if TYPE_CHECKING:
    from backend.actions.registry import Action
    from backend.everywhere.wish import Wish

_EVERY = 0.2
"""Seconds between two looks at what has come."""
_SHARE = 5
"""A page that takes long to draw is drawn less often: at most this part of the time."""


class EverywhereScreen(Page):
    """One command, its hosts, and what each of them says."""

    FRONT = "each"
    BINDING_GROUP_TITLE = "One command on all hosts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="each-back", priority=True),
        Binding("q", "leave", "Back", show=False, id="each-quit"),
        Binding("e", "edit", "command", id="each-edit"),
        Binding("r", "again", "again", id="each-again"),
        Binding("R", "again_failed", "again where it failed", id="each-again-failed"),
        Binding("h", "hosts", "hosts", id="each-hosts"),
        Binding("f", "fold", "fold / unfold", id="each-fold"),
        Binding("w", "wrap", "wrap", id="each-wrap"),
        Binding("s", "save", "save", id="each-save"),
        Binding("c", "copy", "copy all", id="each-copy"),
        Binding("ctrl+k", "cancel", "cancel", id="each-cancel", priority=True),
        Binding("up", "recall(1)", "Command before", show=False, id="each-earlier"),
        Binding("down", "recall(-1)", "Command after", show=False, id="each-later"),
        Binding("tab", "other", "command / output", show=False, id="each-other", priority=True),
    ]

    def __init__(
        self,
        action: Action,
        *,
        hosts: tuple[str, ...] = (),
        wish: Wish | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """`hosts`: only these; `wish`: run at once. `action` is what Activity calls it."""
        super().__init__()
        self._action = action
        self._options = dict(options or {})
        self._own = action.name != "each"
        """A command that was written down: it is run as it is."""
        self.hosts = hosts
        self._wish = wish
        self.live: Live | None = None
        self._folded = True
        self._wrapped = False
        self._drawn: object = None
        self._draw_at = 0.0
        self._past: list[str] = []
        """What was run before, the last one first."""
        self._recalled = -1

    def compose(self) -> ComposeResult:
        """The command, what is said, how it stands, and the keys."""
        yield Input(
            self._wish.shown if self._wish is not None else "",
            placeholder="a command for all hosts; @TAG or @HOST before it: only those",
            disabled=self._own,
            id="each-input",
        )
        yield Lines(id="each-lines")
        yield from self.foot()

    def on_mount(self) -> None:
        """Run what was given, or wait for a command."""
        if self._wish is None:
            self._field.focus()
        else:
            self._begin(self._wish)
        self._update()
        self.set_interval(_EVERY, self._update)
        self.run_worker(self._remember(), group="past", exit_on_error=False)

    async def _remember(self) -> None:
        from backend.activity import ActivityLog

        rows = await asyncio.to_thread(ActivityLog().read)
        self._past += [row.notes.get("command", "") for row in rows if row.action == "each"]
        self._past = [each for each in dict.fromkeys(self._past) if each]

    @property
    def _field(self) -> Input:
        return self.query_one("#each-input", Input)

    @property
    def _lines(self) -> Lines:
        return self.query_one("#each-lines", Lines)

    # ------------------------------------------------------------------------------------------- doing

    def _begin(self, wish: Wish) -> None:
        self._wish = wish
        self._past = list(dict.fromkeys([wish.shown, *self._past]))
        self._recalled = -1
        self.live = begin(self.berth, self._action, wish, self._options)
        self._drawn, self._draw_at = None, 0.0
        self._field.cursor_position = 0  # its beginning is what is read
        self._lines.scroll_home(animate=False)
        self._lines.focus()
        self._update()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Run what was typed; what runs has to end or be cancelled first."""
        event.stop()
        if self._busy:
            self.notify("It still runs: ctrl+k cancels it.", markup=False, timeout=4)
            return
        try:
            wish = wish_of(self.berth.config, event.value, self.hosts)
        except BerthError as error:
            self._complain(error)
            return
        self._begin(wish)

    @property
    def _busy(self) -> bool:
        return self.live is not None and not self.live.over

    def _complain(self, error: BerthError) -> None:
        self.say(str(error), "$text-error")

    def action_again(self) -> None:
        """The same on the same hosts."""
        if self._wish is not None:
            self._begin(self._wish)

    def action_again_failed(self) -> None:
        """The same where it did not end with 0."""
        if self.live is not None:
            bad = tuple(run.host for run in self.live.runs if not run.ok)
            self._begin(replace(self.live.wish, hosts=bad))

    def action_cancel(self) -> None:
        """End the command on all hosts."""
        if self.live is not None:
            self.live.run.cancel()
            self.notify("Cancelling", markup=False, timeout=3)

    def action_hosts(self) -> None:
        """Choose where it runs."""
        from tui.dialogs import Pick

        known = [host for host in self.berth.config.hosts if not host.skip]
        options = [(host.name, printable(f"{host.name:<20} {' '.join(host.tags)}", 100)) for host in known]
        chosen = self.hosts or [host.name for host in known if not host.local]

        def picked(names: list[str] | None) -> None:
            if names:
                self.hosts = tuple(names)
                self._field.focus()
                self._drawn = None
                self._update()

        self.app.push_screen(Pick("Hosts", options, chosen), picked)

    # ----------------------------------------------------------------------------------------- showing

    def _update(self) -> None:
        now = time.monotonic()
        if not self.is_mounted or now < self._draw_at:
            return
        live, lines = self.live, self._lines
        clock = int(now * 2) if self._busy else 0  # durations go on
        heard = (live, live.changed, live.run.state) if live is not None else ()
        drawn = (heard, clock, lines.room, self._folded, self._wrapped)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if live is None:
            lines.set_lines(HINTS)
        else:
            at_end = lines.scroll_offset.y >= lines.max_scroll_y
            before = lines.max_scroll_y
            lines.set_lines(page(blocks(live.runs, fold=self._folded), lines.room, wrapped=self._wrapped))
            if self._busy and at_end and before:
                lines.scroll_end(animate=False)
        self._say()
        self.refresh_bindings()
        self._draw_at = time.monotonic() + (time.monotonic() - now) * _SHARE

    def _say(self) -> None:
        live = self.live
        if live is None:
            where = several(self.hosts) if self.hosts else "all hosts"
            text, style = (
                f"on {where} · {{host}} {{address}} {{user}} {{port}} are filled in",
                "$text-muted",
            )
        else:
            over = [run for run in live.runs if run.over]
            bad = [run for run in over if not run.ok]
            count = len(over) - len(bad) if live.over else len(over)
            words = [f"{count} of {len(live.runs)} ended" + " with 0" * live.over]
            words += [f"not: {several([run.host for run in bad], 4)}"] if bad else []
            longest = max((run.seconds or 0.0 for run in live.runs), default=0.0)
            words.append(said.took(longest))
            if live.wish.left_out:
                words.append(f"read-only, left out: {several(live.wish.left_out, 4)}")
            text = " · ".join(words)
            style = "$text-error" if bad else "$text-success" if live.over else "$text-muted"
        self.say(text, style)

    def on_lines_resized(self, event: Lines.Resized) -> None:
        """Another width: other columns."""
        event.stop()
        self._draw_at = 0.0
        self._update()

    def action_fold(self) -> None:
        """Equal outputs once, or each host for itself."""
        self._folded = not self._folded
        self._draw_at = 0.0
        self._update()

    def action_wrap(self) -> None:
        """Break long lines, or cut them off."""
        self._wrapped = not self._wrapped
        self._draw_at = 0.0
        self._update()

    # ------------------------------------------------------------------------------------------ taking

    def _text(self) -> str:
        assert self.live is not None
        head = f"{self.live.wish.shown}\n{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}\n\n"
        return head + "\n".join(said.Page(self.live.runs).lines()) + "\n"

    def action_copy(self) -> None:
        """Copy all that is kept."""
        text = self._text()
        self.copy(text, f"{text.count(chr(10))} lines")

    async def action_save(self) -> None:
        """Write all that is kept into a file."""
        from backend import atomic
        from backend.config.paths import state_dir

        path = state_dir() / "saved-outputs" / f"each-{datetime.now():%Y%m%d-%H%M%S}.txt"
        try:
            await asyncio.to_thread(atomic.write, path, self._text().encode("utf-8", "replace"))
        except OSError as error:
            raise ActionFailed(f"It was not saved to {path}: {error.strerror or error}.") from None
        self.notify(printable(str(path), 300), title="Saved", markup=False, timeout=8)

    # -------------------------------------------------------------------------------------------- keys

    def action_edit(self) -> None:
        """Change the command."""
        self._field.cursor_position = len(self._field.value)
        self._field.focus()

    def action_recall(self, step: int) -> None:
        """A command that was run before, or the one after it."""
        self._recalled = max(-1, min(len(self._past) - 1, self._recalled + step))
        self._field.value = self._past[self._recalled] if self._recalled >= 0 else ""
        self._field.cursor_position = len(self._field.value)

    def action_other(self) -> None:
        """From the command to the output and back."""
        (self._lines if self._field.has_focus or self._own else self._field).focus()

    def action_leave(self) -> None:
        """Back; first out of the command line. What runs goes on, and says so when it ends."""
        if self._field.has_focus and self.live is not None:
            self._lines.focus()
            return
        doing = self.berth.doing
        if self._busy and self.live is not None and doing is not None:
            doing.tell_later(self.live.run)
        self.dismiss(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where they do something."""
        if action == "cancel":
            return self._busy
        if action == "recall":
            return self._field.has_focus
        if action == "again":
            return self.live is not None and not self._busy
        if action == "again_failed":
            return self.live is not None and self.live.over and not all(run.ok for run in self.live.runs)
        if action in ("fold", "wrap", "save", "copy"):
            return self.live is not None
        if action in ("edit", "hosts"):
            return not self._own and not self._busy
        return True
