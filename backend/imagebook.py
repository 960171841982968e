"""What recipes would give now, and what is being built of them: what tells a fresh image from a stale one.

Recipes are those of the roots that settings name. A recipe is rendered once, and again only when a file of
it has changed; nothing is fetched, and no host is asked but for who we are there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import BerthError
from backend.imagenames import whole
from backend.imagerows import NO_RECIPES, Expected, Owner, RecipeBook, RecipeFacts

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.building.model import Build
    from backend.config import Config
    from backend.recipes.model import Graph, Recipe, Rendered

_MOST_FILES = 200_000
"""Files of a recipe beyond which nobody looks whether one has changed."""
Signature = tuple[object, ...]


class Bookkeeper:
    """Keeps a book of all recipes. One per process that shows images."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._facts: dict[str, RecipeFacts] = {}
        self._known: dict[tuple[str, Owner], tuple[Signature, Expected | str]] = {}
        self._owners: dict[str, Owner] = {}
        self._building: dict[tuple[str, str], str] = {}
        self.book: RecipeBook = NO_RECIPES

    @property
    def has_roots(self) -> bool:
        """Whether settings name any."""
        return bool(self._config.settings.images.roots)

    async def read(
        self, access: Access | None, hosts: Iterable[str], changed: Callable[[RecipeBook], None]
    ) -> RecipeBook:
        """Read all recipes: `changed` hears of them at once, and again when it is known what they would give.

        `hosts` are asked who we are there, where a recipe is another one for everybody.
        """
        if not self.has_roots:
            return self.book
        from backend.recipes.discover import load

        graph = await load(self._config)
        self._facts = {name: self._plain(graph, each) for name, each in graph.recipes.items()}
        self._write(changed)
        await self._stand(graph)
        personal = any(each.personal for each in self._facts.values())
        if personal and access is not None:
            await self._ask_owners(access, hosts)
        owners = dict.fromkeys((None, *(self._owners.values() if personal else ())))
        await self._render(graph, owners)
        self._write(changed)
        return self.book

    def builds(self, builds: Iterable[Build], changed: Callable[[RecipeBook], None]) -> None:
        """These builds go on."""
        building = {(each.host, each.recipe): how_far(each) for each in builds if each.active}
        if building != self._building:
            self._building = building
            self._write(changed)

    def _write(self, changed: Callable[[RecipeBook], None]) -> None:
        self.book = RecipeBook.of(self._facts.values(), self._building, self._owners)
        changed(self.book)

    def _plain(self, graph: Graph, recipe: Recipe) -> RecipeFacts:
        """A recipe as it stands in its files; what it would give is what was known last."""
        base = graph.base_of(recipe)
        before = self._facts.get(recipe.name)
        return RecipeFacts(
            name=recipe.name,
            images=tuple(whole(image) for image in recipe.images),
            expected=before.expected if before is not None else {},
            personal=_personal(graph, recipe),
            base="" if base is None else base.recipe or base.image,
            problem=str(recipe.problems[0]) if recipe.problems else "",
            folder=str(recipe.folder),
            kind=recipe.kind.value,
            git=before.git if before is not None else "",
        )

    async def _stand(self, graph: Graph) -> None:
        """How the working copies stand that recipes lie in, as far as was fetched last."""
        from backend.repository.standing import standings

        found = await standings({each.folder for each in graph.recipes.values()})
        for name, facts in self._facts.items():
            known = found.get(graph.recipes[name].folder)
            self._facts[name] = _replaced(facts, git=known.text if known is not None else "")

    async def _ask_owners(self, access: Access, hosts: Iterable[str]) -> None:
        from backend.building.rendering import _owner

        async def one(host: str) -> None:
            try:
                self._owners[host] = await _owner(access, host)
            except (BerthError, TimeoutError):
                return

        await asyncio.gather(*(one(host) for host in hosts if host not in self._owners))

    # --------------------------------------------------------------------------------- rendering

    async def _render(self, graph: Graph, owners: Iterable[Owner]) -> None:
        """Everything that has changed, parents first."""
        from backend.recipes.staging import staging

        names = [name for name, each in self._facts.items() if not each.problem]
        try:
            levels = graph.order(names)
        except BerthError:
            levels = [[graph.recipes[name]] for name in names]
        try:
            async with staging() as into:
                for owner in owners:
                    done: dict[str, Rendered] = {}
                    for recipe in (each for level in levels for each in level):
                        await self._one(graph, recipe, owner, done, into)
        except BerthError as error:  # no room for it on this machine
            self._facts = {
                name: _replaced(each, problem=each.problem or error.message)
                for name, each in self._facts.items()
            }

    async def _one(
        self, graph: Graph, recipe: Recipe, owner: Owner, done: dict[str, Rendered], into: Path
    ) -> None:
        facts = self._facts[recipe.name]
        if facts.problem or (owner is not None) is not facts.personal:
            if not facts.personal and (known := facts.expected.get(None)) is not None:
                done[recipe.name] = known.rendered
            return
        if any(parent.name not in done for parent in graph.parents(recipe)):
            return  # what it stands on cannot be told: neither can this
        parents = {each.name: done[each.name] for each in graph.parents(recipe)}
        signature = await asyncio.to_thread(_signature, recipe, parents)
        known_before = self._known.get((recipe.name, owner))
        if known_before is None or known_before[0] != signature:
            found = await _rendered(graph, recipe, owner, done, into)
            self._known[recipe.name, owner] = (signature, found)
        else:
            found = known_before[1]
        if isinstance(found, str):
            self._facts[recipe.name] = _replaced(facts, problem=found)
            return
        done[recipe.name] = found.rendered
        self._facts[recipe.name] = _replaced(facts, expected={**facts.expected, owner: found})


