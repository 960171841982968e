"""Images of a host -> rows: joined with who uses them, and with the recipes they were built from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from backend.imagenames import whole
from backend.model import HostSnapshot, Image, ImageRow

if TYPE_CHECKING:
    from backend.config import Context
    from backend.recipes.model import Rendered

DIGEST_LABEL = "berth.recipe.digest"
RECIPE_LABEL = "berth.recipe"
WAITING = ("queued", "held", "starting")
_SHORT = 12
"""Digits of an id that name an image without a name."""


Owner = tuple[int, int] | None
"""Uid and gid that a recipe is made for; None: for anybody."""


class Expected(Struct, frozen=True):
    """What a recipe would give now."""

    rendered: Rendered
    dockerfile: str


class RecipeFacts(Struct, frozen=True, kw_only=True, gc=False):
    """What a recipe says about images, wherever they are."""

    name: str
    images: tuple[str, ...] = ()
    """Names it yields, as `imagenames.whole` writes them."""
    expected: Mapping[Owner, Expected] = MappingProxyType({})
    """By owner; empty while that is not known."""
    personal: bool = False
    """Whether it is another one for each owner."""
    base: str = ""
    """Name of the recipe it stands on, or the image from a registry; empty: scratch, or not known."""
    problem: str = ""
    """Why it cannot be built."""
    folder: str = ""
    kind: str = ""
    """`dockerfile`, `stack`, `workspace`, ...: a value of `Kind`."""
    git: str = ""
    """How its working copy of git stands to the base repository: `2 ahead of origin/main`."""


class RecipeBook(Struct, frozen=True, kw_only=True):
    """All recipes, and what is being built of them."""

    recipes: Mapping[str, RecipeFacts] = MappingProxyType({})
    building: Mapping[tuple[str, str], str] = MappingProxyType({})
    """Host and recipe to how far it is: `3/12`."""
    owners: Mapping[str, Owner] = MappingProxyType({})
    """Who we are on a host."""
    yields: Mapping[str, str] = MappingProxyType({})
    """Name of an image to the recipe that yields it."""

    @staticmethod
    def of(
        recipes: Iterable[RecipeFacts],
        building: Mapping[tuple[str, str], str] | None = None,
        owners: Mapping[str, Owner] | None = None,
    ) -> RecipeBook:
        """The book of these recipes."""
        found = {each.name: each for each in recipes}
        return RecipeBook(
            recipes=found,
            building=building or {},
            owners=owners or {},
            yields={image: each.name for each in found.values() for image in each.images},
        )

    def expected(self, recipe: str, host: str) -> Expected | None:
        """What a recipe would give on a host now; None where that is not known."""
        facts = self.recipes.get(recipe)
        if facts is None:
            return None
        return facts.expected.get(self.owners.get(host) if facts.personal else None)


NO_RECIPES = RecipeBook()


def bare(image_id: str) -> str:
    """An id without `sha256:`: Docker writes it, Podman does not."""
    return image_id.removeprefix("sha256:")


def image_rows(
    host: HostSnapshot, contexts: Iterable[Context] = (), book: RecipeBook = NO_RECIPES
) -> list[ImageRow]:
    """One row per image of a host, in its engine's order (newest first)."""
    images = host.images.images if host.images is not None else ()
    if not images:
        return []
    users = users_of(host, contexts)
    ids = {whole(tag): each.id for each in images for tag in each.tags} if book.recipes else {}
    return [image_row(host.name, each, users.of(each), book, ids, stale=host.stale) for each in images]


def image_row(
    host: str,
    image: Image,
    used_by: tuple[str, ...] = (),
    book: RecipeBook = NO_RECIPES,
    ids: Mapping[str, str] = MappingProxyType({}),
    *,
    name: str = "",
    stale: bool = False,
) -> ImageRow:
    """The row of one image.

    `ids`: names of all images of its host to their ids. `name`: the one of its names that it was called by.
    """
    recipe = _recipe(image, book)
    state, reason = (None, "") if recipe is None else _freshness(host, image, recipe, book, ids)
    known = bare(image.id)
    return ImageRow(
        host=host,
        id=known,
        name=name or (image.tags[0] if image.tags else known[:_SHORT]),
        tags=image.tags,
        digests=image.digests,
        size=image.size,
        shared_size=image.shared_size,
        created_at=image.created_at,
        used_by=used_by,
        labels=image.labels,
        recipe=recipe,
        state=state,
        reason=reason,
        stale=stale,
    )


