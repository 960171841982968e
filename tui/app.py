"""The dashboard: one screen of views over one fleet.

What happens where: `fleet.updates()` is followed by one worker, at most `REFRESH` times a second; only the
view that is visible takes the new rows, and its table draws only lines that say something else. Everything
heavy is imported after the first frame.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import SystemCommand
from textual.driver import Driver
from textual.screen import Screen
from textual.theme import Theme

from tui import themes
from tui.courtesy import Courtesy
from tui.desk import Desk, Wanted
from tui.guarded import GuardedApp
from tui.keyboard import Keyboard
from tui.reread import Reread
from tui.successors import Successors

if TYPE_CHECKING:
    from backend.config import Config
    from backend.model import FleetState, HostSnapshot
    from tui.access import FleetAccess
    from tui.doing import Doing
    from tui.follow import FleetLike
    from tui.garbage import Garbage
    from tui.notices import JobNotices
    from tui.views.activity import RunChanged
    from tui.views.base import SettingChanged, Sources
    from tui.views.fleet import FleetView

STYLES = Path(__file__).parent.parent / "styles"
_ALWAYS = ("ctrl+c", "ctrl+q")
"""Keys that need nothing to be there."""


class BerthApp(GuardedApp):
    """The dashboard."""

    TITLE = "berth"
    CSS_PATH = STYLES / "berth.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-normal"), (140, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012

    def __init__(
        self,
        config: Config,
        *,
        fleet_factory: Callable[[Config], FleetLike] | None = None,
        read_only: bool = False,
    ) -> None:
        """`ConfigError` where settings give an action a key that cannot be."""
        keymap: dict[str, str] = {}
        if config.settings.keys or config.settings.commands:
            from tui.keymap import of_settings

            keymap = of_settings(config)
        super().__init__()
        self.config = config
        self._reread = Reread(config.directory)
        self.fleet: FleetLike | None = None
        """Once it is open."""
        settings = config.settings
        self.desk = Desk(config, read_only=read_only or settings.read_only)
        self._furnished = asyncio.Event()
        self.doing: Doing | None = None
        """How actions are done, once there is a fleet."""
        self._too_soon = ""
        """A key that was pressed before that, and is done then; another one takes its place."""
        self.access: FleetAccess | None = None
        self._fleet_factory = fleet_factory
        self._let_go = asyncio.Event()
        """Nothing that somebody does is under way: not while `doing` is there."""
        self._let_go.set()
        self._gone = asyncio.Event()
        """The fleet is closed, or was never open."""
        self._gone.set()
        self._notices: JobNotices | None = None
        self._garbage: Garbage | None = None
        self._courtesy = Courtesy()
        self._successors = Successors()
        self.keyboard = Keyboard(self, super().on_event)
        self._early: list[events.Key] = []
        """Keys that came between the first frame and what they are meant for."""
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.theme = settings.theme if settings.theme in self.available_themes else themes.DEFAULT
        self.set_keymap(keymap)

    # --------------------------------------------------------------------------------------------- start

    @cached_property
    def sources(self) -> Sources:
        """What rows are made from, with what was known when berth ran last."""
        from backend.history import History
        from backend.lastcontext import last_context
        from backend.rows import RowBuilder
        from tui.follow import first_state
        from tui.views.base import Sources

        settings = self.config.settings
        return Sources(
            RowBuilder(self.config.contexts, last_context=last_context()),
            History(),
            first_state(self.config),
            dict(settings.columns),
            dict(settings.sort),
        )

    def get_default_screen(self) -> Screen[Any]:
        """The desk."""
        return self.desk

    async def on_stage_painted(self) -> None:
        """The first frame is there: bring in everything that it did not wait for."""
        # First of all: this machine's agent starts up beside us while we fill the screen.
        self.run_worker(self._guard(self._with_fleet()), group="fleet", name="fleet")
        sources = self.sources
        # What comes is styled when it comes: nothing that is there has to be styled again.
        self.stylesheet.read(STYLES / "tables.tcss")
        await self.desk.furnish(sources)
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self._furnished.set()
        while self._early:
            await self.keyboard.press(self._early.pop(0))
        self.call_after_refresh(self._start)

    async def _start(self) -> None:
        from tui.garbage import Garbage

        self.set_interval(1.0, self._tick)
        self.run_worker(self._guard(self._see_writings()), group="written")
        self.stylesheet.read_all(sorted(STYLES.glob("*.tcss")))
        await self.desk.mount_detail()
        if not self.is_headless:  # tests open many apps in one process
            self._garbage = Garbage()
            self._garbage.start()

    def _tick(self) -> None:
        try:
            self.desk.tick()
        except Exception as error:
            self.report(error)
        if self._garbage is not None:
            self._garbage.tidy(self._courtesy.quiet)

    async def on_event(self, event: events.Event) -> None:
        """Keys one after the other; remember when the last one was pressed."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            if (
                not isinstance(event, events.Key) or self._screen_stack
            ):  # the last keys may outlive all screens
                await super().on_event(event)
            return
        self._courtesy.key_pressed()
        if self._furnished.is_set() or event.key in _ALWAYS:
            await self.keyboard.press(event)
        else:
            self._early.append(event)

    def get_driver_class(self) -> type[Driver]:
        """One that lets go of the keyboard at once, for shells and editors that take its place."""
        from tui.driver import prompt

        return prompt(super().get_driver_class())

    async def on_unmount(self) -> None:
        """Leave nothing half done, and Python as it was: tests open many apps."""
        from tui.leaving import ended

        self.keyboard.stop()
        if self._garbage is not None:
            self._garbage.stop()
        await ended(self._let_go, self._gone, self.doing.runs.runs if self.doing is not None else ())

    async def _with_fleet(self) -> None:
        from tui.follow import open_fleet

        self._gone.clear()
        try:
            fleet = await open_fleet(self.config, self._fleet_factory)
            async with fleet:
                self.fleet = fleet
                await self._furnished.wait()
                await self._follow(fleet)
        finally:
            self._gone.set()

    async def _follow(self, fleet: FleetLike) -> None:
        """Show each new state, at most `REFRESH` times a second; a slow screen skips states."""
        from backend.whole import whole
        from tui.follow import REFRESH

        try:
            async for state in fleet.updates():
                await self._courtesy.begin()
                if self._garbage is not None:
                    self._garbage.sweep()
                await self._prepare(state)
                self._take(state)
                if self.doing is None:
                    self.call_after_refresh(self._begin_doing, fleet)
                await asyncio.sleep(1 / REFRESH)
                await self._prepare_others()
        finally:
            self.fleet = None
            await whole(self._end_doing())

    async def _prepare(self, state: FleetState) -> None:
        """Work out what a new state shows, one host after the other: no key waits for all of them."""
        from backend.model import HostRow

        try:
            await self._courtesy.steps(self.sources.history.feeding(state))
            if not self.desk.there():
                return
            view = self.desk.view
            await self._courtesy.steps(self.sources.builder.warm(state, HostRow, view.ROW))
            await self._courtesy.steps(view.preparing(state))
        except Exception as error:
            self.report(error)

    async def _prepare_others(self) -> None:
        """Have the rows of views that are not shown ready for when they are."""
        try:
            state = self.sources.state
            await self._courtesy.steps(self.sources.builder.warm(state))
            for view in self.desk.visited():
                await self._courtesy.steps(view.preparing(state))
        except Exception as error:
            self.report(error)

    def _take(self, state: FleetState) -> None:
        """Show a new state. A bug in a view must not be the last thing that is seen of the fleet."""
        try:
            self.desk.live = True
            self.sources.state = state
            self.desk.show()
            if self._notices is not None:
                self._notices.feed(state)
        except Exception as error:
            self.report(error)

    # ------------------------------------------------------------------------------------------- actions

    def _begin_doing(self, fleet: Any) -> None:
        """From now on there are connections that actions can use. After the first rows: they matter more."""
        if self.doing is not None or self.fleet is None:
            return
        from backend.actions import commands
        from tui.access import FleetAccess
        from tui.doing import Doing, declared
        from tui.notices import JobNotices
        from tui.views import all_views
        from tui.views.activity import ActivityView

        declared()
        commands.declare(self.config.settings)
        self._notices = JobNotices(self, self.config)
        self._notices.feed(self.sources.state)
        self.access = FleetAccess(fleet, self.config)
        self.doing = Doing(self, self.access, self.config)
        self._let_go.clear()
        ActivityView.runs = self.doing.runs
        self.desk.begin()
        early, self._too_soon = self._too_soon, ""
        if early:
            self.call_later(self._check_bindings, early)
        self.run_worker(self._guard(asyncio.to_thread(all_views)), group="views")

    async def _end_doing(self) -> None:
        try:
            if self._notices is not None:
                await self._notices.close()
            if self.doing is not None and self.access is not None:
                await self.doing.close()
                await self.access.close()
        finally:
            self._let_go.set()

    def on_wanted(self, event: Wanted) -> None:
        """Do an action: asked about in a worker of its own, so that the dashboard goes on meanwhile."""
        if self.doing is None:
            self.notify("Not connected yet.", markup=False, timeout=4)
            return
        from tui.doing import declared

        action = declared()[event.action]
        self.run_worker(self._guard(self.doing.do(action, event.rows, event.given)), group="actions")

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        """Do what a key does; one that does nothing to this row says why."""
        done = await super()._check_bindings(key, priority)
        if done:
            self._too_soon = ""  # it was pressed for the row that was left
        elif not priority and self.screen is self.desk and not self.desk.can_act:
            self._too_soon = key
            return done
        told = done or priority or not self.desk.ready or self.desk.has_class("-asking")
        if not told and self.screen is self.desk:
            self.desk.say_why_not(key)
        return done

    def on_run_changed(self, event: RunChanged) -> None:
        """The Activity view and the cursor follow; contexts may be others now."""
        self._successors.news(event.run, self.desk.view)
        if event.run.action.group in ("Tunnels", "Contexts", "Container"):
            from tui.tunnels.follow import follow

            follow(self, event.run)
        if event.run.state != "running" and event.run.action.group == "Contexts":
            self._read_again()
        if self.desk.view.NAME == "activity":
            self.desk.show()

    async def _see_writings(self) -> None:
        """Read again whenever somebody elsewhere has written something."""
        while True:
            await self._reread.written()
            await self._guard(self._read())

    def _read_again(self) -> None:
        """Read the contexts again: an action may have written one."""
        self.run_worker(self._guard(self._read()), group="settings")

    async def _read(self) -> None:
        from backend.lastcontext import last_context
        from backend.rows import RowBuilder

        self.config = await self._reread.read(self.config)
        self.desk.config = self.config
        self.sources.builder = RowBuilder(self.config.contexts, last_context=last_context())
        if self.doing is not None:
            self.doing.config_changed(self.config)
        self.desk.show()

    # ------------------------------------------------------------------------------------------ settings

    def on_setting_changed(self, event: SettingChanged) -> None:
        """Write a choice to settings.yaml; what else the file says stays."""
        self.save_settings(**{event.setting: event.value})

    def save_settings(self, **changes: Any) -> None:
        """Write these settings."""

        async def save() -> None:
            from backend.config.settings import change_settings

            await asyncio.to_thread(change_settings, self.config.directory, **changes)

        self.run_worker(self._guard(save()), group="settings", name="settings")

    def _theme_changed(self, theme: Theme) -> None:
        if self.is_running and theme.name != (self.config.settings.theme or themes.DEFAULT):
            self.save_settings(theme=theme.name)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette (ctrl+p) offers what the command line does."""
        from tui import commands

        if isinstance(screen, Desk):
            yield from commands.palette(screen)
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand("Quit (q)", "Leave berth", self.action_quit)

    def action_help_quit(self) -> None:
        """Ctrl+C copies; who wanted to leave is told how."""
        self.notify("q leaves berth.", markup=False, timeout=4)

    def copy_to_clipboard(self, text: str) -> None:
        """By OSC 52, through tmux as well."""
        from tui.clipboard import osc52

        self._clipboard = text
        self.write_terminal(osc52(text, os.environ))

    def write_terminal(self, codes: str) -> None:
        """Say something to the terminal itself; nothing while somebody else has it."""
        if self._driver is not None and not self._batch_count:
            self._driver.write(codes)

    # --------------------------------------------------------------------------------------------- hosts

    def on_fleet_view_retry(self, event: FleetView.Retry) -> None:
        """Connect now."""
        if self.fleet is not None:
            self.fleet.retry(event.host)

    def on_fleet_view_trust(self, event: FleetView.Trust) -> None:
        """Show a key that was never seen; if it is trusted, put it on record and connect."""
        from tui.dialogs import host_key_question

        def answer(trusted: bool | None) -> None:
            if trusted:
                self.run_worker(self._guard(self._trust(event.host)), group="host keys")

        self.push_screen(host_key_question(event.host), answer)

    async def _trust(self, host: HostSnapshot) -> None:
        if self.fleet is not None and host.error is not None:
            await self.fleet.accept_host_key(host.name, host.error.key)
