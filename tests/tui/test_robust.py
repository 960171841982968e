"""A bug in one place is told and logged; the rest of the dashboard goes on."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.history import History
from backend.model import FleetState
from tests.tui.fakes import config_of, container, host, state_of
from tests.tui.helpers import dashboard
from tui.cells import text_of
from tui.detail import pane as panes
from tui.detail.page import View
from tui.logs.drawing import said_time

ONE = state_of([host("h1", [container("web")])])
TWO = state_of([host("h1", [container("web")], revision=2), host("h2")], revision=2)


def broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("oops [/]")


async def test_a_state_that_cannot_be_shown_is_not_the_last_one(tmp_path: Path, monkeypatch) -> None:
    async with dashboard(ONE, tmp_path) as board:
        with monkeypatch.context() as patch:
            patch.setattr(board.app.desk, "show", broken)
            patch.setattr(board.app.desk, "tick", broken)
            board.fleet.publish(TWO)
            await board.until(lambda: "Bug in berth" in board.text)
            board.app._tick()
        await board.publish(state_of([host("h3")], revision=3))
        await board.until(lambda: board.names == ["h3"])
        assert "1 host" in board.text and "h3" in board.text


async def test_a_page_of_details_that_cannot_be_made_says_so(tmp_path: Path, monkeypatch) -> None:
    from backend.model import ContainerRow

    monkeypatch.setitem(panes.PAGES, ContainerRow, broken)
    async with dashboard(ONE, tmp_path, size=(160, 45)) as board:
        await board.press("3")
        pane: Any = board.app.desk.query_one("#detail-pane")
        await board.until(lambda: "ZeroDivisionError: oops [/]" in pane.text)
        await board.press("1")
        await board.until(lambda: "h1.example" in pane.text)
        assert "ZeroDivisionError" not in pane.text


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
def test_times_at_the_ends_of_the_calendar_are_said(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    state: FleetState = ONE
    view = View(state, History(), config_of(state, Path()))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for end in (datetime.min, datetime.max):
            assert f"{end.year:04}" in text_of(view.clock(end.replace(tzinfo=UTC)))
            assert len(said_time(end.replace(tzinfo=UTC), "date")) == 23
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_a_click_elsewhere_closes_the_input_line_and_keeps_the_filter(tmp_path: Path) -> None:
    async with dashboard(ONE, tmp_path) as board:
        await board.press("3", "slash", "w")
        await board.until(lambda: board.app.desk.view.filter_text == "w")
        line = board.text.splitlines()[0]
        await board.pilot.click("#header", offset=(line.index("Fleet"), 0))
        await board.until(lambda: board.app.desk.view.NAME == "fleet")
        await board.until(lambda: not board.app.desk.has_class("-asking"))
        await board.press("j")
        assert board.app.desk.prompt.text == "w"
        await board.press("3")
        assert board.names == ["web"]
