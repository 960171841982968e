"""Names on the help page: what settings.yaml calls an action by, with a key and without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.actions import load
from backend.config import Config
from backend.config.schema import Settings
from tests.tui.fakes import showcase
from tests.tui.helpers import dashboard
from tui.keymap import of_settings


async def test_the_help_page_names_every_action_of_the_row(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(120, 200)) as board:
        await board.press("3", "j")
        await board.until(board.app.desk.actions)
        await board.press("question_mark")
        lines = board.text.splitlines()
        for name in ("stop", "recreate", "install", "uninstall"):
            assert any(line.rstrip(" │┃▁▂▃▄▅▆▇█").endswith(f"  {name}") for line in lines), name
        assert any("Without a key" in line for line in lines)


async def test_a_narrow_screen_has_the_keys_alone(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(60, 200)) as board:
        await board.press("3", "question_mark")
        assert "sort-column" not in board.text
        assert "Stop" in board.text


@pytest.mark.parametrize("name", ["unprepare", "uninstall", "stop"])
def test_every_action_can_be_given_a_key(name: str, tmp_path: Path) -> None:
    assert name in load()
    config = Config(directory=tmp_path, hosts=(), settings=Settings(keys={name: ("f9",)}))
    assert of_settings(config) == {name: "f9"}