def missing_rows(rows: Iterable[ImageRow], book: RecipeBook) -> list[ImageRow]:
    """A row for each recipe of which no host has an image."""
    there = {row.recipe for row in rows}
    building: dict[str, list[str]] = {}
    for (host, recipe), steps in book.building.items():
        building.setdefault(recipe, []).append(f"{host} {steps}")
    return [
        ImageRow(
            host="",
            id="",
            name=each.images[0] if each.images else each.name,
            tags=each.images[:1],
            recipe=each.name,
            state="building" if each.name in building else "missing",
            reason=", ".join(building.get(each.name, ())) or each.problem or "never built",
        )
        for each in book.recipes.values()
        if each.name not in there
    ]


def _recipe(image: Image, book: RecipeBook) -> str | None:
    """The recipe that an image says it was built from, else the one that yields one of its names.

    What was built on an image by hand has that one's labels, and a name that no recipe yields: it has none.
    """
    label = image.labels.get(RECIPE_LABEL)
    facts = book.recipes.get(label or "")
    own = {whole(tag) for tag in image.tags} if facts is not None or book.yields else set()
    if label and (facts is None or not facts.images or not own or not own.isdisjoint(facts.images)):
        return label
    return next((found for name in sorted(own) if (found := book.yields.get(name))), None)


def _freshness(
    host: str, image: Image, recipe: str, book: RecipeBook, ids: Mapping[str, str]
) -> tuple[str | None, str]:
    if steps := book.building.get((host, recipe)):
        return "building", steps
    facts = book.recipes.get(recipe)
    if facts is None:
        return None, ""
    if not image.tags:
        return "stale", "a newer one has its name"
    expected = book.expected(recipe, host)
    if expected is None:
        return None, facts.problem
    from backend.building import fresh

    found = {"Config": {"Labels": image.labels}}
    why = fresh.reason(found, expected.rendered, expected.dockerfile, _bases(image, ids))
    return ("stale", why) if why else ("fresh", "")


def _bases(image: Image, ids: Mapping[str, str]) -> dict[str, str]:
    """The images it was built on, as they are on its host now; ids are written as it has them."""
    from backend.building import fresh

    now: dict[str, str] = {}
    for reference, identity in fresh._bases(image.labels).items():
        known = ids.get(whole(reference))
        if known is not None:
            now[reference] = identity if bare(known) == bare(identity) else known
    return now


class Users:
    """Who uses which image of a host."""

    def __init__(self) -> None:
        self._by_id: dict[str, list[str]] = {}
        self._by_name: dict[str, list[str]] = {}

    def add(self, user: str, name: str, image_id: str = "") -> None:
        """Somebody uses an image: by id where it is told, a name may be another image's by now."""
        if image_id:
            self._by_id.setdefault(bare(image_id), []).append(user)
        else:
            self._by_name.setdefault(whole(name), []).append(user)

    def of(self, image: Image) -> tuple[str, ...]:
        """Those that use an image."""
        found = self._by_id.get(bare(image.id), [])
        if self._by_name:
            names = (whole(name) for name in (*image.tags, *image.digests))
            found = [*found, *(user for name in names for user in self._by_name.get(name, ()))]
        return tuple(dict.fromkeys(found))


def users_of(host: HostSnapshot, contexts: Iterable[Context]) -> Users:
    """Containers and waiting jobs of a host, and contexts that are made there."""
    found = Users()
    for container in host.containers or ():
        found.add(f"container {container.name}", container.image, container.image_id)
    for job in host.queue.jobs if host.queue is not None else ():
        if job.state in WAITING:
            found.add(f"job {job.id}", job.spec.image_name, job.spec.image)
    for context in contexts:
        if context.host == host.name:
            found.add(f"context {context.name}", context.image)
    return found
