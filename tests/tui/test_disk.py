"""The disk page, by keys, with the real scanner on this machine's files."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from backend.link.local import LocalLink
from tests.tui.fakes import FakeFleet, showcase
from tests.tui.helpers import Board, dashboard
from tui.dialogs import Choose, Confirm
from tui.disk.screen import DiskScreen
from tui.output import OutputScreen

MIB = 1 << 20


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree: `big/` with two files, `small/` with one, a file of its own; and a fleet without a network."""
    folder = tmp_path.resolve() / "data"
    for name, size in {"big/a": 3 * MIB, "big/deep/b": 2 * MIB, "small/c": MIB, "own": MIB // 2}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    links: dict[str, LocalLink] = {}

    def link(self: FakeFleet, name: str) -> LocalLink:
        return links.setdefault(name, LocalLink(name))

    monkeypatch.setattr(FakeFleet, "link", link, raising=False)
    monkeypatch.setenv("BERTH_CACHE_DIR", str(tmp_path / "cache"))
    return folder


@asynccontextmanager
async def page(data: Path, tmp_path: Path, **config: object) -> AsyncIterator[tuple[Board, DiskScreen]]:
    """The page, in the folder, once it is read."""
    async with dashboard(showcase(), tmp_path / "config", **config) as board:  # type: ignore[arg-type]
        await board.press("1", "D")
        await board.until(lambda: isinstance(board.app.screen, DiskScreen) and board.app.screen.is_mounted)
        screen = board.app.screen
        assert isinstance(screen, DiskScreen) and screen.looking is not None
        screen.looking.walk(str(data))
        await quiet(board, screen, str(data))
        yield board, screen


async def quiet(board: Board, screen: DiskScreen, path: str) -> None:
    """Wait until a folder is shown, read to its end."""
    looking = screen.looking
    assert looking is not None

    def there() -> bool:
        found = looking.listing
        return (
            looking.path == path
            and found is not None
            and found.path == path
            and not looking.running
            and not found.itself.open
            and screen._drawn == looking.changed
        )

    for _ in range(20):
        try:
            await board.until(there)
            return
        except AssertionError:
            continue
    raise AssertionError(f"{looking.path}: {looking.listing}, {looking.problem}")


def names(screen: DiskScreen) -> list[str]:
    return [row.name for row in screen.entries.rows]


async def test_walk_in_and_up_again(data: Path, tmp_path: Path) -> None:
    async with page(data, tmp_path) as (board, screen):
        await board.until(lambda: names(screen) == ["big", "small", "own"])
        assert [row.kind for row in screen.entries.rows] == ["folder", "folder", "file"]
        await board.press("enter")
        await quiet(board, screen, str(data / "big"))
        assert names(screen) == ["a", "deep"]
        await board.until(lambda: "5.0 M" in str(screen.query_one("#disk-path", Static).content))
        await board.press("backspace")
        await quiet(board, screen, str(data))
        await board.press("j", "backspace")
        await quiet(board, screen, str(data.parent))
        await board.until(lambda: screen.entries.row.name == "data")
        assert screen.disks.rows[0].disk.total
        await board.press("escape")
        await board.until(lambda: board.app.screen is board.app.desk)


async def test_what_holds_nothing_is_one_line_until_somebody_looks(data: Path, tmp_path: Path) -> None:
    for name in ("empty-1", "empty-2", "empty-3"):
        (data / name).write_text("")
    folded = ["big", "small", "own", "3 that hold nothing"]
    async with page(data, tmp_path) as (board, screen):
        await board.until(lambda: names(screen) == folded)
        assert all(f"empty-{number}" in screen.entries.rows[-1].note for number in (1, 2, 3))
        await board.press("G", "enter")
        await board.until(lambda: len(names(screen)) == 6 and "empty-2" in names(screen))
        await board.press("backspace")
        await quiet(board, screen, str(data.parent))
        await board.until(lambda: screen.entries.row is not None and screen.entries.row.name == "data")
        await board.press("enter")
        await quiet(board, screen, str(data))
        await board.until(lambda: names(screen) == folded)
        await board.press("slash")
        screen.query_one("#disk-input", Input).value = "empty-2"
        await board.until(lambda: names(screen) == ["empty-2"])


async def test_order_filter_owners_and_what_can_be_pruned(data: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(data / "small", 54321, -1)
        os.chown(data / "small/c", 54321, -1)
    async with page(data, tmp_path) as (board, screen):
        await board.press("P")
        await board.until(lambda: isinstance(board.app.screen, Choose))
        assert "build cache" in board.text and "30 days" in board.text
        await board.press("escape", "o")
        await board.until(lambda: names(screen) == ["big", "own", "small"])
        await board.press("slash")
        screen.query_one("#disk-input", Input).value = "size:>900K"
        await board.until(lambda: names(screen) == ["big", "small"])
        await board.press("enter", "w")
        if os.geteuid() == 0:
            await board.until(lambda: {row.name for row in screen.entries.rows} == {"root", "54321"})
            row = next(each for each in screen.entries.rows if each.name == "54321")
            assert f"{data}/small" in row.note


async def test_a_marked_folder_goes_after_its_question(data: Path, tmp_path: Path, monkeypatch) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (data / "big/link").symlink_to(outside)
    async with page(data, tmp_path) as (board, screen):
        await board.until(lambda: names(screen)[:1] == ["big"])
        await board.press("space", "ctrl+d")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        await board.until(lambda: "5.0 M in 3 files" in " ".join(board.text.split()))
        await board.press("n")
        await board.until(lambda: isinstance(board.app.screen, OutputScreen))
        await board.until(lambda: "cancelled" in board.text and "not done" in board.text)
        assert "failed" not in board.text, "the person's own no is no failure"
        assert [run.state for run in board.app.doing.runs.runs] == ["cancelled"]
        assert (data / "big/a").exists()
        await board.press("escape", "ctrl+d")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        await board.press("y")
        await board.until(lambda: not (data / "big").exists())
        assert (outside / "kept").exists()
        await board.until(lambda: "5.0 M free" in board.text)
        await board.press("escape")
        await board.until(lambda: names(screen) == ["small", "own"])
        monkeypatch.setenv("HOME", str(data / "small"))
        screen.entries.select("small")
        await board.press("ctrl+d")
        await board.until(lambda: "is somebody's home" in board.text)
        assert (data / "small/c").exists()


async def test_nothing_is_offered_where_nothing_may_be_changed(data: Path, tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path / "config", read_only=True) as board:
        await board.press("1", "D")
        await board.until(lambda: isinstance(board.app.screen, DiskScreen) and board.app.screen.is_mounted)
        await board.press("P", "ctrl+d", "n")
        assert isinstance(board.app.screen, DiskScreen)
