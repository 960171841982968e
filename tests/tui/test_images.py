"""Images: one line per image with the hosts that have it, the stack as a tree, builds on their screen."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backend import imagebook
from backend.building import records
from backend.building.model import Build, BuildState, Request, Step
from backend.building.records import Record
from backend.config import Context
from backend.config.schema import RuntimeOptions
from backend.errors import EngineError
from backend.imagelines import ImageLine
from backend.imagerows import RecipeBook, RecipeFacts
from backend.images import prune
from backend.images.look import ImageFacts, Layer
from backend.model import FleetState, ImageRow
from backend.text import printable, size
from tests.tui.fakes import NOW, TOLD, container, down, host, image, images, showcase, state_of
from tests.tui.helpers import Board, dashboard
from tui.builds import columns
from tui.builds.screen import BuildScreen
from tui.cells import text_of, width_of
from tui.detail import imagefacts
from tui.dialogs import Choose, Confirm
from tui.forms import Form
from tui.output import OutputScreen
from tui.views.imagecells import state
from tui.views.images import ImagesView


@pytest.fixture(autouse=True)
def _nothing_known() -> Any:
    yield
    imagefacts._known.clear()
    imagefacts._builds.clear()


BASE, TORCH, OTHER = image("me/base:latest"), image("me/torch:2", number=1), image("me/torch:2", number=2)


def fleet() -> FleetState:
    web = container("web", image_id=TORCH.id)
    return state_of(
        [
            host("h1", [web], **images(TORCH, BASE, image(number=9))),
            host("h2", [], **images(OTHER, BASE)),
        ]
    )


def lines(board: Board) -> list[tuple[str, tuple[str, ...]]]:
    return [(line.name, line.hosts) for line in board.app.desk.table.rows]


async def on(board: Board, name: str, hosts: tuple[str, ...]) -> None:
    """Put the cursor on that line."""
    await board.until(lambda: (name, hosts) in lines(board))
    row = next(line for line in board.app.desk.table.rows if (line.name, line.hosts) == (name, hosts))
    assert board.app.desk.table.select((row.name, row.id))
    await board.pilot.pause()


async def learn(board: Board, made: RecipeBook) -> None:
    """Let the view know these recipes."""
    kept = board.app.desk.view._book
    await board.until(lambda: kept._keeper is not None)
    kept._keeper.book = made
    kept._changed(made)


# ---------------------------------------------------------------------------------------- the list


async def test_one_line_per_image_says_which_hosts_have_it_and_where_they_differ(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(180, 40)) as board:
        await board.press("6")
        await board.until(lambda: board.fleet.images_watched)
        assert lines(board) == [
            ("me/base:latest", ("h1", "h2")),
            ("me/torch:2", ("h1",)),
            ("me/torch:2", ("h2",)),
            ("<none>", ("h1",)),
        ]
        assert "me/torch:2 ≠" in board.text
        assert "2: h1 h2" in board.text
        assert "1 web" in board.text


async def test_nothing_is_called_missing_before_all_hosts_have_told(tmp_path: Path) -> None:
    waits = state_of([host("h1"), host("h2", **images(BASE))])
    async with dashboard(waits, tmp_path, size=(120, 30)) as board:
        await board.press("6")
        await learn(board, RecipeBook.of([RecipeFacts(name="x", images=("x:latest",))]))
        assert lines(board) == [("me/base:latest", ("h2",))]
        told = host("h1", **images())
        await board.publish(state_of([told, host("h2", **images(BASE))], revision=2))
        assert ("x:latest", ()) in lines(board)


async def test_an_empty_view_says_who_has_not_told_and_then_what_fills_it(tmp_path: Path) -> None:
    async with dashboard(state_of([host("h1"), host("h2")]), tmp_path) as board:
        await board.press("6")
        assert "2 hosts have not told yet" in board.text
        await board.publish(state_of([host("h1", **images()), host("h2", **images())], revision=2))
        assert "p pulls one" in board.text


async def test_where_no_engine_can_be_asked_nobody_is_said_to_have_none(tmp_path: Path) -> None:
    async with dashboard(state_of([down("h1")]), tmp_path) as board:
        await board.press("6")
        await board.until(lambda: "No engine could be asked" in board.text)
        assert "No host has one yet" not in board.text


@pytest.mark.parametrize("size", [(40, 20), (80, 24), (200, 50), (300, 80)])
async def test_it_fits_every_terminal(tmp_path: Path, size: tuple[int, int]) -> None:
    async with dashboard(showcase(), tmp_path, size=size) as board:
        await board.press("6")
        assert "alice/torch" in board.text
        assert all(width_of(((line, ""),)) <= size[0] for line in board.text.splitlines())
        await board.press("t")
        assert "alice/torch" in board.text


async def test_what_an_image_is_to_its_recipe_is_not_cut_at_80_columns(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(80, 24)) as board:
        await board.press("6")
        await learn(board, book(torch="12/120"))
        assert "▸ building 12/120" in board.text
        assert "· missing never built" in board.text
        texts = [text_of(state(line(reason))) for reason in REASONS]
        assert [text.removeprefix("~ stale ") for text in texts] == [
            "Dockerfile", "files", "arguments or names", "what it stands on", "base is another image now",
        ]  # fmt: skip


REASONS = (
    "its Dockerfile has changed",
    "its files have changed",
    "its arguments or names have changed",
    "what it stands on has changed",
    "base is another image now",
)


def line(reason: str) -> ImageLine:
    return ImageLine(name="a:1", id="1", recipe="a", state="stale", reason=reason)


async def test_filters_know_images(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(120, 30)) as board:
        await board.press("6")
        view = board.app.desk.view
        for text, count in (
            ("differs:yes", 2),
            ("dangling:yes", 1),
            ("unused:no", 1),
            ("hosts:h2", 2),
            ("torch", 2),
        ):
            view.set_filter(text)
            assert len(board.app.desk.table.rows) == count, text


async def test_only_some_hosts_show_only_their_images(tmp_path: Path) -> None:
    async with dashboard(fleet(), tmp_path, size=(120, 30)) as board:
        await board.press("6")
        board.app.desk.view.set_hosts(frozenset({"h2"}), "@h2")
        assert lines(board) == [("me/base:latest", ("h2",)), ("me/torch:2", ("h2",))]


async def test_hostile_images_are_shown_and_nothing_else_happens(tmp_path: Path) -> None:
    evil = replace(BASE, tags=("[/oops]:\x1b[31m", "a" * 4000), labels={"[bold]": "\x1b]0;x\x07"})
    used = container("[/red]", image_id=evil.id)
    async with dashboard(state_of([host("h1", [used], **images(evil))]), tmp_path, size=(160, 40)) as board:
        await board.press("6")
        assert "[/oops]" in board.text
        assert "\x1b" not in board.text
        await board.press("t", "enter")
        assert "\x1b" not in board.text


# ----------------------------------------------------------------------------------------- details


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


# ------------------------------------------------------------------------------------------ actions


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


# ------------------------------------------------------------------------------------- the stack


def book(**building: str) -> RecipeBook:
    return RecipeBook.of(
        [
            RecipeFacts(name="base", images=("me/base:latest",), base="busybox"),
            RecipeFacts(name="torch", images=("me/torch:2",), base="base"),
            RecipeFacts(name="eval", images=("me/eval:latest",), base="torch"),
        ],
        {("h1", recipe): steps for recipe, steps in building.items()},
    )


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


# ----------------------------------------------------------------------------------------- builds


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


# ------------------------------------------------------------------------------- recipes of settings


async def test_recipes_are_read_and_what_they_would_give_is_known(tmp_path: Path) -> None:
    from backend.config import Config, Settings
    from backend.config.schema import ImageSettings

    root = tmp_path / "recipes"
    for name, text in (("base", "FROM busybox\n"), ("torch", "FROM base\nRUN x\n"), ("bad", "FROM\n")):
        (root / name).mkdir(parents=True)
        (root / name / "Dockerfile").write_text(text)
    config = Config(directory=tmp_path, settings=Settings(images=ImageSettings(roots=(str(root),))))
    keeper = imagebook.Bookkeeper(config)
    books: list[RecipeBook] = []
    await keeper.read(None, (), books.append)
    first, last = books[0], books[-1]
    assert first.recipes["torch"].base == "base" and not first.recipes["torch"].expected
    assert last.expected("torch", "h1") is not None and last.expected("base", "h1") is not None
    assert "bad" in last.recipes and last.recipes["bad"].problem
    before = last.expected("torch", "h1")
    (root / "base" / "Dockerfile").write_text("FROM busybox\nRUN other\n")
    await keeper.read(None, (), books.append)
    after = books[-1].expected("torch", "h1")
    assert before is not None and after is not None and before.rendered.digest != after.rendered.digest


async def test_recipes_that_did_not_change_are_not_rendered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.config import Config, Settings
    from backend.config.schema import ImageSettings

    (tmp_path / "r" / "base").mkdir(parents=True)
    (tmp_path / "r" / "base" / "Dockerfile").write_text("FROM busybox\n")
    config = Config(directory=tmp_path, settings=Settings(images=ImageSettings(roots=(str(tmp_path / "r"),))))
    keeper = imagebook.Bookkeeper(config)
    await keeper.read(None, (), lambda made: None)

    async def fail(*_: Any) -> str:
        raise AssertionError("rendered again")

    monkeypatch.setattr(imagebook, "_rendered", fail)
    await keeper.read(None, (), lambda made: None)
    assert keeper.book.expected("base", "h1") is not None


def test_the_view_asks_nobody_before_it_is_shown() -> None:
    assert ImagesView.NUMBER == 6
    assert "images" not in TOLD
