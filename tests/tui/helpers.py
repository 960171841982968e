"""Open the dashboard on a fake fleet, and wait for things to be so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from backend.model import FleetState
from tests.tui.fakes import FakeFleet, config_of, container, host, state_of
from tui.app import BerthApp


class Board:
    """A dashboard under test."""

    def __init__(self, app: BerthApp, pilot: Pilot[Any], fleet: FakeFleet) -> None:
        self.app, self.pilot, self.fleet = app, pilot, fleet

    @property
    def names(self) -> list[str]:
        """Names (or indices) of the rows shown, in order."""
        return [getattr(row, "name", "") for row in self.app.desk.table.rows]

    @property
    def selected(self) -> str:
        row = self.app.desk.table.row
        return row.name if row is not None else ""

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type into the input that has the focus: all but the last character at once."""
        focused = self.app.focused
        assert isinstance(focused, Input)
        focused.value += text[:-1]
        focused.cursor_position = len(focused.value)
        names = {" ": "space", ":": "colon", "/": "slash", "!": "exclamation_mark", "@": "at"}
        await self.press(names.get(text[-1], text[-1]))

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait until something is so."""
        for _ in range(400):
            if true():
                return
            await self.pilot.pause(0.01)
        raise AssertionError(f"it never came true; rows: {self.names}, screen: {self.app.screen}")

    async def publish(self, state: FleetState) -> None:
        """Let the fleet tell something new, and wait until it is taken in."""
        self.fleet.publish(state)
        await self.until(lambda: self.app.sources.state is state)
        await self.pilot.pause()

    @property
    def text(self) -> str:
        """What is on the screen, line by line."""
        app = self.app
        strips = app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)


@asynccontextmanager
async def dashboard(
    state: FleetState,
    directory: Path,
    *,
    size: tuple[int, int] = (120, 30),
    read_only: bool = False,
    **config: Any,
) -> AsyncIterator[Board]:
    """The dashboard, once it shows `state`."""
    fleet = FakeFleet(state)
    made = config_of(state, directory, **config)
    app = BerthApp(made, fleet_factory=lambda _: fleet, read_only=read_only)
    async with app.run_test(size=size, notifications=True) as pilot:
        board = Board(app, pilot, fleet)
        await board.until(lambda: app.desk.live and app.sources.state is state)
        await board.until(lambda: app.desk.query("#detail-pane"))
        await pilot.pause()
        yield board


def three() -> Any:
    names = ("one", "two", "three")
    return state_of([host("h1", [container(name, number=n) for n, name in enumerate(names)]), host("h2")])


def screen(board: Board) -> Any:
    return board.app.screen
