"""Forms: what they ask, what they refuse and why, and what was typed into one that came to nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml
from textual.widgets import Input

from backend.actions.registry import Option, Param
from backend.actions.runner import Result
from backend.actions.runs import Run
from backend.errors import EngineError
from tests.tui.helpers import dashboard, screen, three
from tui import doing
from tui.desk import Desk
from tui.forms import Form, value_of
from tui.typed import Typed


async def test_a_form_asks_for_what_is_needed_and_says_what_is_wrong(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "contexts").mkdir()
    async with dashboard(three(), tmp_path, size=(120, 50)) as board:
        await board.until(lambda: board.app.doing is not None)
        (tmp_path / "hosts.yaml").write_text("hosts: {h1: {host: h1}, h2: {host: h2}}\n")
        await board.press("4", "n")
        await board.until(lambda: isinstance(screen(board), Form))
        await board.press("ctrl+s")
        await board.until(lambda: "is needed" in board.text)
        for value in ("work", "h1", "busybox"):
            board.app.focused.value = value
            await board.press("enter")
        await board.press("ctrl+s")
        await board.until((tmp_path / "contexts" / "work.yaml").exists)
        await board.until(lambda: board.names == ["work"])
        written = yaml.safe_load((tmp_path / "contexts" / "work.yaml").read_text())
        assert (written["host"], written["image"]) == ("h1", "busybox")


async def test_a_form_goes_to_the_field_that_is_wrong_and_says_why_until_it_is_mended(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path, size=(120, 50)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("4", "n")
        await board.until(lambda: isinstance(screen(board), Form))
        await board.type("work")
        await board.press("tab", *"h1", "tab", "tab")
        assert board.app.focused.id == "f-container"
        await board.press("ctrl+s")
        await board.until(lambda: board.app.focused.id == "f-image")
        assert "image is needed." in board.text
        await board.press("b")
        await board.until(lambda: "image is needed." not in board.text)


async def test_what_was_typed_is_in_the_form_again_when_it_came_to_nothing(tmp_path: Path) -> None:
    def fields() -> list[str]:
        return [field.value for field in screen(board).query(Input)][:3]

    async with dashboard(three(), tmp_path, size=(120, 50)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("4", "n")
        await board.until(lambda: isinstance(screen(board), Form))
        for value in ("no good", "h1", "busybox"):
            board.app.focused.value = value
            await board.press("tab")
        await board.press("ctrl+s")
        await board.until(lambda: [run.state for run in board.app.doing.runs.runs] == ["failed"])
        await board.press("n")
        await board.until(lambda: isinstance(screen(board), Form))
        assert fields() == ["no good", "h1", "busybox"]
        await board.press("escape", "n")
        await board.until(lambda: isinstance(screen(board), Form) and fields() == ["", "", ""])


def test_only_what_failed_is_kept_as_it_was_typed_and_never_its_secrets() -> None:
    token = Param("token", str, "", Option("a token", secret=True))
    action = doing.declared()["context-new"]
    action = replace(action, params=(*action.params, token))
    run = Run(action, None, {"name": "work", "token": "hunter2"}, None)
    typed = Typed()
    for result, kept in (
        (Result(None, error=EngineError("no")), {"name": "work"}),
        (Result(None, "yes"), {}),
    ):
        run.result = result
        typed.keep(action, [None], [run])
        assert typed.take(action, [None]) == kept
    run.result = None
    typed.keep(action, [None], [run])
    assert typed.take(action, [None]) == {}, "how it ends is not known"
    run.result = Result(None, error=EngineError("no"))
    assert typed.take(action, [None]) == {"name": "work"}
    assert typed.take(action, [None]) == {}


async def test_escape_leaves_a_form_and_nothing_is_done(tmp_path: Path) -> None:
    async with dashboard(three(), tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("4", "n")
        await board.until(lambda: isinstance(screen(board), Form))
        assert isinstance(board.app.focused, Input)
        await board.press("escape")
        await board.until(lambda: isinstance(screen(board), Desk))
        assert board.app.doing.runs.runs == []


def test_values_of_forms() -> None:
    params = {param.name: param for action in doing.of_kind(None) for param in action.params}
    assert value_of(params["mount"], " a:b , c:d ") == ("a:b", "c:d")
    assert value_of(params["gpus"], "") is None
