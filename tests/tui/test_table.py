"""The table: the cursor stays on its row, only what is visible is drawn, the header sorts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tui import table as table_module
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.table import FleetTable

DRAWN: list[str] = []
"""Names of rows whose cells were asked for."""


@dataclass(frozen=True)
class Row:
    name: str
    value: int | None = 0


def _name(row: Row) -> Cell:
    DRAWN.append(row.name)
    return ((row.name, ""),)


COLUMNS = (
    Column("name", "NAME", 12, _name, text=lambda r: r.name, grow=1),
    Column("value", "VALUE", 6, lambda r: ((str(r.value), ""),), lambda r: r.value, align="right"),
    Column("note", "NOTE", 30, lambda r: (("note", "dim"),), priority=1),
)


class TableApp(App[None]):
    def __init__(self, rows: list[Row], **more: Any) -> None:
        super().__init__()
        self.rows, self.more = rows, more
        self.opened: list[str] = []

    def compose(self) -> ComposeResult:
        table: FleetTable = FleetTable(COLUMNS, key=lambda row: row.name, **self.more)
        table.styles.height = "1fr"
        yield table

    def on_mount(self) -> None:
        self.table.focus()
        self.table.set_rows(self.rows)

    def on_fleet_table_opened(self, event: FleetTable.Opened) -> None:
        self.opened.append(event.row.name)

    @property
    def table(self) -> FleetTable:
        return self.query_one(FleetTable)

    @property
    def names(self) -> list[str]:
        return [row.name for row in self.table.rows]

    @property
    def selected(self) -> str | None:
        return self.table.row.name if self.table.row else None


def rows_of(count: int, prefix: str = "row") -> list[Row]:
    return [Row(f"{prefix}-{number:05}", number) for number in range(count)]


def lines(app: App[Any]) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


def cursor_line(app: TableApp) -> int:
    """Line of the screen that the cursor is on."""
    return app.table.cursor - app.table.scroll_offset.y


@pytest.fixture
def no_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows may move at once after a key."""
    monkeypatch.setattr(table_module, "HOLD", 0.0)


async def test_keys_move_the_cursor() -> None:
    app = TableApp(rows_of(100))
    async with app.run_test(size=(80, 20)) as pilot:
        for keys, expected in (
            (["j", "j", "down"], 3),
            (["k", "up"], 1),
            (["G"], 99),
            (["k", "home"], 0),
            (["pagedown"], 18),
            (["ctrl+f", "ctrl+b"], 18),
            (["pageup", "pageup"], 0),
            (["end", "j"], 99),
            (["g", "k"], 0),
        ):
            await pilot.press(*keys)
            assert app.table.cursor == expected, keys
            assert 0 <= cursor_line(app) < 19


async def test_the_cursor_stays_on_its_row_when_rows_come_above(no_hold: None) -> None:
    app = TableApp(rows_of(10))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.press("j", "j")
        app.table.set_rows([*rows_of(5, "above"), *rows_of(10)])
        await pilot.pause()
        assert app.selected == "row-00002"
        assert app.table.cursor == 7


async def test_a_scrolled_table_stands_still_when_rows_come_above(no_hold: None) -> None:
    app = TableApp(rows_of(100))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.press("G", "k", "k")
        line = cursor_line(app)
        app.table.set_rows([*rows_of(5, "above"), *rows_of(100)])
        await pilot.pause()
        assert app.selected == "row-00097"
        assert cursor_line(app) == line


async def test_until_a_key_is_pressed_the_cursor_is_on_what_is_most_important() -> None:
    app = TableApp(rows_of(3))
    async with app.run_test(size=(80, 20)) as pilot:
        app.table.set_rows([Row("problem"), *rows_of(3)])
        await pilot.pause()
        assert app.selected == "problem"


async def test_a_row_that_goes_leaves_the_cursor_in_its_place(no_hold: None) -> None:
    app = TableApp(rows_of(5))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.press("j", "j")
        app.table.set_rows([row for row in rows_of(5) if row.value != 2])
        await pilot.pause()
        assert app.selected == "row-00003"
        app.table.set_rows([])
        await pilot.pause()
        assert app.selected is None
        await pilot.press("j", "k", "G", "space", "enter", "pagedown")
        assert app.opened == []


async def test_nothing_moves_right_after_a_key_but_values_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "HOLD", 0.2)
    clock = [0.0]
    monkeypatch.setattr(table_module, "monotonic", lambda: clock[0])
    app = TableApp([Row("a", 1), Row("b", 2), Row("c", 3)])
    async with app.run_test(size=(80, 20)) as pilot:
        app.table.sort_by(COLUMNS[1])
        await pilot.press("j")
        app.table.set_rows([Row("a", 9), Row("b", 2), Row("c", 3)])
        assert app.names == ["a", "b", "c"]
        await pilot.pause()
        assert "9" in lines(app)[1]
        clock[0] = 1.0
        for _ in range(200):
            if app.names == ["b", "c", "a"]:
                break
            await pilot.pause(0.01)
        assert app.names == ["b", "c", "a"]
        assert app.selected == "b"


