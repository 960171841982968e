"""How much is done for one key, counted: neither a large fleet nor what it tells meanwhile makes it more."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.drivers.linux_driver import LinuxDriver
from textual.screen import Screen

from backend.history import History
from backend.imagelines import Lines
from backend.imagerows import NO_RECIPES
from backend.model import ImageRow
from backend.rows import RowBuilder
from tests.tui.fakes import container, host, state_of
from tests.tui.helpers import Board, dashboard
from tui.canvas import Canvas
from tui.courtesy import JUST, WAITS, Courtesy
from tui.desk import Desk
from tui.detail import DetailPane
from tui.driver import PromptDriver
from tui.rowset import RowSet
from tui.views.containers import ContainersView

FLEET = state_of(
    host(f"h{number:02d}", [container(f"c{each}", number=10 * number + each) for each in range(10)])
    for number in range(30)
)
WIDE = (160, 40)


def count(monkeypatch: pytest.MonkeyPatch, *methods: tuple[type, str]) -> Counter[str]:
    """Calls of these methods from now on, by their names."""
    calls: Counter[str] = Counter()

    def replaced(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, called)

    for owner, name in methods:
        replaced(owner, name)
    return calls


async def test_a_move_of_the_cursor_draws_two_lines_and_sorts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dashboard(FLEET, tmp_path, size=WIDE) as board:
        await board.press("3", "j")
        for _ in board.app.sources.builder.warm(FLEET):
            pass  # what is prepared for other views has nothing to do with the key
        calls = count(monkeypatch, (Canvas, "_draw"), (RowSet, "_arrange"), (RowBuilder, "_container_rows"))
        before = board.app.desk.table.cursor
        await board.press("j")
        await board.until(lambda: board.app.desk.table.cursor == before + 1 and calls)
        assert calls == {"_draw": 2}


async def test_a_view_that_is_shown_again_draws_no_line_that_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dashboard(FLEET, tmp_path, size=WIDE) as board:
        await board.press("3", "1")
        calls = count(monkeypatch, (Canvas, "_draw"), (Canvas, "_draw_header"))
        await board.press("3")
        assert board.app.desk.view.NAME == "containers"
        assert calls["_draw"] <= 2, "at most the cursor's line, without and with the focus"
        assert not calls["_draw_header"]


async def test_another_view_is_painted_once_and_the_focus_repaints_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dashboard(FLEET, tmp_path, size=WIDE) as board:
        await board.press("3", "1")
        await rest(board)
        whole: list[bool] = []
        original = Screen._compositor_refresh

        def paint(screen: Screen[Any]) -> None:
            whole.append(screen.size.region in screen._compositor._dirty_regions)
            original(screen)

        monkeypatch.setattr(Screen, "_compositor_refresh", paint)
        await board.press("3")
        assert whole
        assert not any(whole), "the whole screen was painted, also what stayed as it was"


async def rest(board: Board) -> None:
    """Wait until the details are drawn."""
    pane: Any = board.app.desk.query_one("#detail-pane")
    await board.until(lambda: pane._drawn is not None and not pane._curves)
    await board.pilot.pause()


async def test_what_can_be_done_is_worked_out_once_for_all_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dashboard(FLEET, tmp_path, size=WIDE) as board:
        await board.until(lambda: board.app.desk.can_act)
        await board.press("3")
        calls = count(monkeypatch, (Desk, "actions"))
        keys = board.app.desk.active_bindings
        assert sum(each.binding.action.startswith("screen.do(") for each in keys.values()) > 5
        assert calls == {"actions": 1}


def test_a_frame_is_handed_to_the_writer_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(LinuxDriver, "write", lambda _driver, data: written.append(data))
    driver = PromptDriver.__new__(PromptDriver)
    for piece in ("\a", SYNC_START, "one", "two", SYNC_END, "\a", SYNC_START, "three", SYNC_END):
        driver.write(piece)
    assert written == ["\a", f"{SYNC_START}onetwo{SYNC_END}", "\a", f"{SYNC_START}three{SYNC_END}"]


# --------------------------------------------------------------------------- what a new state costs


def test_only_rows_that_are_new_objects_are_asked_for_their_value_and_each_kind_once_for_its_rank() -> None:
    builder = RowBuilder()
    rows = builder.containers(FLEET)
    ranked, valued = [], []
    made: RowSet[Any] = RowSet(
        ContainersView.KEY, lambda row: ranked.append(row) or 0, ContainersView.RANKED_BY
    )
    made.update(rows)
    assert len(rows) == 300
    assert len(ranked) == 1
    made.sort(lambda row: valued.append(row) or row.cpu_percent)
    assert len(valued) == 300
    changed = [replace(row, cpu_percent=99.0) if row.host == "h07" else row for row in rows]
    made.update(changed)
    assert [row.host for row in valued[300:]] == ["h07"] * 10
    assert [row.host for row in made.rows[-10:]] == ["h07"] * 10
    assert len(ranked) == 1


def test_only_lines_of_images_that_changed_are_made_again() -> None:
    rows = [
        ImageRow(host=f"h{number}", id=f"{name:064x}", name=f"image{name}:1", tags=(f"image{name}:1",))
        for number in range(20)
        for name in range(50)
    ]
    lines = Lines()
    before = lines.of(rows, NO_RECIPES)
    assert lines.made == len(before) == 50
    assert lines.of(list(rows), NO_RECIPES) is before
    rows = [*rows]
    rows[7] = replace(rows[7], used_by=("container web",))
    after = lines.of(rows, NO_RECIPES)
    assert lines.made == 51
    assert [line.name for old, line in zip(before, after, strict=True) if old is not line] == ["image7:1"]
    assert after == Lines().of(rows, NO_RECIPES)
    gone = [row for row in rows if row.name != "image9:1"]
    assert lines.of(gone, NO_RECIPES) == Lines().of(gone, NO_RECIPES)


def test_a_new_state_is_taken_in_host_by_host() -> None:
    history, builder = History(), RowBuilder()
    assert len(list(history.feeding(FLEET))) == 30
    assert len(list(builder.warm(FLEET))) >= 30
    h07 = replace(FLEET.hosts["h07"], revision=5, usage={})
    later = replace(FLEET, hosts={**FLEET.hosts, "h07": h07}, revision=2)
    assert len(list(history.feeding(later))) == 1


# -------------------------------------------------------------------------------------- keys go first


async def test_work_in_steps_lets_others_have_a_turn_and_waits_for_a_key_but_not_for_ever() -> None:
    now = 100.0
    courtesy = Courtesy(lambda: now)
    done: list[int] = []
    between: list[int] = []

    async def somebody() -> None:
        while len(done) < 5:
            between.append(len(done))
            await asyncio.sleep(0)

    other = asyncio.create_task(somebody())
    await courtesy.begin()
    await courtesy.steps(done.append(number) for number in range(5))
    await other
    assert set(between) >= {1, 2, 3, 4}, "nobody had a turn between two steps"

    courtesy.key_pressed()
    waits = 0
    original = asyncio.sleep

    async def sleep(seconds: float) -> None:
        nonlocal waits
        waits += seconds > 0
        await original(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        await courtesy.begin()
        await courtesy.steps(done.append(number) for number in range(5))
        assert waits == WAITS, "a key that is held down stops the numbers"
        now += 2 * JUST
        await courtesy.begin()
        assert waits == WAITS


async def test_a_title_of_the_details_that_stays_is_not_set_again(tmp_path: Path) -> None:
    """Each title paints the whole pane again."""
    async with dashboard(FLEET, tmp_path, size=WIDE) as board:
        await rest(board)
        pane = board.app.desk.query_one("#detail-pane", DetailPane)
        await board.until(lambda: str(pane._border_title).endswith("up"))
        told, before = board.app.sources.state.hosts[board.selected], pane._border_title
        assert before is not None
        later = replace(told, revision=told.revision + 1, latency_ms=77.0)
        await board.publish(replace(FLEET, hosts={**FLEET.hosts, told.name: later}, revision=2))
        await board.until(lambda: "77 ms" in pane.text)
        assert pane._border_title is before
