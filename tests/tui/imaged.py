"""Images on two hosts, and the view of them."""

from __future__ import annotations

from backend.imagerows import RecipeBook, RecipeFacts
from backend.model import FleetState
from tests.tui.fakes import container, host, image, images, state_of
from tests.tui.helpers import Board

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


def book(**building: str) -> RecipeBook:
    return RecipeBook.of(
        [
            RecipeFacts(name="base", images=("me/base:latest",), base="busybox"),
            RecipeFacts(name="torch", images=("me/torch:2",), base="base"),
            RecipeFacts(name="eval", images=("me/eval:latest",), base="torch"),
        ],
        {("h1", recipe): steps for recipe, steps in building.items()},
    )
