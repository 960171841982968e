"""Images: the stack as a tree, building from it, builds on their screen."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backend.building import records
from backend.building.model import Build, BuildState, Request, Step
from backend.building.records import Record
from backend.config import Context
from backend.config.schema import RuntimeOptions
from backend.imagerows import RecipeBook, RecipeFacts
from backend.text import printable
from tests.tui.fakes import NOW, container, host, images, state_of
from tests.tui.helpers import Board, dashboard
from tests.tui.imaged import BASE, TORCH, book, fleet, learn, on
from tui.builds import columns
from tui.builds.screen import BuildScreen
from tui.cells import text_of
from tui.detail import imagefacts
from tui.forms import Form


@pytest.fixture(autouse=True)
def _nothing_known() -> Any:
    yield
    imagefacts._known.clear()
    imagefacts._builds.clear()


async def test_the_stack_is_a_tree_and_a_list_again(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(170, 40)) as board:
        await board.press("6")
        view = board.app.desk.view
        board.app.desk.table.sort_by(view.column("size"), True)
        await learn(board, book(torch="3/12"))
        await board.press("t")
        drawn = [line.branch + line.name for line in board.app.desk.table.rows]
        assert drawn == ["me/base:latest", "└─ me/torch:2", "   └─ me/eval:latest", "<none>"]
        assert "building 3/12" in board.text and "missing" in board.text
        assert "└─ torch ≠  me/torch:2" in board.text
        await board.press("t")
        assert board.app.desk.table.sort_key == "size"
        assert len(board.app.desk.table.rows) == 5


async def test_b_builds_the_recipe_on_the_hosts_that_have_it(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(170, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("6")
        await learn(board, book())
        await on(board, "me/base:latest", ("h1", "h2"))
        await board.press("b")
        await board.until(lambda: isinstance(board.app.screen, Form))
        values = {field.id: field.value for field in board.app.screen.query("Input")}  # type: ignore[attr-defined]
        assert (values["f-names"], values["f-host"]) == ("base", "h1, h2")


async def test_b_on_an_image_without_a_recipe_says_so(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(170, 40)) as board:
        await board.press("6", "b")
        await board.until(lambda: "no recipe" in board.text)
        assert board.app.screen is board.app.desk, "there is nothing to fill in"


async def test_an_image_is_built_and_its_context_started(tmp_path: Path) -> None:
    context = Context(name="box", host="h1", image="me/base", container="box")
    async with dashboard(fleet(), tmp_path, size=(170, 40), contexts=(context,)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("6")
        await learn(board, book())
        await on(board, "me/base:latest", ("h1", "h2"))
        await board.press("u")
        await board.until(lambda: isinstance(board.app.screen, Form))
        values = {field.id: field.value for field in board.app.screen.query("Input")}  # type: ignore[attr-defined]
        assert (values["f-names"], values["f-host"], values["f-up"]) == ("base", "h1", "box")


async def test_a_workspace_is_run_from_its_image_and_from_its_context(tmp_path: Path) -> None:
    flow = Context(
        name="flow-h1", host="h1", image="me/torch:2", container="flow",
        options=RuntimeOptions(labels={"berth.workspace": "flow"}),
    )  # fmt: skip
    other = Context(name="other", host="h1", image="x", container="c")
    known = RecipeBook.of([
        RecipeFacts(name="flow", images=("me/torch:2",), kind="workspace"),
        RecipeFacts(name="base", images=("me/base:latest",), kind="stack"),
    ])  # fmt: skip

    def filled(board: Board) -> dict[str, str]:
        return {field.id: field.value for field in board.app.screen.query("Input")}  # type: ignore[attr-defined]

    runs = host("h1", [container("flow", image_id=TORCH.id)], **images(TORCH, BASE))
    both = state_of([runs, host("h2", [], **images(BASE))])
    async with dashboard(both, tmp_path, size=(140, 40), contexts=(flow, other)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("6")
        await learn(board, known)
        await on(board, "me/torch:2", ("h1",))
        await board.press("w")
        await board.until(lambda: isinstance(board.app.screen, Form))
        assert (filled(board)["f-name"], filled(board)["f-host"]) == ("flow", "h1")
        await board.press("escape")
        await on(board, "me/base:latest", ("h1", "h2"))
        await board.press("w")
        await board.until(lambda: "It is no workspace" in board.text)

        await board.press("4")
        assert board.app.desk.table.select("flow-h1")
        await board.press("W")
        await board.until(lambda: isinstance(board.app.screen, Form))
        assert (filled(board)["f-name"], filled(board)["f-host"]) == ("flow", "h1")
        await board.press("escape", "b")
        await board.until(lambda: isinstance(board.app.screen, Form))
        assert filled(board)["f-name"] == "flow"
        await board.press("escape")
        keys = {action.name: action.key for action in board.app.desk.actions()}
        assert [keys[f"workspace-{each}"] for each in ("shell", "root", "jupyter")] == ["E", "R", "J"]
        assert board.app.desk.table.select("other")
        await board.press("W")
        await board.until(lambda: "of no workspace" in board.text)


def build(recipe: str = "torch", **more: Any) -> Build:
    values = {
        "id": records.new_id(),
        "order": "1",
        "host": "h1",
        "recipe": recipe,
        "images": (f"{recipe}:latest",),
        "state": BuildState.BUILDING,
        "created_at": NOW,
        "started_at": NOW - timedelta(seconds=90),
        "step": 2,
        "steps": 4,
        "done": (
            Step(number=1, text="FROM base", cached=True, seconds=0.0, stage="1/4"),
            Step(number=2, text="RUN make \x1b[31mall", started_at=NOW, line=3),
        ),
    }
    return Build(**{**values, **more})


@pytest.fixture
def on_record() -> Any:
    """Writes builds as the berth that works on them does."""
    locks = records.own("1")
    records.folder().mkdir(parents=True, exist_ok=True)
    assert locks.__enter__()
    kept: list[Record] = []

    def write(made: Build, *log: str) -> Record:
        record = Record(made)
        record.keep()
        for line in log:
            record.say(line)
        kept.append(record)
        return record

    yield write
    for each in kept:
        each.close()
    locks.__exit__(None, None, None)


async def test_builds_are_followed_step_by_step(tmp_path: Path, on_record: Any) -> None:
    record = on_record(build(), "first line", "second \x1b[31mline")
    async with dashboard(fleet(), tmp_path, size=(140, 40)) as board:
        await board.press("6", "B")
        await board.until(lambda: isinstance(board.app.screen, BuildScreen))
        await board.until(lambda: "second line" in board.text)
        assert "2/4" in board.text and "RUN make all" in board.text
        record.say("third line")
        await board.until(lambda: "third line" in board.text)
        await board.press("s")
        await board.until(lambda: "cached" in board.text and "line 3" in board.text)
        done = replace(record.build, step=4, done=())
        record.update(done.to(BuildState.FAILED, error="step 4 failed: RUN x", hint="line 9"))
        await board.until(lambda: "! failed" in board.text and "Try: line 9" in board.text)
        await board.press("escape")
        assert not isinstance(board.app.screen, BuildScreen)


async def test_a_build_is_cancelled_and_asked_for_again(
    tmp_path: Path, on_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(names=("torch",), hosts=("h1",))
    record = on_record(build(request=request), "x")
    begun: list[tuple[str, dict[str, Any]]] = []
    async with dashboard(fleet(), tmp_path, size=(140, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        monkeypatch.setattr(
            board.app.doing,
            "begin",
            lambda name, options: (
                begun.append((name, options)) or SimpleNamespace(notes={}, output=[], state="running")
            ),
        )
        await board.press("6", "B")
        await board.until(lambda: "torch" in board.text)
        await board.press("R")
        assert begun == [], "it still runs"
        await board.press("ctrl+k")
        assert begun == [("images-cancel", {"build": record.build.id})]
        record.update(record.build.to(BuildState.CANCELLED))
        await board.until(lambda: "cancelled" in board.text)
        await board.press("R")
        assert begun[-1] == ("images-retry", {"build": record.build.id})


async def test_what_became_of_builds_stands_in_the_details(tmp_path: Path, on_record: Any) -> None:
    on_record(build("base").to(BuildState.FAILED, error="no space left on device"))
    imagefacts.builds_read(records.listed())
    async with dashboard(fleet(), tmp_path, size=(190, 45)) as board:
        await board.press("6")
        await learn(board, book())
        await on(board, "me/base:latest", ("h1", "h2"))
        await board.until(lambda: "Builds" in board.text and "no space left" in board.text)
        assert "failed" in board.text


steps = st.builds(
    Step,
    number=st.integers(1, 99),
    text=st.text(),
    stage=st.text(max_size=9),
    seconds=st.none() | st.floats(0, 1e6),
    cached=st.booleans(),
    failed=st.booleans(),
    started_at=st.none() | st.just(NOW),
)


@given(steps)
def test_any_step_is_one_printable_line(step: Step) -> None:
    for line in columns.steps(build(done=(step,))):
        assert printable(text_of(line), 9999) == text_of(line)
