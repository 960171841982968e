"""What engines said of images when somebody looked: asked once for each, kept for as long as there is room.

An image never changes, so what was said of one on one host is true of it everywhere; its names and who uses
it are not taken from here.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from backend.errors import BerthError
from backend.imagerows import NO_RECIPES, RecipeBook
from backend.model import ImageRow

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.building.model import Build
    from backend.images.look import ImageFacts

_KEPT = 300
_known: dict[str, ImageFacts | BerthError] = {}
"""By id."""
_book = NO_RECIPES
_builds: list[Build] = []
"""All builds on record, newest first, as the Images view read them last."""


def builds_of(recipe: str | None) -> list[Build]:
    """The builds of a recipe that are on record, newest first."""
    return [each for each in _builds if each.recipe == recipe] if recipe else []


def git_of(recipe: str) -> str:
    """How the working copy of a recipe stands to its base repository; empty: as that, or not known."""
    facts = _book.recipes.get(recipe)
    return facts.git if facts is not None else ""


def recipes_read(book: RecipeBook) -> None:
    """These are known now."""
    global _book  # noqa: PLW0603 - one program, one book
    _book = book


def builds_read(found: list[Build]) -> None:
    """These are on record now."""
    _builds[:] = found


def known(image_id: str) -> ImageFacts | BerthError | None:
    """What is known of an image, or why it is not."""
    return _known.get(image_id)


def wanted(row: ImageRow, access: Access) -> Awaitable[None] | None:
    """Work that finds out about an image; None where all is known. What failed is tried again."""
    if row.id in _known and not isinstance(_known[row.id], BerthError):
        return None
    return _ask(row, access)


async def _ask(row: ImageRow, access: Access) -> None:
    from backend.images import look

    try:
        found: ImageFacts | BerthError = await look.facts(await access.engine(row.host), row.id)
    except BerthError as error:
        found = error
    while len(_known) >= _KEPT:
        del _known[next(iter(_known))]
    _known[row.id] = found
