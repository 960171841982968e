"""Actions in the dashboard: keys, menu, questions, forms, bulk, read-only, and what is said at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Button

from backend.activity import ActivityRow
from backend.config import HostConfig, Settings
from backend.errors import ConfigError, EngineError
from tests.tui.fakes import NOW, config_of, container, host, state_of
from tests.tui.helpers import Board, dashboard, screen, three
from tui import doing, keys
from tui.app import BerthApp
from tui.desk import Desk
from tui.dialogs import Confirm
from tui.menu import Menu
from tui.output import OutputScreen
from tui.table import FleetTable
from tui.views import all_views


class FakeEngine:
    """Remembers what it was asked to do; fails for names that say so."""

    kind = "docker"
    host = "h1"

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.gate: asyncio.Event | None = None

    def __getattr__(self, name: str) -> Any:
        async def call(*words: Any, **more: Any) -> Any:
            if self.gate is not None:
                await self.gate.wait()
            self.done.append((name, *words))
            if name == "inspect":
                return {"Id": words[0], "Config": {"Tty": False}, "State": {"Status": "running"}}
            return None

        return call


async def on_containers(board: Board, monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
    await board.until(lambda: board.app.doing is not None)

    async def give(name: str) -> Any:
        if isinstance(engine, Exception):
            raise engine
        return engine

    monkeypatch.setattr(board.app.access, "engine", give)
    await board.press("3")
    await board.until(lambda: board.app.desk.view.NAME == "containers" and board.names)


async def test_a_key_asks_names_host_and_target_and_stands_on_no(tmp_path: Path, monkeypatch) -> None:
    engine = FakeEngine()
    async with dashboard(three(), tmp_path) as board:
        await on_containers(board, monkeypatch, engine)
        name = board.selected
        await board.press("s")
        await board.until(lambda: isinstance(screen(board), Confirm))
        assert f"Stop {name} on h1?" in board.text
        assert board.app.focused.id == "no"
        await board.press("enter")
        await board.until(lambda: isinstance(screen(board), Desk))
        assert engine.done == []
        await board.press("s")
        await board.until(lambda: isinstance(screen(board), Confirm))
        await board.press("right", "enter")
        await board.until(lambda: engine.done)
        assert engine.done[0][0] == "stop"
        await board.until(lambda: any("stopped" in str(n.message) for n in board.app._notifications))


async def test_marked_rows_are_asked_about_once_and_done_all(tmp_path: Path, monkeypatch) -> None:
    engine = FakeEngine()
    async with dashboard(three(), tmp_path) as board:
        await on_containers(board, monkeypatch, engine)
        await board.press("asterisk", "s")
        await board.until(lambda: isinstance(screen(board), Confirm))
        assert all(f"Stop {name} on h1?" in board.text for name in ("one", "two", "three"))
        assert "y yes · n no" in board.text
        await board.press("y")
        await board.until(lambda: len(engine.done) == 3)
        await board.until(lambda: any("3 of 3 done" in str(n.message) for n in board.app._notifications))
        await board.press("8")
        await board.until(lambda: len(board.app.desk.table.rows) == 3)
        assert {row.state for row in board.app.desk.table.rows} == {"done"}


async def test_a_failure_is_a_toast_with_a_hint_and_a_line_in_activity(tmp_path: Path, monkeypatch) -> None:
    error = EngineError("h1: the engine [/oops] hangs.", hint="Restart it.")
    async with dashboard(three(), tmp_path) as board:
        await on_containers(board, monkeypatch, error)
        await board.press("s")
        await board.until(lambda: isinstance(screen(board), Confirm))
        await board.press("right", "enter")
        await board.until(lambda: any("Restart it." in str(n.message) for n in board.app._notifications))
        await board.press("8")
        await board.until(lambda: [row.state for row in board.app.desk.table.rows] == ["failed"])
        await board.press("enter")
        await board.until(lambda: isinstance(screen(board), OutputScreen))
        assert "hangs" in board.text


async def test_the_menu_lists_what_applies_to_this_row(tmp_path: Path, monkeypatch) -> None:
    state = state_of([host("h1", [container("gone", state="exited", exit_code=0)])])
    async with dashboard(state, tmp_path, size=(140, 50)) as board:
        await on_containers(board, monkeypatch, FakeEngine())
        await board.press("x")
        await board.until(lambda: isinstance(screen(board), Menu))
        lines = [line.strip("│ ") for line in board.text.splitlines()]
        assert any(line.startswith("start ") for line in lines)
        assert not any(line.startswith(("! stop ", "pause ")) for line in lines)


async def test_escape_leaves_the_search_of_a_page_before_the_page(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path) as board:
        row = ActivityRow(
            id="1", action="a", title="inspect", target="h1/one", host="h1", state="done",
            started_at=NOW, output=("first", "second"),
        )  # fmt: skip
        board.app.push_screen(OutputScreen(None, row))
        await board.until(lambda: "second" in board.text)
        await board.until(lambda: "/ search" in board.text.splitlines()[-1])
        await board.press("slash", "s", "e", "escape")
        assert isinstance(screen(board), OutputScreen)
        await board.press("slash", "s", "e", "c", "enter")
        await board.until(lambda: "1 of 1 for sec" in board.text)
        await board.press("escape", "escape")
        await board.until(lambda: isinstance(screen(board), Desk))


async def test_w_wraps_the_long_lines_of_a_page(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path, size=(80, 24)) as board:
        row = ActivityRow(
            id="1", action="a", title="inspect", target="h1/one", host="h1", state="done",
            started_at=NOW, output=("word " * 30 + "theend", "second"),
        )  # fmt: skip
        board.app.push_screen(OutputScreen(None, row))
        await board.until(lambda: "second" in board.text)
        assert "theend" not in board.text
        await board.press("w")
        await board.until(lambda: "theend" in board.text and "second" in board.text)
        await board.press("w")
        await board.until(lambda: "theend" not in board.text)


async def test_read_only_offers_nothing_that_changes(tmp_path: Path, monkeypatch) -> None:
    async with dashboard(three(), tmp_path, read_only=True) as board:
        await on_containers(board, monkeypatch, FakeEngine())
        offered = {action.name for action in board.app.desk.actions()}
        assert "inspect" in offered and not offered & {"stop", "remove", "context-new", "import"}
        await board.press("s")
        assert isinstance(screen(board), Desk)


async def test_a_read_only_host_offers_nothing_that_changes(tmp_path: Path, monkeypatch) -> None:
    state = three()
    app_config = config_of(state, tmp_path)
    hosts = tuple(HostConfig(name=h.name, host=h.host, read_only=h.name == "h1") for h in app_config.hosts)
    async with dashboard(state, tmp_path) as board:
        board.app.desk.config = type(app_config)(directory=tmp_path, hosts=hosts)
        await on_containers(board, monkeypatch, FakeEngine())
        assert not {action.name for action in board.app.desk.actions()} & {"stop", "remove"}


async def test_a_running_action_can_be_cancelled_and_tried_again(tmp_path: Path, monkeypatch) -> None:
    engine = FakeEngine()
    engine.gate = asyncio.Event()
    async with dashboard(three(), tmp_path) as board:
        await on_containers(board, monkeypatch, engine)
        await board.press("s")
        await board.until(lambda: isinstance(screen(board), Confirm))
        await board.press("right", "enter", "8")
        await board.until(lambda: [row.state for row in board.app.desk.table.rows] == ["running"])
        await board.press("ctrl+k")
        await board.until(lambda: [row.state for row in board.app.desk.table.rows] == ["cancelled"])
        assert engine.done == []
        engine.gate.set()
        await board.press("R")
        await board.until(lambda: engine.done)
        await board.until(lambda: "done" in [row.state for row in board.app.desk.table.rows])


async def test_what_prints_opens_a_page_that_can_be_searched(tmp_path: Path, monkeypatch) -> None:
    async with dashboard(three(), tmp_path) as board:
        engine = FakeEngine()
        await on_containers(board, monkeypatch, engine)
        await board.press("i")
        await board.until(lambda: isinstance(screen(board), OutputScreen) and "Status: running" in board.text)
        await board.press("slash")
        await board.type("status")
        await board.press("enter")
        await board.until(lambda: "1 of 1" in board.text)
        await board.press("escape", "escape")
        await board.until(lambda: isinstance(screen(board), Desk))
        assert {name for name, *_ in engine.done} == {"inspect"}


async def test_a_question_in_the_middle_of_an_action_is_a_dialog(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        answer = asyncio.create_task(board.app.doing.confirm("Really [b]remove[/b] it?"))
        await board.until(lambda: "[b]remove[/b]" in board.text)
        await board.press("escape")
        assert await answer is False
        asked = asyncio.create_task(board.app.doing.confirm("Again?"))
        await board.until(lambda: isinstance(screen(board), Confirm))
        asked.cancel()
        await board.until(lambda: isinstance(screen(board), Desk))


def test_no_key_of_an_action_is_taken_by_the_frame() -> None:
    fleet = doing.bindings(None)
    for view in all_views():
        frame = {
            key
            for owner in (Desk, FleetTable, view)
            for binding in keys.bindings_of(owner)
            for key in [binding.key]
        }
        own = doing.bindings(view.ROW) if view.ROW else []
        clash = {binding.id for binding in (*own, *fleet) if binding.key in frame}
        assert not clash, (view.NAME, clash)


def test_actions_of_one_kind_share_a_key_only_where_at_most_one_applies() -> None:
    rows = [container(state) for state in ("running", "paused", "exited", "created", "restarting")]
    from backend.rows import RowBuilder

    built = RowBuilder().containers(
        state_of(
            [
                host(
                    "h1",
                    [
                        type(c)(id=c.id + str(n), name=c.name, image="i", state=c.name)
                        for n, c in enumerate(rows)
                    ],
                )
            ]
        )
    )
    for row in built:
        taken: dict[str, str] = {}
        for action in doing.of_kind(type(row)):
            if action.key and action.applies(row):
                assert action.key not in taken, (row.state, action.name, taken[action.key])
                taken[action.key] = action.name


def test_actions_are_remapped_by_name_and_conflicts_name_both(tmp_path: Path) -> None:
    state = three()
    BerthApp(config_of(state, tmp_path, settings=Settings(keys={"stop": ("f6",)})))
    with pytest.raises(ConfigError, match="stop") as caught:
        BerthApp(config_of(state, tmp_path, settings=Settings(keys={"stop": ("r",)})))
    assert "restart" in str(caught.value)


async def test_a_remapped_action_answers_to_its_new_key_only(tmp_path: Path, monkeypatch) -> None:
    async with dashboard(three(), tmp_path, settings=Settings(keys={"stop": ("f6",)})) as board:
        await on_containers(board, monkeypatch, FakeEngine())
        await board.press("s")
        assert isinstance(screen(board), Desk)
        await board.press("f6")
        await board.until(lambda: isinstance(screen(board), Confirm))
        assert isinstance(board.app.focused, Button)
