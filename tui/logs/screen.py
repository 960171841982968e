"""The log screen: header, lines, what is wrong, and the line at the bottom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from backend.errors import BerthError, UsageError
from backend.logs.follower import Status, Take, Target, Wants
from backend.logs.lines import LogLine
from backend.logs.pattern import Pattern, pattern
from backend.text import printable
from tui.header import KeyBar
from tui.logs import take
from tui.logs.header import LogHeader, LogNotice
from tui.logs.state import LogState
from tui.logs.view import LogView
from tui.logs.words import ALL, COMMANDS, PATTERNS, PRESETS, Part, complete_command, parse_command
from tui.prompt import Prompt
from tui.reports import describe

REFRESH = 0.1
"""Seconds between two pages that are drawn because lines came."""


class Reader(Protocol):
    """What reads the logs: `backend.logs.follower.Follower`."""

    async def run(self, lines: Take, status: Callable[[int, Status], None]) -> None:
        """Hand over batches of lines until there are no more."""


class LogScreen(Screen[None]):
    """The logs of some containers."""

    BINDING_GROUP_TITLE = "Logs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "ask('search')", "search", id="log-search"),
        Binding("n", "next(1)", "Next line that was found", show=False, id="log-next"),
        Binding("N", "next(-1)", "Line before that was found", show=False, id="log-previous"),
        Binding("ampersand", "ask('only')", "filter", id="log-filter"),
        *(
            Binding(str(key), f"part({key})", f"Read {part.title}", show=False, id=f"log-part-{key}")
            for key, part in enumerate(PRESETS)
        ),
        Binding("a", "part(-1)", "Read all that can be kept", show=False, id="log-all"),
        Binding("e", "streams", "stdout, stderr or both", show=False, id="log-streams"),
        Binding("h", "hide", "containers", id="log-hide"),
        Binding("c", "copy", "copy", id="log-copy"),
        Binding("ctrl+s", "save", "save", id="log-save"),
        Binding("colon", "ask('command')", "command", id="log-command"),
        Binding("question_mark,f1", "help", "help", id="log-help"),
        Binding("escape", "undo", "back", id="log-back"),
        Binding("q", "leave", "Back at once", show=False, id="log-leave"),
    ]

    def __init__(
        self, targets: Sequence[Target], reader: Callable[[Wants], Reader], *, of: str = "container"
    ) -> None:
        """`reader` makes one that reads the wanted part of `targets`. `of`: what they are; the lines of a
        `job` have no times, so that no part since a time can be asked for.
        """
        super().__init__()
        self._of = of
        self.state = LogState(tuple(targets))
        self.buffer = self.state.buffer
        self._reader = reader
        self._news = False

    def compose(self) -> ComposeResult:
        """Header, lines, notice, bottom line."""
        yield LogHeader(id="log-header")
        yield LogView(self.buffer, self.state.names, id="log")
        yield LogNotice(id="log-notice", of=self._of)
        yield Prompt(complete_command, signs={"search": "/", "only": "&", "command": ":"}, id="log-prompt")
        yield KeyBar(id="log-keys")

    def on_mount(self) -> None:
        """Begin to read."""
        self.view.focus()
        self.set_interval(REFRESH, self._draw)
        self._read(self.state.part)

    def on_screen_resume(self) -> None:
        """A dialog is gone: the keys are ours again."""
        self.refresh_bindings()

    @property
    def view(self) -> LogView:
        """The lines."""
        return self.query_one(LogView)

    @property
    def prompt(self) -> Prompt:
        """The bottom line's input."""
        return self.query_one(Prompt)

    # --------------------------------------------------------------------------------------- reading

    def _read(self, part: Part) -> None:
        """Read another part of the logs, and forget what was read."""
        wants = self.state.begin(part)
        self.view.marks = set()
        self.view.follow()
        self._news = True
        self._draw()
        self.run_worker(self._work(wants, part), group="log", name="log", exclusive=True)

    async def _work(self, wants: Wants, part: Part) -> None:
        first = True

        async def take(lines: list[LogLine]) -> None:
            nonlocal first
            self.buffer.extend(lines)
            self._news = True
            if first and lines:
                first = False
                self._draw()
                if part.kind == "head":
                    self.view.action_top()

        try:
            await self._reader(wants).run(take, self._status)
        except Exception as error:
            title, said = describe(error)
            self.app.notify(printable(said, 400), title=title, severity="error", markup=False)

    def _status(self, index: int, status: Status) -> None:
        self.state.states[index] = status
        self._news = True

    def _draw(self) -> None:
        """Show what came since the last time."""
        if not self._news or not self.is_attached:
            return
        self._news = False
        self.view.empty = self.state.why_empty()
        self.view.show_lines()
        self._say()

    def _say(self) -> None:
        """Bring header and notice up to date."""
        view, state = self.view, self.state
        self.query_one(LogHeader).show(
            state.picture(
                following=view.following, unseen=view.unseen, cursor=view.cursor, marked=len(view.marks)
            )
        )
        self.query_one(LogNotice).show(state.names, state.states)

    def on_log_view_changed(self) -> None:
        """It follows, or not: the header says so."""
        self._say()
        self.refresh_bindings()

    # ------------------------------------------------------------------------------- search and filter

    def action_ask(self, mode: str) -> None:
        """Type a search, a filter, a command."""
        known = {"search": self.state.found, "only": self.state.only}.get(mode)
        self.prompt.ask(mode, known.text if known else "")

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        """Search and filter while it is typed."""
        if event.mode != "command":
            self._try(event.mode, event.text)

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        """Keep what was typed; stay with what is wrong."""
        if event.mode == "command":
            try:
                self._do(event.text)
            except BerthError as error:
                self.prompt.hint(printable(error.message, 300), error=True)
        elif self._try(event.mode, event.text):
            self._close_prompt()
            if event.mode == "search" and self.state.found is not None:
                self._first_found()

    def on_prompt_left(self, event: Prompt.Left) -> None:
        """Escape: not looked for any more; no filter; no command."""
        if event.mode != "command":
            self._try(event.mode, "")
        self._close_prompt()

    def _close_prompt(self) -> None:
        self.prompt.close()
        self.view.focus()
        self.refresh_bindings()

    def _try(self, mode: str, text: str) -> bool:
        try:
            wanted = pattern(text)
        except BerthError as error:
            self.prompt.hint(printable(error.message, 300), error=True)
            return False
        if mode == "search":
            self._search(wanted)
        else:
            self.state.only = wanted
            self._narrow()
        if wanted is not None and wanted.failed:
            self.prompt.hint(printable(wanted.failed, 300), error=True)
            return False
        told = f"{self.buffer.hits:,} lines" if mode == "search" else f"{len(self.buffer):,} lines"
        self.prompt.hint(told if wanted else "")
        return True

    def _search(self, wanted: Pattern | None) -> None:
        self.state.search(wanted)
        self.view.seek(wanted)
        self._say()

    def _first_found(self) -> None:
        """Go to what was found on the screen, else to the nearest above, else to any."""
        visible = self.view.lines_shown()
        if not visible:
            return
        for number in visible:
            if self.buffer.hit_place(number) is not None:
                self._go_to(number)
                return
        self._go_to(self.buffer.next_hit(visible[0], -1))

    def action_next(self, step: int) -> None:
        """The next line that was found, or the one before; round the ends."""
        if self.state.found is None:
            self.action_ask("search")
            return
        visible = self.view.lines_shown()
        start = self.view.cursor
        if start is None and visible:
            start = visible[0] - 1 if step > 0 else visible[-1] + 1
        if start is not None:
            self._go_to(self.buffer.next_hit(start, step))

    def _go_to(self, number: int | None) -> None:
        if number is not None:
            self.view.go_to(number)
        self._say()

    def _narrow(self) -> None:
        """Show only what is wanted."""
        self.state.narrow()
        self._news = True
        self._draw()

    # ------------------------------------------------------------------------------ what is shown

    def action_part(self, key: int) -> None:
        """Read another part of the logs."""
        self._read(ALL if key < 0 else PRESETS[key])

    def action_streams(self) -> None:
        """Both streams, only stderr, only stdout."""
        self.state.next_stream()
        self._narrow()

    def action_hide(self) -> None:
        """Choose which containers are shown."""
        from tui.dialogs import Pick

        every = [str(place) for place in range(len(self.state.targets))]
        shown = [place for place in every if int(place) not in self.state.hidden]

        def chosen(keys: list[str] | None) -> None:
            if keys is not None:
                self._hide(frozenset(map(int, every)) - {int(key) for key in keys})

        self.app.push_screen(
            Pick(f"{self._of.capitalize()}s", list(zip(every, self.state.names, strict=True)), shown), chosen
        )

    def on_log_header_chosen(self, event: LogHeader.Chosen) -> None:
        """Hide a container, or show it again."""
        self._hide(self.state.hidden ^ {event.source})

    def _hide(self, hidden: frozenset[int]) -> None:
        self.state.hidden = hidden
        self._narrow()

    # -------------------------------------------------------------------------------- taking away

    def action_copy(self) -> None:
        """Copy the marked lines, else those on the screen."""
        take.copy(self.app, self.state.lines(sorted(self.view.marks) or self.view.lines_shown()))

    def action_save(self) -> None:
        """Save the marked lines, else all shown lines, to a file."""
        self._save("")

    def _save(self, where: str) -> None:
        lines = self.state.lines(sorted(self.view.marks) or self.buffer.numbers())
        save = take.save(self.app, lines, self.state.targets, where)
        self.run_worker(save, group="save", exit_on_error=False)

    # ------------------------------------------------------------------------------------ the rest

    def _do(self, text: str) -> None:
        """A command. Raises `UsageError`: then nothing was done."""
        command = parse_command(text)
        if command.verb == "since" and self._of == "job":
            raise UsageError("the output of a job has no times.")
        wanted = pattern(command.argument) if command.verb == "filter" else None
        self._close_prompt()
        if command.verb == "filter":
            self.state.only = wanted
            self._narrow()
        elif command.verb == "save":
            self._save(command.argument)
        elif command.verb == "help":
            self.action_help()
        elif command.verb == "q":
            self.action_leave()
        else:
            self._read(Part(command.verb, command.argument))  # type: ignore[arg-type]  # one of the three

    def action_help(self) -> None:
        """All keys and commands."""
        from tui.help import HelpScreen, Section, key_sections

        commands: Section = ("Commands", [(f":{word}", what) for word, what in COMMANDS.items()])
        self.app.push_screen(
            HelpScreen([*key_sections(self), ("Search (/) and filter (&)", PATTERNS), commands])
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Containers can be chosen where there are several, times where lines have some."""
        if action == "part" and self._of == "job":
            key = parameters[0]
            return isinstance(key, int) and (key < 0 or PRESETS[key].kind != "since")
        return len(self.state.targets) > 1 if action == "hide" else True

    def action_undo(self) -> None:
        """Undo the latest of: marks, search, filter, hidden containers; else go back."""
        if self.view.marks:
            self.view.clear_marks()
        elif self.state.found is not None:
            self._search(None)
        elif self.state.is_narrowed:
            self.state.widen()
            self._narrow()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Back to where one was."""
        self.dismiss(None)
