"""Keys that come faster than they take effect: typed in one go, or on a machine that is busy."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from tests.tui.fakes import container, contexts, host, state_of
from tests.tui.helpers import Board, dashboard
from tui.desk import Desk
from tui.forms import Form
from tui.views.base import Sources

FLEET = state_of([host("h1", [container("web"), container("nixie", number=1)]), host("h2", [])])
NAMES = {"/": "slash", ":": "colon", "\r": "enter"}


def type_at_once(board: Board, text: str) -> None:
    """All keys are there before the first one is handled."""
    for character in text:
        board.app.post_message(events.Key(NAMES.get(character, character), character))


async def test_a_key_pressed_at_the_first_frame_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish = Desk.furnish

    async def pressed_before(self: Desk, sources: Sources) -> None:
        for key in "53":
            await self.app.on_event(events.Key(key, key))
        await furnish(self, sources)

    monkeypatch.setattr(Desk, "furnish", pressed_before)
    async with dashboard(FLEET, tmp_path) as board:
        await board.until(lambda: board.app.desk.view.NAME == "containers")
        assert sorted(board.names) == ["nixie", "web"]


async def test_a_filter_typed_in_one_go_filters_and_does_nothing_else(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("3")
        type_at_once(board, "/nixie\r")
        await board.until(lambda: board.app.desk.view.filter_text == "nixie")
        await board.until(lambda: board.app.focused is board.app.desk.table)
        assert board.names == ["nixie"]
        assert board.app.screen is board.app.desk


async def test_a_command_typed_in_one_go_goes_there(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        type_at_once(board, ":gpus\r3/web\r")
        await board.until(lambda: board.app.desk.view.filter_text == "web")
        assert board.app.desk.view.NAME == "containers"
        assert board.app.screen is board.app.desk


@pytest.mark.parametrize("first", ["4n", "n"])
async def test_a_form_typed_in_one_go_has_each_value_in_its_field(tmp_path: Path, first: str) -> None:
    async with dashboard(FLEET, tmp_path, contexts=contexts()) as board:
        if first == "n":
            await board.press("4")
        type_at_once(board, f"{first}mine\rh1\rnginx\r")
        await board.until(lambda: isinstance(board.app.screen, Form))
        form = board.app.screen
        await board.until(lambda: board.app.focused in form.query("#f-container"))
        assert form.query_one("#f-name", Input).value == "mine"
        assert form.query_one("#f-host", Input).value == "h1"
        assert form.query_one("#f-image", Input).value == "nginx"


async def test_a_row_is_reached_by_a_key_that_is_held_down(tmp_path: Path) -> None:
    many = state_of([host("h1", [container(f"c{number}", number=number) for number in range(30)])])
    async with dashboard(many, tmp_path) as board:
        await board.press("3")
        type_at_once(board, "j" * 20 + "k" * 5)
        await board.until(lambda: board.app.desk.table.row is board.app.desk.table.rows[15])
        assert f" {board.selected} " in board.text, "the cursor is never off the screen"
