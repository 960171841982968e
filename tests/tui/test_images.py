"""Images: one line per image with the hosts that have it, filters, and what recipes say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backend import imagebook
from backend.imagelines import ImageLine
from backend.imagerows import RecipeBook, RecipeFacts
from tests.tui.fakes import TOLD, container, down, host, images, showcase, state_of
from tests.tui.helpers import dashboard
from tests.tui.imaged import BASE, book, fleet, learn, lines
from tui.cells import text_of, width_of
from tui.detail import imagefacts
from tui.views.imagecells import state
from tui.views.images import ImagesView


@pytest.fixture(autouse=True)
def _nothing_known() -> Any:
    yield
    imagefacts._known.clear()
    imagefacts._builds.clear()


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


# ------------------------------------------------------------------------------- recipes of settings


async def test_order_and_search_follow_what_is_read_of_working_copies(tmp_path: Path) -> None:
    def made(base: str, torch: str) -> RecipeBook:
        first = RecipeFacts(name="base", images=("me/base:latest",), git=base)
        return RecipeBook.of([first, RecipeFacts(name="torch", images=("me/torch:2",), git=torch)])

    async with dashboard(fleet(), tmp_path, size=(180, 40)) as board:
        await board.press("6")
        await learn(board, made("ahead", "behind"))
        view = board.app.desk.view
        view.table.sort_by(view.column("git"))
        assert lines(board)[0][0] == "me/base:latest"
        assert "ahead" in view.search_text(view.table.rows[0])
        await learn(board, made("changed", "behind"))
        await board.until(lambda: lines(board)[0][0] == "me/torch:2")
        found = [row for row in view.table.rows if "changed" in view.search_text(row)]
        assert [row.name for row in found] == ["me/base:latest"]


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
