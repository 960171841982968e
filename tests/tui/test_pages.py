"""Lists on pages of their own: mounts, and what keeps ownership right, by keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.mounts import records
from backend.mounts.model import MountRow, MountState
from backend.ownership.model import OwnershipRow
from tests.tui.fakes import showcase
from tests.tui.helpers import Board, dashboard
from tui.mounts.screen import MountScreen
from tui.ownership import screen as ownership
from tui.ownership.screen import OwnershipScreen

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = MountRow(id="0a1b2c", host="h1", path="work", folder="/m/work", state=MountState.MOUNTED, since=SINCE)
LOST = MountRow(id="ffffff", host="[/oops]\x1b[31m", path="", folder="/m/lost", state=MountState.SILENT)
WATCHED = OwnershipRow(
    id="123456",
    host="h1",
    folders=("/data/[b]team",),
    owner="alice",
    group="docker",
    mode="g+rwX",
    state="watching",
    changed=1234,
    latest=("/data/team/new",),
)


class Begun:
    """What the page asks the dashboard to do."""

    def __init__(self, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        begin = lambda action, options: self.asked.append((action, dict(options)))  # noqa: E731
        monkeypatch.setattr(board.app.screen, "begin", begin)


async def opened(board: Board, line: str, kind: type) -> None:
    await board.press("colon")
    await board.type(line)
    await board.press("enter")
    await board.until(lambda: isinstance(board.app.screen, kind) and board.app.screen.shown)


async def test_mounts_are_listed_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [GOOD, LOST]

    async def rows(limit: float = 2.0) -> list[MountRow]:
        return list(shown)

    monkeypatch.setattr(records, "rows", rows)
    async with dashboard(showcase(), tmp_path) as board:
        await opened(board, "mounts", MountScreen)
        begun = Begun(board, monkeypatch)
        await board.until(lambda: "no answer" in board.text and "berth umount ffffff" in board.text)
        assert "mounted" in board.text and "[/oops]" in board.text and "unmount all stale" in board.text
        await board.press("u", "S")
        assert begun.asked == [("umount", {"what": ("0a1b2c",)}), ("umount", {"stale": True})]
        shown.clear()
        await board.press("r")
        await board.until(lambda: "m on a host or context mounts" in board.text)
        assert "unmount" not in board.text.splitlines()[-1]
        await board.press("escape")
        await board.until(lambda: board.app.screen is board.app.desk)


async def test_what_keeps_ownership_is_listed_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def everywhere(access: Any, hosts: Any) -> Any:
        return [WATCHED], []

    monkeypatch.setattr(ownership, "everywhere", everywhere)
    async with dashboard(showcase(), tmp_path) as board:
        await board.until(lambda: board.app.access is not None)
        await opened(board, "ownership", OwnershipScreen)
        begun = Begun(board, monkeypatch)
        await board.until(lambda: "/data/[b]team" in board.text)
        assert "1,234" in board.text and "alice:docker" in board.text
        await board.press("ctrl+k")
        assert begun.asked == [("ownership-stop", {"host": "h1", "what": ("123456",)})]