async def test_ten_thousand_rows_draw_only_visible_lines() -> None:
    app = TableApp(rows_of(10_000))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.pause()
        DRAWN.clear()
        await pilot.press("pagedown", "pagedown", "G", "k", "g")
        await pilot.pause()
        assert len(set(DRAWN)) <= 5 * 20
        assert len(DRAWN) <= 10 * 20
        DRAWN.clear()
        await pilot.press("j")
        await pilot.pause()
        assert len(DRAWN) <= 4, "a step draws the line it leaves and the line it comes to"


async def test_a_refresh_redraws_only_lines_that_say_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    app = TableApp(rows_of(1000))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.pause()
        refreshed: list[int] = []
        monkeypatch.setattr(app.table, "refresh_line", refreshed.append)
        changed = [
            replace(row, value=-1) if row.name in ("row-00003", "row-00500") else row for row in rows_of(1000)
        ]
        app.table.set_rows(changed)
        assert refreshed == [4], "line 3 under the header; line 500 is not visible"
        await pilot.pause()


async def test_a_row_that_changed_while_out_of_sight_is_shown_as_it_is() -> None:
    app = TableApp(rows_of(100))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.press("G")
        await pilot.pause()
        await pilot.press("g")
        app.table.set_rows([replace(row, value=777) if row.value == 99 else row for row in rows_of(100)])
        await pilot.press("G")
        await pilot.pause()
        assert "777" in lines(app)[-1]


async def test_a_click_on_the_header_sorts_and_the_second_turns_it_round() -> None:
    app = TableApp([Row("b", 2), Row("a", None), Row("c", 3)])
    async with app.run_test(size=(80, 20)) as pilot:
        x = lines(app)[0].index("VALUE")
        await pilot.click(FleetTable, offset=(x, 0))
        assert app.names == ["c", "b", "a"]
        assert "VALUE▼" in lines(app)[0]
        await pilot.pause(0.6)  # not a double click
        await pilot.click(FleetTable, offset=(x, 0))
        assert app.names == ["b", "c", "a"]
        assert "VALUE▲" in lines(app)[0]


async def test_clicks_move_mark_and_open() -> None:
    app = TableApp(rows_of(10))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.click(FleetTable, offset=(5, 4))
        assert app.selected == "row-00003"
        await pilot.click(FleetTable, offset=(5, 6), control=True)
        assert app.table.marks == {"row-00005"}
        await pilot.click(FleetTable, offset=(5, 3), times=2)
        assert app.opened == ["row-00002"]
        await pilot.click(FleetTable, offset=(5, 15))
        assert app.selected == "row-00002"


async def test_marks_are_targets_and_go_with_their_rows(no_hold: None) -> None:
    app = TableApp(rows_of(5))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.press("space", "j", "j", "space")
        assert [row.name for row in app.table.targets()] == ["row-00000", "row-00002"]
        await pilot.pause()
        assert lines(app)[1].startswith("●")
        app.table.set_rows(rows_of(2))
        assert [row.name for row in app.table.targets()] == ["row-00000"]
        await pilot.press("asterisk")
        assert len(app.table.targets()) == 2
        await pilot.press("asterisk")
        assert app.table.marks == set()
        assert [row.name for row in app.table.targets()] == [app.selected]


async def test_a_filter_takes_marks_of_hidden_rows_with_it() -> None:
    app = TableApp(rows_of(5))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.press("asterisk")
        app.table.set_filter(lambda row: row.value < 2)
        assert [row.name for row in app.table.targets()] == ["row-00000", "row-00001"]


async def test_columns_that_do_not_fit_go_and_then_the_line_scrolls() -> None:
    app = TableApp(rows_of(3))
    async with app.run_test(size=(80, 10)) as pilot:
        assert "NOTE" in lines(app)[0]
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        assert "NOTE" not in lines(app)[0]
        await pilot.resize_terminal(16, 10)
        await pilot.pause()
        assert "VALUE" not in lines(app)[0]
        await pilot.press("right")
        await pilot.pause()
        assert "VALUE" in lines(app)[0]


async def test_a_note_stands_in_place_of_values() -> None:
    look = Look("", "bad", (("it is broken", ""),))
    app = TableApp(rows_of(2), look=lambda row: look if row.value else Look(), note_after="name")
    async with app.run_test(size=(80, 10)):
        first, second = lines(app)[1:3]
        assert "note" in first
        assert second.startswith("! row-00001")
        assert "it is broken" in second
        assert "note" not in second


async def resize(pilot: Pilot[Any], width: int, height: int) -> None:
    await pilot.resize_terminal(width, height)
    await pilot.pause()


async def test_any_size_down_to_one_cell_and_back() -> None:
    app = TableApp(rows_of(50))
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.press("G")
        for size in ((1, 1), (2, 2), (3, 40), (200, 1), (80, 20)):
            await resize(pilot, *size)
        assert app.selected == "row-00049"
        assert "row-00049" in "\n".join(lines(app))
