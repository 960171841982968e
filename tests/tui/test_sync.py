"""The sync screen, by keys, with the real rsync."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from textual.widgets import Input, Static

from backend.config import Config, HostConfig, SyncProfile, SyncRule
from backend.link.local import LocalLink
from backend.sync.where import of_hosts
from tests.lab import parts
from tests.tui.fakes import FakeFleet, showcase
from tests.tui.helpers import Board, dashboard
from tui.dialogs import Choose, Confirm
from tui.sync.screen import SyncScreen


def write(path: Path, text: str, age: float = 100.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    when = path.stat().st_mtime - age
    os.utime(path, (when, when))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine's folder; hosts are reached without a network."""
    parts.require("rsync")
    links: dict[str, LocalLink] = {}

    def link(self: FakeFleet, name: str) -> LocalLink:
        return links.setdefault(name, LocalLink(name))

    monkeypatch.setattr(FakeFleet, "link", link, raising=False)
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "here"


def profiles(here: Path) -> tuple[SyncProfile, ...]:
    rule = SyncRule(source=str(here / "work"), target=str(here.parent / "there/work"))
    back = SyncRule(source=str(here.parent / "there/work"), target=str(here / "work"), direction="pull")
    return (
        SyncProfile(name="push", rules=(rule,), comment="code"),
        SyncProfile(name="pull", rules=(back,)),
    )


@asynccontextmanager
async def synced(here: Path, tmp_path: Path) -> AsyncIterator[tuple[Board, SyncScreen]]:
    """The screen on the first host, once both sides were looked at."""
    async with dashboard(showcase(), tmp_path / "config", profiles=profiles(here)) as board:
        await board.press("1", "y")
        await board.until(lambda: isinstance(board.app.screen, SyncScreen) and board.app.screen.is_mounted)
        screen = board.app.screen
        assert isinstance(screen, SyncScreen)
        await ready(board, screen)
        yield board, screen


async def ready(board: Board, screen: SyncScreen, phase: str = "ready") -> None:
    for _ in range(20):
        try:
            await board.until(lambda: screen.syncing.phase == phase and not screen.syncing.busy)
            await board.until(lambda: screen._drawn == screen.syncing.changed)
            return
        except AssertionError:
            continue
    raise AssertionError(f"{screen.syncing.phase}: {screen.syncing.lines()}")


async def soon(board: Board, true: Callable[[], object]) -> None:
    """As `until`, for what a busy machine may take long for."""
    for _ in range(20):
        with contextlib.suppress(AssertionError):
            await board.until(true)
            return
    await board.until(true)


def said(screen: SyncScreen) -> str:
    return str(screen.query_one("#sync-state", Static).content)


def there(here: Path) -> Path:
    return here.parent / "there/work"


async def test_preview_then_start(here: Path, tmp_path: Path) -> None:
    write(here / "work/a.py", "one")
    write(here / "work/b.py", "two")
    write(there(here) / "b.py", "old", age=5000)
    async with synced(here, tmp_path) as (board, screen):
        assert {row.path.rpartition("/")[2]: row.change.kind for row in screen.files.rows} == {
            "a.py": "new",
            "b.py": "changed",
        }
        await board.until(lambda: "work/a.py" in board.text and "start" in board.text)
        assert not (there(here) / "a.py").exists()
        await board.press("s")
        await ready(board, screen, "done")
        assert (there(here) / "b.py").read_text() == "two"
        assert "1 of 1 hosts done" in said(screen)
        assert "berth sync undo" in said(screen)
        await board.press("escape")
        await board.until(lambda: board.app.screen is board.app.desk)


async def test_files_can_be_filtered(here: Path, tmp_path: Path) -> None:
    for name in ("one.py", "two.py", "three.txt"):
        write(here / "work" / name, "x" * 10)
    write(here / "work/large.txt", "x" * 5000)
    async with synced(here, tmp_path) as (board, screen):
        await board.press("slash")
        field = screen.query_one("#sync-input", Input)
        field.value = ".txt size:>1K"
        await board.until(lambda: len(screen.files.rows) == 1)
        assert screen.files.rows[0].path.endswith("large.txt")
        await board.press("enter")
        assert "1 of 4 shown" in said(screen)
        await board.press("escape")
        await board.until(lambda: len(screen.files.rows) == 4)
        assert board.app.screen is screen


