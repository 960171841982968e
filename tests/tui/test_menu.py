"""The menu of all actions: what comes first, how typing narrows it, on every size of screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.widgets import OptionList

from backend.config import Settings
from backend.model import HostRow, HostState
from tests.tui.helpers import Board, dashboard
from tests.tui.test_doing import FakeEngine, on_containers, three
from tests.tui.test_keyboard import type_at_once
from tui import doing
from tui.desk import Desk
from tui.dialogs import Confirm
from tui.forms import Form
from tui.menu import Entry, Menu, _line, arranged


def entry(title: str, summary: str = "", *, key: str = "", common: bool = False, own: bool = True) -> Entry:
    return Entry(title.replace(" ", "-"), title, key, summary, danger=False, common=common, own=own)


ENTRIES = [
    entry("new context", "Write a new context.", own=False),
    entry("rename", "Give it a name."),
    entry("copy in", "Copy a file into the container."),
    entry("stop", "Stop the container.", key="s", common=True),
    entry("top", "Show processes.", key="T"),
]


def titles(typed: str = "") -> list[str]:
    return [each.title for each in arranged(ENTRIES, typed)]


def test_one_thing_is_offered_once() -> None:
    row = HostRow(name="box", address="10.0.0.1", state=HostState.UP)
    actions = (*doing.of_kind(HostRow), *doing.of_kind(None))
    offered = doing.menu(actions, [row], lambda action: "")
    for title in ("tunnel", "mount", "sync"):
        assert [each.own for each in offered if each.title == title] == [True], title
    whole = doing.menu(actions, [], lambda action: "")
    assert "tunnel" in [each.title for each in whole], "without a row the fleet's own is there"


def test_what_is_done_to_the_row_comes_first_common_things_before_others() -> None:
    assert titles() == ["stop", "top", "rename", "copy in", "new context"]


def test_titles_are_one_column_however_long_they_are() -> None:
    long = entry("a title that is a good deal too long", "What it means.", key="t")
    for wide in (18, 24):
        lines = {each: _line(each, wide).plain for each in (*ENTRIES, long)}
        assert {line.index(each.summary[:-1]) for each, line in lines.items()} == {wide + 9}
        assert ["…" in line for line in lines.values()] == [False] * len(ENTRIES) + [True]
    assert long.title in _line(long, 0).plain  # where nothing stands behind it


def test_typed_words_are_looked_for_in_titles_before_summaries() -> None:
    assert titles("to") == ["top", "stop", "copy in"]
    assert titles("file CONT") == ["copy in"]
    assert titles("ontext new") == ["new context"]
    assert titles("nothing") == []


async def opened(board: Board, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine = FakeEngine()
    await on_containers(board, monkeypatch, engine)
    await board.press("x")
    await board.until(lambda: isinstance(board.app.screen, Menu))
    return engine


async def test_typing_finds_an_action_and_enter_does_it(tmp_path: Path, monkeypatch) -> None:
    async with dashboard(three(), tmp_path) as board:
        await opened(board, monkeypatch)
        await board.press("r", "e", "s", "t")
        await board.until(lambda: "Bring a removed context" in board.text)
        shown = board.app.screen.query_one(OptionList)
        assert [option.id for option in shown.options] == ["restart", "context-restore"]
        await board.press("enter")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        assert "Restart one on h1?" in board.text


async def test_a_menu_typed_in_one_go_does_what_was_typed(tmp_path: Path, monkeypatch) -> None:
    async with dashboard(three(), tmp_path) as board:
        engine = FakeEngine()
        await on_containers(board, monkeypatch, engine)
        type_at_once(board, "xkill\r")
        await board.until(lambda: isinstance(board.app.screen, Form))
        await board.until(lambda: "Kill h1/one" in board.text)
        assert not engine.done, "it asks first"


async def test_arrows_move_and_escape_leaves(tmp_path: Path, monkeypatch) -> None:
    async with dashboard(three(), tmp_path) as board:
        engine = await opened(board, monkeypatch)
        shown = board.app.screen.query_one(OptionList)
        await board.press("down", "down", "up")
        assert shown.highlighted == 1
        await board.press("z", "z", "z", "enter")
        assert isinstance(board.app.screen, Menu)
        assert "Nothing is called like that." in board.text
        await board.press("escape")
        await board.until(lambda: isinstance(board.app.screen, Desk))
        assert not engine.done


@pytest.mark.parametrize("size", [(40, 20), (80, 24), (300, 80)])
async def test_each_action_is_one_line_and_the_chosen_one_is_explained(
    tmp_path: Path, monkeypatch, size: tuple[int, int]
) -> None:
    async with dashboard(three(), tmp_path, size=size) as board:
        await opened(board, monkeypatch)
        await board.press("p", "a", "u", "s")
        await board.until(lambda: "keep their memory" in board.text.replace("│", " "))
        assert sum("pause" in line for line in board.text.splitlines()) == 1


async def test_the_menu_writes_keys_as_they_were_remapped(tmp_path: Path, monkeypatch) -> None:
    async with dashboard(three(), tmp_path, settings=Settings(keys={"pause": ("f6",), "stop": ()})) as board:
        await opened(board, monkeypatch)
        assert re.search(r"pause +f6 ", board.text)
        assert re.search(r"stop +Stop the container", board.text)
