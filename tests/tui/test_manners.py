"""What is said on every size of screen: what narrows a list, which keys do something, ticks, toasts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.widgets import Checkbox, Input, Static

from backend.model import GpuReport
from tests.tui.fakes import NOW, container, contexts, down, gpu, host, showcase, state_of
from tests.tui.helpers import dashboard
from tests.tui.test_doing import three
from tui.dialogs import Confirm
from tui.forms import Form
from tui.header import KeyBar
from tui.menu import Menu
from tui.views import LISTED

NARROW = (40, 20)
FLEET = state_of([host("h1", [container("web"), container("db", number=1)]), host("h2")])


def footer(text: str) -> str:
    return text.splitlines()[-1]


@pytest.mark.parametrize("size", [NARROW, (80, 24), (120, 40)])
async def test_what_narrows_a_list_is_said_on_every_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    async with dashboard(FLEET, tmp_path, size=size) as board:
        await board.press("3", "slash", "w", "e", "enter")
        await board.until(lambda: "/ we" in board.text)
        assert "1 of 2" in board.text
        await board.press("space")
        await board.until(lambda: "● 1 marked" in board.text)
        await board.press("escape", "escape", "1", "greater_than_sign")
        await board.until(lambda: "@h1" in board.text)
        assert "/ we" not in board.text
        await board.press("escape")
        await board.until(lambda: "@h1" not in board.text)


async def test_a_narrow_list_that_shows_all_keeps_its_last_line_for_rows(tmp_path: Path) -> None:
    many = state_of([host("h1", [container(f"c{number}", number=number) for number in range(40)])])
    async with dashboard(many, tmp_path, size=NARROW) as board:
        await board.press("3")
        await board.until(lambda: sum(" h1 " in line for line in board.text.splitlines()) == 18)
        assert "40" not in footer(board.text)


async def test_every_screen_says_how_to_get_at_all_that_can_be_done(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path, size=NARROW) as board:
        await board.until(lambda: board.app.doing is not None)
        for view in LISTED:
            await board.press(str(view.number))
            await board.until(lambda: "x actions" in footer(board.text))
            assert ": go" in footer(board.text)
            assert "? help" in footer(board.text)


async def test_the_footer_is_the_rows_own_below_a_dialog_and_after_it(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("3")
        await board.until(lambda: "s stop" in footer(board.text))
        assert "S start" not in footer(board.text)
        await board.press("x")
        await board.until(lambda: isinstance(board.app.screen, Menu))
        assert "S start" not in footer(board.text)
        await board.publish(replace(board.fleet.state, revision=2))
        board.app.desk.refresh_bindings()
        assert "S start" not in footer(board.text)
        await board.press("escape")
        await board.until(lambda: "s stop" in footer(board.text))
        assert "S start" not in footer(board.text)


async def test_help_has_no_words_but_ours(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(120, 200)) as board:
        await board.press("2", "question_mark")
        for textuals in ("Focus Next", "Page Left", "Copy selected text", "Palette", "super+c"):
            assert textuals not in board.text
        assert "To the next part of the screen" in board.text
        await board.press("escape", "enter", "question_mark")
        await board.until(lambda: "Scroll down" in board.text)
        assert "Scroll Left" not in board.text


async def test_ticks_differ_without_colours(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("vertical_line")
        await board.until(lambda: "[x] HOST" in board.text)
        assert "[ ] ENGINE" in board.text
        await board.press("space")
        await board.until(lambda: "[ ] HOST" in board.text)
        await board.press("escape")


async def test_yes_and_no_of_a_form_differ_without_colours(tmp_path: Path) -> None:
    from backend.actions.registry import Action, Option, Param
    from backend.model import HostRow

    async def nothing() -> None:
        """Nothing."""

    ask = Param("force", bool, False, Option("at once"))
    action = Action("a", HostRow, (), "a", "What it does.", "", nothing, (ask,))
    async with dashboard(FLEET, tmp_path) as board:
        form = Form("A form", action)
        board.app.push_screen(form)
        await board.until(lambda: "[ ] force: at once" in board.text)
        form.query_one(Checkbox).focus()
        await board.press("space")
        await board.until(lambda: "[x] force: at once" in board.text)
        assert form.query_one(Checkbox).value is True


async def test_enter_in_a_form_goes_on_and_changes_no_tick(tmp_path: Path) -> None:
    from backend.actions.registry import Action, Option, Param
    from backend.model import HostRow

    async def nothing() -> None:
        """Nothing."""

    asks = tuple(Param(name, bool, False, Option(name)) for name in ("one", "two"))
    action = Action("a", HostRow, (), "a", "What it does.", "", nothing, asks)
    async with dashboard(FLEET, tmp_path) as board:
        form = Form("A form", action)
        board.app.push_screen(form)
        await board.until(lambda: "[ ] two: two" in board.text)
        first, second = form.query(Checkbox)
        first.focus()
        await board.until(lambda: form.focused is first)
        await board.press("enter")
        await board.until(lambda: form.focused is second)
        await board.press("enter")
        await board.until(lambda: form.focused is not None and form.focused.id == "yes")
        assert not first.value and not second.value


async def test_the_same_toast_again_is_counted(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        for _ in range(7):
            board.app.report(RuntimeError("a [bug]"))
        board.app.report(RuntimeError("another"))
        await board.until(lambda: "Bug in berth (7 times)" in board.text)
        assert board.text.count("RuntimeError: a [bug]") == 1
        assert board.text.count("RuntimeError: another") == 1
        assert len(board.app._notifications) == 2


async def test_a_toast_that_is_gone_is_told_again(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        board.app.notify("once", timeout=0.01)
        await asyncio.sleep(0.05)
        board.app.notify("once")
        await board.until(lambda: "once" in board.text)
        assert "times" not in board.text


async def test_a_host_without_gpus_says_so_once(tmp_path: Path) -> None:
    state = state_of([host("h1"), host("h2", gpu_report=GpuReport(gpus=(gpu(0, 0, 0),)))])
    async with dashboard(state, tmp_path, size=(130, 20)) as board:
        line = next(line for line in board.text.splitlines() if "│  h1 " in line)
        assert line.count("none") == 1
        assert "1/1" in board.text


async def test_sessions_of_one_name_are_told_apart(tmp_path: Path) -> None:
    full = next(iter(showcase().hosts.values()))
    work = replace(full.sessions[0], name="work", user="alice", socket="/tmp/tmux-1000/default")
    other = replace(work, socket="/tmp/tmux-1000/second")
    bobs = replace(work, user="bob", socket="/tmp/tmux-1001/default")
    async with dashboard(state_of([host("h1", sessions=(work, other))]), tmp_path) as board:
        await board.press("7")
        await board.until(lambda: "work (default)" in board.text)
        assert "work (second)" in board.text
        await board.publish(state_of([host("h1", sessions=(work, bobs))], revision=2))
        await board.until(lambda: "work (bob)" in board.text)
        await board.publish(state_of([host("h1", sessions=(work, other, bobs))], revision=3))
        await board.until(lambda: "work (alice second)" in board.text)
        await board.publish(
            state_of([host("h1", sessions=(work,)), host("h2", sessions=(bobs,))], revision=4)
        )
        await board.until(
            lambda: "(" not in "".join(line for line in board.text.splitlines() if "work" in line)
        )


async def test_what_was_not_told_yet_is_not_called_none(tmp_path: Path) -> None:
    untold = host("h1", gpu_report=GpuReport(gpus=(gpu(0, 0, 40),)), told=frozenset({"gpus"}))
    told = replace(untold, told=frozenset({"gpus", "processes", "tmux"}), revision=2)
    async with dashboard(state_of([untold]), tmp_path, contexts=contexts(), size=(160, 45)) as board:
        await board.press("7")
        await board.until(lambda: "... 1 host has not told yet." in board.text)
        await board.press("2")
        pane = board.app.desk.query_one("#detail-pane")
        await board.until(lambda: "Processes  ..." in pane.text)  # type: ignore[attr-defined]
        await board.publish(state_of([told], revision=2))
        await board.until(lambda: "Processes  none" in pane.text)  # type: ignore[attr-defined]
        await board.press("7")
        await board.until(lambda: "No host has one now" in board.text)
        assert "has not told" not in board.text


async def test_sessions_of_a_context_are_unknown_until_they_were_told(tmp_path: Path) -> None:
    untold = host("h1", told=frozenset({"containers"}))
    mine = (replace(contexts()[0], host="h1"),)
    async with dashboard(state_of([untold]), tmp_path, contexts=mine, size=(160, 45)) as board:
        await board.press("4")
        pane = board.app.desk.query_one("#detail-pane")
        await board.until(lambda: "Sessions  ..." in pane.text)  # type: ignore[attr-defined]
        told = replace(untold, told=frozenset({"containers", "tmux"}), revision=2)
        await board.publish(state_of([told], revision=2))
        await board.until(lambda: "Sessions  none" in pane.text)  # type: ignore[attr-defined]
        assert "..." not in pane.text.partition("Sessions")[2].splitlines()[0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [NARROW, (80, 24), (120, 40)])
async def test_the_answers_to_a_long_question_are_always_seen(tmp_path: Path, size: tuple[int, int]) -> None:
    async with dashboard(FLEET, tmp_path, size=size) as board:
        answers: list[bool | None] = []
        question = Confirm("Stop 14", [f"Stop container-{n} on h100-{n}?" for n in range(30)])
        board.app.push_screen(question, answers.append)
        await board.until(lambda: "container-0" in board.text)
        assert any("No" in line and "Yes" in line for line in board.text.splitlines())
        await board.press("pagedown", "pagedown", "pagedown", "pagedown", "pagedown")
        await board.until(lambda: "container-29" in board.text)
        await board.press("enter")
        assert answers == [False]


@pytest.mark.parametrize("size", [NARROW, (80, 24)])
async def test_what_is_wrong_in_a_form_is_seen_on_any_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    from tui.doing import declared

    async with dashboard(FLEET, tmp_path, size=size) as board:
        board.app.push_screen(Form("New context", declared()["context-new"]))
        await board.until(lambda: "its name" in board.text)
        await board.press("x", "ctrl+s")
        await board.until(lambda: "host is needed." in board.text)
        assert "Cancel" in board.text
        await board.press("y")
        await board.until(lambda: "a host of hosts.yaml" in board.text)


async def test_a_form_says_once_what_a_field_means_also_when_it_is_filled_or_narrow(tmp_path: Path) -> None:
    from tui.doing import declared

    meaning = "ports of the host: PORT or LOCAL:PORT"
    async with dashboard(FLEET, tmp_path, size=(100, 30)) as board:
        board.app.push_screen(Form("Tunnel h1", declared()["tunnel-host"]))
        await board.until(lambda: board.text.count(meaning) == 1)
        field = board.app.screen.query_one("#f-services", Input)
        assert str(board.app.screen.query_one("#form-error", Static).content) == ""
        await board.press("8", "0")
        await board.until(lambda: field.value == "80" and board.text.count(meaning) == 1)
        await board.press("backspace", "backspace")
        await board.until(lambda: field.value == "" and board.text.count(meaning) == 1)
        assert str(board.app.screen.query_one("#form-error", Static).content) == ""


async def test_the_footer_of_an_empty_list_offers_nothing_for_rows(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("8")
        rows = ("details", "containers", "copy")
        await board.until(lambda: not any(key in footer(board.text) for key in rows))
        assert "/ filter" in footer(board.text)
        await board.press("3")
        await board.until(lambda: "details" in footer(board.text))
        await board.press("slash", "z", "z", "z", "enter")
        await board.until(lambda: "esc back" in footer(board.text) and "details" not in footer(board.text))


async def test_what_is_typed_leaves_nothing_in_the_footer(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path) as board:
        await board.press("3", "slash", "o")
        board.app.desk.refresh_bindings()
        await board.pilot.pause()
        assert not any(hint.action == "cancel" for hint in board.app.desk.query_one(KeyBar)._hints)
        await board.press("escape")
        await board.until(lambda: "/ filter" in footer(board.text))


async def test_numbers_of_a_gpu_are_whole(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(200, 30)) as board:
        await board.press("2")
        await board.until(lambda: "/700 W" in board.text)
        assert "700…" not in board.text


async def test_a_host_that_is_being_tried_does_not_count_down_to_nothing(tmp_path: Path) -> None:
    late = down("h3", retry_at=NOW - timedelta(seconds=3))
    soon = down("h4", retry_at=NOW + timedelta(days=1))
    async with dashboard(state_of([late, soon]), tmp_path, size=(130, 20)) as board:
        lines = {line.split()[1] if line[1] == "!" else "": line for line in board.text.splitlines()}
        assert "trying" in lines["h3"] and "retry 0" not in board.text
        assert "retry" in lines["h4"]
