"""Keys that are pressed before it is known what can be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tui.fakes import host, state_of
from tests.tui.helpers import dashboard
from tui.app import BerthApp
from tui.desk import Desk
from tui.forms import Form


@pytest.mark.parametrize(("keys", "opens"), [(("4", "n"), Form), (("4", "n", "1"), Desk)])
async def test_a_key_is_done_once_it_is_known_what_it_does_unless_another_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...], opens: type[Any]
) -> None:
    begin, held = BerthApp._begin_doing, []
    monkeypatch.setattr(BerthApp, "_begin_doing", lambda app, fleet: held.append(fleet))
    async with dashboard(state_of([host("h1")]), tmp_path) as board:
        await board.until(lambda: held)
        await board.press(*keys)
        assert isinstance(board.app.screen, Desk), "nobody knows yet what n does"
        begin(board.app, held[0])
        await board.until(lambda: board.app.desk.can_act and isinstance(board.app.screen, opens))
        await board.pilot.pause(0.1)
        assert isinstance(board.app.screen, opens)
