"""The wall on panes that a test hands over: what is looked at, drawn, zoomed, watched; nothing breaks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from backend.model import FleetState, HostSnapshot, HostState, TmuxPane, TmuxSession
from backend.wire import PaneChange
from tests.tui.fakes import FakeFleet, config_of, host, state_of
from tests.tui.helpers import Board
from tui.app import BerthApp
from tui.wall import grid, sgr
from tui.wall.header import Summary, WallHeader
from tui.wall.screen import WallScreen
from tui.wall.tile import Tile
from tui.wall.watchman import Watchman

SOCKET = "/tmp/tmux-1000/default"


class PaneFleet(FakeFleet):
    """A fleet whose panes show what a test says."""

    def __init__(self, state: FleetState) -> None:
        super().__init__(state)
        self.on_pane = lambda host, change: None
        self.watched: dict[str, list[str]] = {}
        self.number = 0

    def watch_panes(self, name, panes) -> None:
        self.watched[name] = [pane for _, pane, _ in panes]

    def show(self, name: str, pane: str, *rows: str, **more) -> None:
        self.number += 1
        lines = dict(enumerate(rows))
        self.on_pane(name, PaneChange(SOCKET, pane, self.number, width=80, height=24, lines=lines, **more))


def session(number: int, *, panes: int = 1, name: str = "") -> TmuxSession:
    return TmuxSession(
        id=f"${number}",
        name=name or f"s{number}",
        user="alice",
        socket=SOCKET,
        attached=0,
        windows=1,
        activity_at=datetime.now(UTC) - timedelta(minutes=5),
        panes=tuple(
            TmuxPane(id=f"%{number * 10 + place}", window=0, window_name="w", index=place, command="vim")
            for place in range(panes)
        ),
    )


def hosts(*counts: int) -> list[HostSnapshot]:
    return [
        host(f"h{place}", sessions=tuple(session(number) for number in range(count)))
        for place, count in enumerate(counts)
    ]


@asynccontextmanager
async def wall(
    tmp_path: Path, snapshots: list[HostSnapshot], size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[Board, PaneFleet, WallScreen]]:
    state = state_of(snapshots)
    fleet = PaneFleet(state)
    app = BerthApp(config_of(state, tmp_path), fleet_factory=lambda _: fleet)
    async with app.run_test(size=size, notifications=True) as pilot:
        board = Board(app, pilot, fleet)
        await board.until(lambda: app.desk.live and app.desk.query("#detail-pane"))
        await board.press("7")
        await board.until(lambda: app.desk.view.NAME == "sessions" and app.desk.table.rows)
        await board.press("w")
        await board.until(lambda: isinstance(app.screen, WallScreen) and app.screen.query(Tile))
        await pilot.pause()
        yield board, fleet, app.screen


async def test_panes_are_shown_side_by_side_and_only_they_are_captured(tmp_path: Path) -> None:
    async with wall(tmp_path, hosts(2, 1)) as (board, fleet, _screen):
        assert fleet.watched == {"h0": ["%0", "%10"], "h1": ["%0"]}
        assert board.text.count("waiting for its picture") == 3
        fleet.show("h0", "%10", "\x1b[31mstep 7", "\x1b[0mdone")
        await board.until(lambda: "step 7" in board.text and "done" in board.text)
        assert board.text.count("waiting for its picture") == 2
        assert "h0 s1" in board.text and "vim" in board.text and "idle 5 m" in board.text
        await board.press("escape")
        await board.until(lambda: board.app.screen is board.app.desk)
        assert fleet.watched == {"h0": [], "h1": []}


async def test_marked_sessions_only(tmp_path: Path) -> None:
    async with wall(tmp_path, hosts(3)) as (board, fleet, _screen):
        await board.press("escape")
        await board.until(lambda: board.app.screen is board.app.desk)
        await board.press("space", "w")
        await board.until(lambda: isinstance(board.app.screen, WallScreen) and fleet.watched["h0"])
        assert fleet.watched == {"h0": ["%0"]}


async def test_zoom_captures_one_and_pages_turn(tmp_path: Path) -> None:
    async with wall(tmp_path, hosts(9), (80, 24)) as (board, fleet, screen):
        shown = fleet.watched["h0"]
        assert 1 <= len(shown) <= 2
        await board.press("n")
        assert not set(fleet.watched["h0"]) & set(shown)
        await board.press("p", "right", "z")
        assert fleet.watched["h0"] == ["%10"]
        fleet.show("h0", "%10", "zoomed in")
        await board.until(lambda: "zoomed in" in board.text)
        assert len(screen.query(Tile)) == 1
        await board.press("escape")
        await board.until(lambda: fleet.watched["h0"] == shown)
        assert board.app.screen is screen


async def test_many_tiles_on_a_large_screen_and_none_on_a_tiny_one(tmp_path: Path) -> None:
    async with wall(tmp_path, hosts(12, 12), (300, 80)) as (board, fleet, screen):
        assert len(fleet.watched["h0"]) == len(fleet.watched["h1"]) == 12
        tiles = [tile for tile in screen.query(Tile) if tile.key is not None]
        assert all(tile.size.width >= 40 and tile.size.height >= 10 for tile in tiles)
        await board.pilot.resize_terminal(1, 1)
        await board.pilot.resize_terminal(100, 30)
        fleet.show("h0", fleet.watched["h0"][0], "still here")
        await board.until(lambda: "still here" in board.text)


async def test_a_host_that_is_away_is_greyed_and_comes_back_by_itself(tmp_path: Path) -> None:
    up = hosts(1, 1)
    async with wall(tmp_path, up) as (board, fleet, _screen):
        fleet.show("h0", "%0", "before")
        await board.until(lambda: "before" in board.text)
        away = msgspec.structs.replace(
            up[0], state=HostState.DOWN, seen_at=datetime.now(UTC) - timedelta(minutes=9)
        )
        fleet.publish(state_of([away, up[1]], revision=2))
        await board.until(lambda: "h0 is away, seen 9 m ago" in board.text)
        assert "before" in board.text and fleet.watched["h0"] == []
        fleet.publish(state_of(up, revision=3))
        await board.until(lambda: "away" not in board.text and fleet.watched["h0"] == ["%0"])


async def test_sessions_that_end_stay_as_they_were(tmp_path: Path) -> None:
    async with wall(tmp_path, hosts(2)) as (board, fleet, _screen):
        fleet.show("h0", "%0", "last words")
        await board.until(lambda: "last words" in board.text)
        fleet.on_pane("h0", PaneChange(SOCKET, "%0", 99, gone=True))
        await board.until(lambda: " ended " in board.text)
        fleet.publish(state_of([host("h0", sessions=(session(1),))], revision=2))
        await board.until(lambda: board.app.sources.state.revision == 2)
        assert "last words" in board.text


async def test_attach_is_asked_of_the_right_session(tmp_path: Path) -> None:
    async with wall(tmp_path, hosts(3)) as (board, _fleet, screen):
        wanted = []
        screen._give_terminal = wanted.append
        await board.press("l", "a")
        assert [row.name for row in wanted] == ["s1"]


async def test_watching_tells_of_a_match_on_the_wall_and_in_the_list(tmp_path: Path) -> None:
    async with wall(tmp_path, hosts(2)) as (board, fleet, screen):
        bells = []
        board.app.bell = lambda: bells.append(1)
        await board.press("exclamation_mark")
        await board.until(lambda: board.app.focused is not None and board.app.focused.id == "f-silence")
        await board.press("enter")
        await board.type("loss=nan")
        await board.press("enter")
        await board.until(lambda: board.app.screen is screen and "watched" in board.text)
        fleet.show("h0", "%0", "loss=1")
        fleet.show("h0", "%0", "loss=1", "\x1b[31mloss=NaN")
        await board.until(lambda: "▲ wrote: loss=NaN" in board.text)
        assert bells
        await board.press("escape")
        await board.until(lambda: board.app.screen is board.app.desk)
        await board.until(lambda: "▲ s0 wrote" in board.text)
        assert fleet.watched["h0"] == ["%0"]  # its pattern is waited for while the wall is closed
        watchman = Watchman.of(board.app)
        watchman.unwatch(next(iter(watchman.alarms.watches)))
        await board.until(lambda: fleet.watched["h0"] == [])


HOSTILE = [
    "\x1b[2J\x1b[H\x1b]0;title\x07\x1b[?1049l\x1b[31mred[bold]markup[/]",
    "\x1bP$q\x1b\\\x9b31m\x90\x07\x08\r\t\x00\u202e\u200b\ud7ff\ue000",
    "\x1b[38;2;1;2m\x1b[48;5;999m\x1b[999999999999m\x1b[;;;;m\x1b[:m\x1b[4:3mx",
    "\u0e33\u0301" * 50 + "漢字" * 80 + "👩‍👩‍👧🏽" * 20,
]


@pytest.mark.parametrize("size", [(80, 24), (41, 12), (300, 80)])
async def test_nothing_that_a_pane_shows_breaks_the_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    evil = host("h0", sessions=(session(0, panes=2, name="\x1b[2J[red]$(x)\n漢"),))
    async with wall(tmp_path, [evil], size) as (board, fleet, _screen):
        for cursor in (None, (0, 0), (5, 3), (9999, 9999)):
            fleet.show("h0", "%0", *HOSTILE, cursor=cursor)
            await board.pilot.pause()
            await asyncio.sleep(0)
            lines = board.text.split("\n")
            assert {cell_len(line) for line in lines} == {size[0]}
            assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for line in lines for char in line)


@given(
    st.lists(st.text(max_size=40) | st.text("\x1b[]0123456789;:mHJ\x0e\x0f\x07ab", max_size=40), max_size=6)
)
def test_any_text_becomes_harmless(rows: list[str]) -> None:
    pen = sgr.START
    for row in rows:
        runs, pen = sgr.decode(row, pen)
        for text, style in runs:
            assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text)
            assert not (style.blink or style.conceal or style.link)


def test_colours_go_on_to_the_next_row_and_lines_are_drawn() -> None:
    first, pen = sgr.decode("plain \x1b[1;31mred\x1b[38;5;208m orange\x1b[48;2;1;2;3m")
    assert [text for text, _ in first] == ["plain ", "red", " orange"]
    assert first[1][1].bold and first[1][1].color.number == 1 and first[2][1].color.number == 208
    (run,), pen = sgr.decode("next", pen)
    assert run[1].bgcolor.triplet == (1, 2, 3) and run[1].color.number == 208
    assert sgr.decode("\x1b[m\x0elqk\x0fx", pen)[0][0][0] == "┌─┐"
    assert sgr.decode("\x1b[1mb\x1b[22;7mr\x1b[0mn", sgr.START)[0][1][1].reverse


@pytest.mark.parametrize("width", [1, 39, 80, 160, 300])
@pytest.mark.parametrize("height", [1, 11, 22, 46, 78])
def test_grids_fit(width: int, height: int) -> None:
    for panes in range(1, 60):
        found = grid.grid(width, height, panes)
        assert found == (1, 1) or (
            width // found.columns >= (grid.WIDTH if found.columns > 1 else 1)
            and height // found.rows >= (grid.HEIGHT if found.rows > 1 else 1)
        )
        assert found.tiles <= max(1, grid.MOST)
        for place in range(found.tiles):
            for key in ("left", "right", "up", "down"):
                assert 0 <= grid.move(place, key, found, found.tiles) < found.tiles


@pytest.mark.parametrize(("panes", "said"), [(1, "1 pane · 1 host"), (2, "2 panes · 1 host")])
def test_the_wall_counts_its_panes_as_people_say_it(panes: int, said: str) -> None:
    header = WallHeader(id="wall-header")
    header._summary = Summary(panes=panes, hosts=1)
    assert said in "".join(text for text, *_ in header.spans(80)[1])