def how_far(build: Build) -> str:
    """`3/12`; before its steps are known, what it does."""
    if build.steps:
        return f"{build.step}/{build.steps}"
    return f"step {build.step}" if build.step else build.state.value


async def _rendered(
    graph: Graph, recipe: Recipe, owner: Owner, parents: Mapping[str, Rendered], into: Path
) -> Expected | str:
    """What a recipe would give, or why that cannot be told. What it wrote is removed at once."""
    from backend.recipes.render import look
    from backend.recipes.staging import remove

    place = into / f"{len(os.listdir(into))}"  # noqa: PTH208 - only their number counts
    try:
        place.mkdir()
        return Expected(*await look(recipe, graph=graph, parents=parents, owner=owner, into=place))
    except BerthError as error:
        return error.message
    except OSError as error:
        return f"{place}: {error.strerror}"
    finally:
        await asyncio.to_thread(remove, place)


def _personal(graph: Graph, recipe: Recipe) -> bool:
    """Whether it, or something it stands on, is made for one user."""
    from backend.recipes.model import Kind

    waiting, seen = [recipe], {recipe.name}
    while waiting:
        each = waiting.pop()
        if each.kind in (Kind.RP, Kind.WORKSPACE):
            return True
        more = [parent for parent in graph.parents(each) if parent.name not in seen]
        seen |= {parent.name for parent in more}
        waiting += more
    return False


def _replaced(facts: RecipeFacts, **changes: object) -> RecipeFacts:
    from msgspec.structs import replace

    return replace(facts, **changes)


def _signature(recipe: Recipe, parents: Mapping[str, Rendered]) -> Signature:
    """Another one whenever a file of the recipe, or what it stands on, has changed."""
    folders = [recipe.folder, *(Path(each.source) for each in recipe.config.staged if each.kind != "git")]
    if recipe.config.authorized_keys is not None:
        folders.append(recipe.config.authorized_keys)
    found: list[tuple[str, int, int, int]] = []
    for folder in folders:
        if len(found) > _MOST_FILES:
            break
        _walk(str(folder), found)
    return (recipe, hash(tuple(found)), len(found), *sorted((n, p.digest) for n, p in parents.items()))


def _walk(start: str, found: list[tuple[str, int, int, int]]) -> None:
    waiting = [start]
    while waiting and len(found) <= _MOST_FILES:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name != ".git":
                            waiting.append(entry.path)
                        continue
                    status = entry.stat(follow_symlinks=False)
                    found.append((entry.path, status.st_mtime_ns, status.st_size, status.st_mode))
        except NotADirectoryError:
            status = os.lstat(folder)
            found.append((folder, status.st_mtime_ns, status.st_size, status.st_mode))
        except OSError:
            found.append((folder, 0, 0, 0))
