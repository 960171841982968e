"""Images: their details, and what is done to them."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import EngineError
from backend.imagerows import RecipeBook, RecipeFacts
from backend.images import prune
from backend.images.look import ImageFacts, Layer
from backend.model import ImageRow
from backend.text import size
from tests.tui.fakes import NOW, image
from tests.tui.helpers import dashboard
from tests.tui.imaged import fleet, learn, lines, on
from tui.detail import imagefacts
from tui.dialogs import Choose, Confirm
from tui.forms import Form
from tui.output import OutputScreen


@pytest.fixture(autouse=True)
def _nothing_known() -> Any:
    yield
    imagefacts._known.clear()
    imagefacts._builds.clear()


def facts(row: ImageRow) -> ImageFacts:
    return ImageFacts(
        host=row.host,
        id=row.id,
        entrypoint=("/entry.sh",),
        command=("serve",),
        env=("A=b",),
        layers=(
            Layer(command="ADD file:1 in /", size=5_000_000, created_at=NOW - timedelta(days=2)),
            Layer(command="RUN " + "long " * 400 + "\x1b[31m", size=7_000_000, created_at=NOW),
        ),
    )


async def test_layers_come_once_the_cursor_rests_and_are_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def look(engine: Any, name: str) -> ImageFacts:
        asked.append(name)
        return facts(ImageRow(host="h1", id=name, name=name))

    monkeypatch.setattr("backend.images.look.facts", look)

    async def engine(name: str) -> Any:
        return SimpleNamespace(host=name)

    async with dashboard(fleet(), tmp_path, size=(180, 45)) as board:
        await board.until(lambda: board.app.access is not None)
        monkeypatch.setattr(board.app.access, "engine", engine)
        await board.press("6", "j")
        await board.until(lambda: "/entry.sh" in board.text)
        assert "RUN long" in board.text and "A=b" in board.text
        await board.press("k", "j")
        await board.until(lambda: "/entry.sh" in board.text)
        assert len(asked) == len(set(asked))


async def test_an_engine_that_does_not_answer_is_said_in_the_details(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(180, 45)) as board:
        await board.press("6")
        row = board.app.desk.table.row
        imagefacts._known[row.id] = EngineError("h1: the engine did not answer")
        board.app.desk._show_detail()
        await board.until(lambda: "did not answer" in board.text)
        assert board.app.desk.table.row is row and row.name in board.text


async def test_an_image_of_several_hosts_is_removed_where_it_is_chosen(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(140, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("6")
        await on(board, "me/base:latest", ("h1", "h2"))
        await board.press("ctrl+d")
        await board.until(lambda: isinstance(board.app.screen, Choose))
        await board.press("down", "enter")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        await board.until(lambda: "me/base:latest" in board.text and "h2?" in board.text)
        assert "h1?" not in board.text
        await board.press("n")
        await board.until(lambda: board.app.screen is board.app.desk)
        assert board.app.doing.runs.runs == []


async def test_all_hosts_can_be_meant(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(140, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("6")
        await on(board, "me/base:latest", ("h1", "h2"))
        await board.press("ctrl+d")
        await board.until(lambda: isinstance(board.app.screen, Choose))
        await board.press("down", "down", "enter")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        await board.until(lambda: "h1?" in board.text and "h2?" in board.text)
        assert board.app.doing.runs.runs == [], "not before it is agreed to"


async def test_who_uses_an_image_is_named_before_it_goes(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(140, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("6")
        await on(board, "me/torch:2", ("h1",))
        await board.press("ctrl+d")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        await board.until(lambda: "container web" in board.text)
        assert "me/torch:2" in board.text
        assert board.app.doing.runs.runs == [], "not before it is agreed to"


async def test_pulling_begins_with_this_image_and_its_hosts(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(140, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("6")
        await on(board, "me/base:latest", ("h1", "h2"))
        await board.press("p")
        await board.until(lambda: isinstance(board.app.screen, Form))
        values = {field.id: field.value for field in board.app.screen.query("Input")}  # type: ignore[attr-defined]
        assert values["f-image"] == "me/base:latest"
        assert values["f-host"] == "h1, h2"


async def test_pruning_shows_its_preview_on_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def engine(name: str) -> Any:
        return SimpleNamespace(host=name)

    async def plan(engine: Any, *_: Any) -> prune.Plan:
        return prune.Plan(engine.host, [prune.Doomed(image(number=9), 5 << 20)], kept=2)

    monkeypatch.setattr(prune, "plan", plan)
    async with dashboard(fleet(), tmp_path, size=(140, 40)) as board:
        await board.until(lambda: board.app.doing is not None and board.app.access is not None)
        monkeypatch.setattr(board.app.access, "engine", engine)
        await board.press("6", "P")
        await board.until(lambda: isinstance(board.app.screen, Form))
        await board.press("ctrl+s")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        assert "Remove 2 images" in board.text
        await board.press("n")
        await board.until(lambda: isinstance(board.app.screen, OutputScreen))
        for name in ("h1", "h2"):
            assert f"{name}: 1 go, {size(5 << 20)} free; 2 stay" in board.text


async def test_read_only_offers_nothing_that_changes(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(140, 40), read_only=True) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("6")
        names = {action.name for action in board.app.desk.actions()}
        assert "image-layers" in names and "image-rm" not in names and "image-pull" not in names
        await board.press("ctrl+d")
        assert not isinstance(board.app.screen, (Choose, Confirm))


async def test_a_recipe_says_how_its_working_copy_stands_and_opens_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "imgs"
    (copy / "images/torch").mkdir(parents=True)
    for words in (
        ("init", "-q", "-b", "work"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "1"),
        ("remote", "add", "origin", "git@github.com:o/imgs.git"),
    ):
        subprocess.run(["git", "-C", str(copy), *words], check=True)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    facts = RecipeFacts(
        name="torch", images=("me/torch:2",), folder=str(copy / "images/torch"), git="1 ahead of origin/main"
    )
    async with dashboard(fleet(), tmp_path / "berth", size=(170, 50)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("6")
        await learn(board, RecipeBook.of([facts]))
        await on(board, "me/torch:2", ("h1",))
        board.app.desk._show_detail()
        await board.until(lambda: "1 ahead of origin/main" in board.text)
        board.app.desk.view.set_filter("git:ahead")
        assert {name for name, _ in lines(board)} == {"me/torch:2"}
        await board.press("M")
        await board.until(lambda: bool(opened))
    assert opened == ["https://github.com/o/imgs/compare/main...work?expand=1"]
