"""Builds live: those of one order, or all on record; below them the steps or the log of the chosen one."""

from __future__ import annotations

import os
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backend.building import records
from backend.building.model import Build
from backend.text import printable
from tui.builds import columns
from tui.detail.lines import Lines
from tui.page import Page
from tui.table import FleetTable

if TYPE_CHECKING:
    from backend.actions.runs import Run
    from tui.columns import Cell

_EVERY = 0.25
"""Seconds between two looks."""
_TAIL = 256 * 1024
"""Bytes of the end of a log that are shown; `berth images log` prints all of it."""
_LINES = 5000


class BuildScreen(Page):
    """What is being built, step by step."""

    FRONT = "builds"
    BINDING_GROUP_TITLE = "Builds"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "back", id="builds-back"),
        Binding("s", "steps", "steps / log", id="builds-steps"),
        Binding("ctrl+k", "cancel", "cancel", id="builds-cancel"),
        Binding("R", "retry", "again", id="builds-retry"),
        Binding("f", "follow", "follow", id="builds-follow"),
        Binding("c", "copy", "copy log", id="builds-copy"),
    ]

    def __init__(self, run: Run | None = None, *, recipe: str = "") -> None:
        """`run`: the action that ordered them; else all builds, or those of one recipe."""
        super().__init__()
        self._run = run
        self._recipe = recipe
        self._as_steps = False
        self._follow = True
        self._stamp = -1.0
        self._log: tuple[str, int] = ("", 0)
        self._log_lines: list[Cell] = []
        self._rest = b""

    def compose(self) -> ComposeResult:
        """The builds, what the chosen one says, how it stands, and the keys."""
        yield FleetTable(
            columns.columns(),
            key=attrgetter("id"),
            look=columns.look,
            narrow=columns.narrow(),
            id="builds-table",
        )
        yield Lines(id="builds-lines")
        yield from self.foot()

    def on_mount(self) -> None:
        """Follow them."""
        self.query_one(FleetTable).focus()
        self._look()
        self.set_interval(_EVERY, self._look)

    @property
    def table(self) -> FleetTable:
        """The builds."""
        return self.query_one(FleetTable)

    @property
    def build(self) -> Build | None:
        """The chosen one."""
        return self.table.row

    # --------------------------------------------------------------------------------------- looking

    def _look(self) -> None:
        stamp = records.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self.table.set_rows(self._builds())
            self.refresh_bindings()
        self._show_build()
        self._show_state()

    def _builds(self) -> list[Build]:
        """Those that are meant: what an order builds, in the order in which it does."""
        order = self._run.notes.get("order", "") if self._run is not None else ""
        found = records.listed()
        if self._run is not None:
            return [each for each in reversed(found) if order and each.order == order]
        return [each for each in found if not self._recipe or each.recipe == self._recipe]

    def _show_build(self) -> None:
        lines, build = self.query_one(Lines), self.build
        if build is None:
            said = self._run.output[-200:] if self._run is not None else []
            lines.set_lines([((printable(line, 1000), "dim"),) for line in said])
            return
        if self._as_steps:
            lines.set_lines(columns.steps(build))
        elif self._read_log(build):
            lines.set_lines(list(self._log_lines))
            if self._follow:
                lines.scroll_end(animate=False)
        what = "steps" if self._as_steps else "log"
        lines.border_title = Content(printable(f"{build.recipe} on {build.host}: {what}", 100))

    def _read_log(self, build: Build) -> bool:
        """Take what was added to its log; whether anything is to be drawn again."""
        path, at = records.log_path(build.id), self._log[1]
        fresh = self._log[0] != build.id
        if fresh:
            self._log_lines, self._rest, at = [], b"", 0
        try:
            with path.open("rb") as file:
                end = os.fstat(file.fileno()).st_size
                at = max(at, end - _TAIL) if fresh else at
                if end == at and not fresh:
                    return False
                file.seek(at)
                data = file.read(end - at)
        except OSError:
            data, end = b"", 0
        self._log = (build.id, end)
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._log_lines += [((printable(each.decode(errors="replace"), 2000), ""),) for each in whole]
        del self._log_lines[:-_LINES]
        return True

    def _show_state(self) -> None:
        builds = list(self.table.rows)
        words = [columns.summary(builds)] if builds else ["nothing was built yet"]
        if (
            self._run is not None
            and self._run.state != "running"
            and (result := self._run.result) is not None
        ):
            words = [printable(str(result.error or result.message), 300), *words[: len(builds) and 1]]
        self.say(" · ".join(words))

    def on_fleet_table_moved(self, event: FleetTable.Moved) -> None:
        """Another build: its own log, at its end."""
        event.stop()
        self._show_build()
        self.refresh_bindings()

    def on_fleet_table_opened(self, event: FleetTable.Opened) -> None:
        """Enter: steps instead of the log, or back."""
        event.stop()
        self.action_steps()

    # ------------------------------------------------------------------------------------------ keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where they do something."""
        build = next(iter(self.query(FleetTable)), None) and self.build
        if action == "cancel":
            return bool(build and build.active)
        if action == "retry":
            return bool(build and not build.active and build.request is not None)
        return True

    def action_steps(self) -> None:
        """Its steps with their times, or what its builder says."""
        self._as_steps = not self._as_steps
        self._log = ("", 0)
        self.query_one(Lines).scroll_to(0, 0, animate=False, immediate=True)
        self._show_build()

    def action_follow(self) -> None:
        """Stay at the end of the log, or not."""
        self._follow = not self._follow
        self.notify("At the end." if self._follow else "Stays where it is.", markup=False, timeout=2)

    def action_cancel(self) -> None:
        """End the build on its host."""
        if (build := self.build) is not None:
            self.begin("images-cancel", {"build": build.id})

    def action_retry(self) -> None:
        """Ask again for what it was part of."""
        build = self.build
        if build is not None and (run := self.begin("images-retry", {"build": build.id})) is not None:
            self._run, self._stamp = run, -1.0

    def action_copy(self) -> None:
        """Copy what is shown below."""
        text = self.query_one(Lines).text
        self.copy(text, f"{len(text.splitlines())} lines")


def of_run(run: Any) -> BuildScreen:
    """The page of an action that builds."""
    return BuildScreen(run)