async def test_deletions_are_asked_about_with_their_list(here: Path, tmp_path: Path) -> None:
    write(here / "work/a", "a")
    write(there(here) / "only there", "x")
    async with synced(here, tmp_path) as (board, screen):
        assert [row.change.kind for row in screen.files.rows] == ["new"]
        await board.press("D")
        await ready(board, screen)
        assert {row.change.kind for row in screen.files.rows} == {"new", "deleted"}
        await board.press("s")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        assert "only there" in board.text
        await board.press("n")
        await ready(board, screen, "done")
        assert (there(here) / "only there").exists()
        assert "not done" in screen.hosts.rows[0].error
        assert screen.hosts.rows[0].phase == "cancelled"
        assert "cancelled: the deletions were not confirmed" in said(screen)
        await board.press("r")
        await ready(board, screen)
        await board.press("s")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        await board.press("y")
        await ready(board, screen, "done")
        assert not (there(here) / "only there").exists()
        assert (there(here) / "a").exists()


async def test_conflicts_have_choices(here: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(here / "work" / name, "first", age=1000)
    async with synced(here, tmp_path) as (board, screen):
        await board.press("s")
        await ready(board, screen, "done")
        for name in ("a", "b"):
            write(here / "work" / name, "mine", age=10)
            write(there(here) / name, "theirs", age=5)
        await board.press("r")
        await ready(board, screen)
        assert [row.change.kind for row in screen.files.rows] == ["conflict", "conflict"]
        assert screen.check_action("start", ()) is False
        await board.press("tab", "m")
        await ready(board, screen)
        kinds = {row.path.rpartition("/")[2]: row.change.kind for row in screen.files.rows}
        assert sorted(kinds.values()) == ["changed", "conflict"]
        await board.press("s")
        await ready(board, screen, "done")
        assert sorted((there(here) / name).read_text() for name in ("a", "b")) == ["mine", "theirs"]


async def test_another_profile_by_name(here: Path, tmp_path: Path) -> None:
    write(there(here) / "result", "1")
    write(here / "work/a", "a")
    async with synced(here, tmp_path) as (board, screen):
        await board.press("p")
        await board.until(lambda: isinstance(board.app.screen, Choose))
        assert "code" in board.text
        await board.press("j", "enter")
        await board.until(lambda: screen.syncing.wish.options.verb == "pull")
        await ready(board, screen)
        assert [row.path.rpartition("/")[2] for row in screen.files.rows] == ["result"]
        await board.press("s")
        await ready(board, screen, "done")
        assert (here / "work/result").read_text() == "1"


async def test_what_is_wrong_with_a_host_is_said(here: Path, tmp_path: Path) -> None:
    async with synced(here, tmp_path) as (board, screen):
        (row,) = screen.hosts.rows
        assert row.phase == "failed"
        assert "nothing to push" in row.error
        assert screen.check_action("start", ()) is False
        await board.press("q")
        await board.until(lambda: board.app.screen is board.app.desk)


async def test_names_that_would_move_the_cursor_are_harmless(here: Path, tmp_path: Path) -> None:
    write(here / "work/\x1b[2Jred\nline [bold]", "x")
    async with synced(here, tmp_path) as (board, screen):
        assert len(screen.files.rows) == 1
        assert "\x1b" not in board.text
        assert "[bold]" in board.text


async def test_progress_is_shown_and_a_cancel_ends_it(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here / "work/a", "x" * 1000)

    async def slow(link: object, load: object, progress: Callable[[int], None], *_: object) -> list[str]:
        progress(400)
        await asyncio.Event().wait()
        raise AssertionError("it was cancelled")

    monkeypatch.setattr("backend.sync.apply.carry", slow)
    async with synced(here, tmp_path) as (board, screen):
        await board.press("s")
        await board.until(lambda: "(40 %)" in said(screen))
        assert screen.hosts.rows[0].phase == "running"
        assert screen.check_action("start", ()) is False
        await board.press("ctrl+k")
        await ready(board, screen, "done")
        assert screen.hosts.rows[0].phase == "cancelled"
        assert not (there(here) / "a").exists()


async def test_two_hosts_side_by_side(here: Path, tmp_path: Path) -> None:
    write(here / "work/a", "x")
    async with dashboard(showcase(), tmp_path / "config", profiles=profiles(here)) as board:
        await board.press("1", "space", "j", "space", "y")
        await board.until(lambda: isinstance(board.app.screen, SyncScreen) and board.app.screen.is_mounted)
        screen = board.app.screen
        assert isinstance(screen, SyncScreen)
        await ready(board, screen)
        assert len(screen.hosts.rows) == 2
        await board.press("s")
        await ready(board, screen, "done")
        # they share one disk here: one of them is first, the other finds it done or taken
        assert (there(here) / "a").read_text() == "x"
        assert "done" in {row.phase for row in screen.hosts.rows}


async def test_read_only_has_no_sync(here: Path, tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path / "config", read_only=True, profiles=profiles(here)) as board:
        await board.press("1", "y")
        assert board.app.screen is board.app.desk


async def test_a_watch_goes_on_when_its_page_is_left_and_is_come_back_to(here: Path, tmp_path: Path) -> None:
    write(here / "work/a.py", "one")
    async with synced(here, tmp_path) as (board, screen):
        await board.press("w")
        await soon(board, lambda: "a.py" in screen.hosts.rows[0].said)
        assert screen.hosts.rows[0].phase == "watching" and (there(here) / "a.py").read_text() == "one"
        assert screen.check_action("start", ()) is False and screen.check_action("watch", ()) is False
        await board.press("escape")
        await soon(board, lambda: board.app.screen is board.app.desk)
        assert board.app.doing is not None
        (run,) = board.app.doing.runs.runs
        assert (run.state, run.row().title) == ("running", "watch push")
        write(here / "work/b.py", "two")
        await soon(board, (there(here) / "b.py").exists)
        await board.press("y")
        await soon(board, lambda: isinstance(board.app.screen, SyncScreen) and board.app.screen.is_mounted)
        again = board.app.screen
        assert isinstance(again, SyncScreen) and again.syncing is screen.syncing
        await soon(board, lambda: "b.py" in again.hosts.rows[0].said)
        await board.press("ctrl+k")
        await ready(board, again)
        assert run.state == "cancelled"
        await soon(board, lambda: any("cancelled" in each.message for each in board.app._notifications))
        write(here / "work/c.py", "three")
        await board.press("r")
        await ready(board, again)
        assert [row.path.rpartition("/")[2] for row in again.files.rows] == ["c.py"]
        assert not (there(here) / "c.py").exists()


def test_a_profile_that_names_the_hosts_is_what_they_are_synced_with() -> None:
    hosts = (HostConfig(name="a", host="a", tags=("lab",)), HostConfig(name="b", host="b"))
    push = (SyncRule(source="~/x", target="x"),)
    code = SyncProfile(name="code", rules=push, tags=("lab",), hosts=("b",))
    back = SyncProfile(
        name="back", rules=(SyncRule(source="y", target="~/y", direction="pull"),), hosts=("a", "b")
    )
    usual = SyncProfile(name="push", rules=push, hosts=("a", "b"), built_in=True)
    config = Config(directory=Path(), hosts=hosts, profiles=(code, back, usual))
    assert of_hosts(config, "push", ["a", "b"]) == "code" and of_hosts(config, "pull", ["b"]) == "back"
    assert of_hosts(config, "push", ["c"]) is None and of_hosts(config, "push", []) is None
    both = msgspec.structs.replace(
        config, profiles=(code, SyncProfile(name="more", rules=push, hosts=("b",)))
    )
    assert of_hosts(both, "push", ["b"]) is None, "which one is not said"
