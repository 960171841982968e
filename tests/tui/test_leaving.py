"""Leaving the dashboard while something still runs: it is cancelled, and cleans up to its end."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from backend.model import FleetState
from tests.tui.fakes import FakeFleet, config_of, container, host, state_of
from tui import leaving
from tui.app import BerthApp
from tui.doing import declared


class Slow(FakeFleet):
    """One whose connections take a moment to be closed."""

    def __init__(self, state: FleetState, folder: Path) -> None:
        super().__init__(state)
        self._folder = folder

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0.05)
        (self._folder / "closed").touch()


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for somebody who has waited for a while."""
    monkeypatch.setattr(leaving, "_WORDLESS", 0.1)


def left(tmp_path: Path, steps: int) -> None:
    """Quit a dashboard, as a program, in which a restart is under way whose clean-up has that many steps."""
    state = state_of([host("h1", [container("web")])])
    app = BerthApp(config_of(state, tmp_path), fleet_factory=lambda _: Slow(state, tmp_path))

    async def restart(ctx: Any, row: Any) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            (tmp_path / "cancelled").touch()
            for _ in range(steps):
                await asyncio.sleep(0.05)
            (tmp_path / "cleaned up").touch()
        return ""

    async def person(pilot: Pilot[Any]) -> None:
        while app.doing is None:
            await pilot.pause(0.01)
        row = app.sources.builder.containers(state)[0]
        action = dataclasses.replace(declared()["restart"], call=restart, params=())
        app.doing.tell_later(app.doing.runs.start(action, row, {}, ask=app.doing))
        await pilot.pause(0.05)
        await pilot.press("q")

    app.run(headless=True, auto_pilot=person)
    assert (tmp_path / "cancelled").exists()
    assert (tmp_path / "closed").exists()


def test_what_still_runs_cleans_up_to_its_end(tmp_path: Path) -> None:
    left(tmp_path, 5)
    assert (tmp_path / "cleaned up").exists()


def test_it_is_said_what_is_waited_for(
    tmp_path: Path, words: None, capfd: pytest.CaptureFixture[str]
) -> None:
    left(tmp_path, 10)
    assert (tmp_path / "cleaned up").exists()
    assert "Cleaning up: restart h1/web (Ctrl+C leaves at once)" in capfd.readouterr().err


def test_nothing_is_said_where_nothing_is_waited_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    left(tmp_path, 1)
    assert "Cleaning up" not in capfd.readouterr().err
