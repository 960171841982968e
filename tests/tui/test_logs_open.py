"""`l` in the dashboard: logs of a container, of marked ones, of a GPU's, of a context's; and back again."""

from __future__ import annotations

import pytest

from tests.tui.fakes import FakeFleet, contexts, showcase
from tests.tui.helpers import dashboard
from tui.logs.screen import LogScreen


@pytest.fixture(autouse=True)
def no_links(monkeypatch):
    """Nothing is connected: what is opened waits."""
    monkeypatch.setattr(FakeFleet, "link", lambda self, name: None, raising=False)


async def opened(board) -> LogScreen:
    await board.until(lambda: isinstance(board.app.screen, LogScreen) and board.app.screen.is_mounted)
    screen = board.app.screen
    assert isinstance(screen, LogScreen)
    return screen


async def test_marked_containers_open_together_and_the_table_is_as_it_was(tmp_path):
    async with dashboard(showcase(), tmp_path) as board:
        await board.press("3", "space", "j", "space", "j")
        before, marks = board.selected, set(board.app.desk.table.marks)
        await board.press("l")
        screen = await opened(board)
        assert len(marks) == 2 and {(t.host, t.id) for t in screen.state.targets} == marks
        await board.press("q")
        await board.until(lambda: board.app.screen is board.app.desk)
        assert board.selected == before and board.app.desk.table.marks == marks


async def test_logs_of_the_containers_on_a_gpu(tmp_path):
    async with dashboard(showcase(), tmp_path) as board:
        await board.press("2", "l")
        row = board.app.desk.table.row
        screen = await opened(board)
        assert [t.name for t in screen.state.targets] == list(row.containers)


async def test_logs_of_a_context(tmp_path):
    async with dashboard(showcase(), tmp_path, contexts=contexts()) as board:
        await board.press("4")
        await board.until(lambda: board.app.desk.table.row is not None)
        row = board.app.desk.table.row
        await board.press("l")
        screen = await opened(board)
        assert [(t.host, t.id) for t in screen.state.targets] == [(row.host, row.container_id)]
        await board.press("escape")
        await board.until(lambda: board.app.screen is board.app.desk)


async def test_read_only_may_read_logs(tmp_path):
    async with dashboard(showcase(), tmp_path, read_only=True) as board:
        await board.press("3", "l")
        row = board.app.desk.table.row
        screen = await opened(board)
        assert [(t.host, t.id) for t in screen.state.targets] == [(row.host, row.id)]
