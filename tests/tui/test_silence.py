"""Keys that do nothing say why; what is typed ahead of a shell is its own; cursors go with containers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backend.actions.context import Terminal
from backend.actions.runner import Result
from backend.config import Settings
from backend.model import FleetState
from tests.tui.fakes import container, contexts, down, host, state_of
from tests.tui.helpers import Board, dashboard
from tests.tui.test_doing import FakeEngine, on_containers, three
from tests.tui.test_keyboard import type_at_once
from tui import handover
from tui.ahead import Ahead
from tui.desk import Desk
from tui.dialogs import Confirm

MIXED = state_of(
    [
        host("h1", [container("web"), container("old", number=1, state="exited", exit_code=0)]),
        down("h3"),
    ]
)


async def said(board: Board, text: str) -> None:
    await board.until(lambda: any(text == note.message for note in board.app._notifications))


# ------------------------------------------------------------------------------------------ silent keys


async def test_a_key_that_does_not_apply_says_why_and_what_would(tmp_path: Path) -> None:
    async with dashboard(MIXED, tmp_path, contexts=contexts()) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("r")
        await board.until(lambda: board.fleet.retried == ["h3"])
        await board.press("j", "r")
        await said(board, "retry: h1 is connected")
        await board.press("K")
        await said(board, "its key: no unknown key of h1 waits for an answer")
        await board.press("3", "G", "s")
        await said(board, "stop: h1/old is exited (S: start)")
        await board.press("p")
        await said(board, "pause: h1/old is exited (S: start)")
        await board.press("g", "S")
        await said(board, "start: h1/web is running")
        assert isinstance(board.app.screen, Desk)
        assert not board.app.doing.runs.runs
        await board.press("7", "a")
        await said(board, "attach: there is no row")


async def test_keys_that_work_or_mean_nothing_say_nothing(tmp_path: Path) -> None:
    async with dashboard(MIXED, tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press(
            "3", "j", "k", "Z", "f5", "escape", "space", "space", "slash", "w", "enter", "escape"
        )
        assert not list(board.app._notifications)


async def test_none_of_the_marked_and_read_only_say_so(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("3", "asterisk", "S")
        await said(board, "start: for none of the 3 marked")
    async with dashboard(three(), tmp_path, read_only=True) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("3", "s")
        await said(board, "stop: berth is read-only")
        assert isinstance(board.app.screen, Desk) and not board.app.doing.runs.runs


async def test_a_remapped_key_says_why_as_well(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path, settings=Settings(keys={"start": ("f5",)})) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("3", "f5")
        await said(board, f"start: h1/{board.selected} is running")
        assert isinstance(board.app.screen, Desk) and not board.app.doing.runs.runs


async def test_keys_of_the_row_work_in_its_details(tmp_path: Path, monkeypatch) -> None:
    async with dashboard(MIXED, tmp_path, size=(80, 24)) as board:
        await on_containers(board, monkeypatch, FakeEngine())
        await board.press("enter")
        await board.until(lambda: board.app.desk.has_class("-detail-full"))
        await board.until(lambda: "s stop" in board.text.splitlines()[-1])
        await board.press("s")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        await board.press("n", "escape", "G", "enter", "s")
        await said(board, "stop: h1/old is exited (S: start)")
        assert isinstance(board.app.screen, Desk) and not board.app.doing.runs.runs


# -------------------------------------------------------------------------------- typed ahead of a shell


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Terminals that are opened; each waits at its gate before it takes over."""

    class Shell:
        gate = asyncio.Event()
        typed = b""
        opened = 0

    async def hand_over(app: Any, terminal: Terminal, access: Any, config: Any, ahead: Ahead) -> int:
        await Shell.gate.wait()
        Shell.opened += 1
        Shell.typed = await ahead.take()
        return 0

    async def run_one(action: Any, target: Any, *_: Any) -> Result:
        return Result(target, terminal=Terminal(host="h1", argv=("sh",), title="t"))

    monkeypatch.setattr(handover, "hand_over_in", hand_over)
    monkeypatch.setattr("tui.doing.run_one", run_one)
    return Shell


async def test_keys_typed_after_enter_go_to_the_shell(tmp_path: Path, shell: Any) -> None:
    async with dashboard(three(), tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("3")
        row = board.selected
        type_at_once(board, "esrxjj*\r")
        await board.pilot.pause(0.05)
        assert isinstance(board.app.screen, Desk)
        assert (board.selected, board.app.desk.table.marks) == (row, set())
        await board.press("up", "é", "ctrl+a")
        shell.gate.set()
        await board.until(lambda: shell.opened)
        assert shell.typed == "srxjj*\r\x1b[Aé\x01".encode()
        await board.press("j")
        assert board.selected != row, "the keys are the dashboard's again"


async def test_escape_gives_up_a_shell_that_does_not_open(tmp_path: Path, shell: Any) -> None:
    async with dashboard(three(), tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("3", "e", "s")
        await board.until(lambda: any("esc gives up" in note.message for note in board.app._notifications))
        await board.press("escape")
        await board.until(lambda: any(note.title == "Given up" for note in board.app._notifications))
        assert not any("esc gives up" in note.message for note in board.app._notifications)
        await board.press("s")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        assert not shell.opened


# ------------------------------------------------------------------------------------------- recreated


async def begin(board: Board) -> Any:
    """A run of `recreate` on the row under the cursor."""
    from backend.actions.runs import Run
    from tui.doing import declared
    from tui.views.activity import RunChanged

    run = Run(declared()["recreate"], board.app.desk.table.row, {}, board.app.doing)
    board.app.post_message(RunChanged(run))
    await board.pilot.pause()
    return run


async def end(board: Board, run: Any, made: str) -> None:
    from tui.views.activity import RunChanged

    run.state, run.notes["container"] = "done", made
    board.app.post_message(RunChanged(run))
    await board.pilot.pause()


def recreated(state: FleetState, revision: int) -> FleetState:
    """`two` was made again as the last row; the old one has another name."""
    (h1, h2) = state.hosts.values()
    before = h1.containers or ()
    kept = tuple(replace(each, name=f"{each.name}-before") if each.name == "two" else each for each in before)
    made = (*kept, container("two", number=9))
    return state_of([replace(h1, containers=made, revision=revision), h2], revision=revision)


@pytest.mark.parametrize("told_first", ["run", "row"])
async def test_the_cursor_goes_to_the_container_that_was_made_again(tmp_path: Path, told_first: str) -> None:
    async with dashboard(three(), tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("3", "j")
        assert board.selected == "two"
        run, new = await begin(board), container("two", number=9)
        if told_first == "run":
            await end(board, run, new.id)
            assert board.selected == "two"
            await board.publish(recreated(board.fleet.state, 2))
        else:
            await board.publish(recreated(board.fleet.state, 2))
            assert board.selected == "two-before"
            await end(board, run, new.id)
        await board.until(lambda: board.app.desk.table.row.id == new.id)


async def test_a_cursor_that_was_moved_meanwhile_stays(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("3", "j")
        run = await begin(board)
        await board.press("j")
        await end(board, run, container("two", number=9).id)
        await board.publish(recreated(board.fleet.state, 2))
        assert board.selected == "three"
