"""How recipes stand on each other: drafts in, recipes with names, dependencies and an order out."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from msgspec.structs import replace

from backend.errors import ConfigError, NoSuchTarget
from backend.recipes import naming
from backend.recipes.draft import Draft
from backend.recipes.links import Linker
from backend.recipes.model import Dependency, Overrides, Problem, Recipe


class RecipeGraph:
    """All recipes of some roots. Made once, never changed; see `model.Graph` for what each part promises."""

    def __init__(self, recipes: Mapping[str, Recipe], problems: Iterable[Problem] = ()) -> None:
        self.recipes: Mapping[str, Recipe] = recipes
        own = tuple(problem for recipe in recipes.values() for problem in recipe.problems)
        self.problems: tuple[Problem, ...] = (*problems, *own)
        self._names: dict[str, str] = {}
        """Whatever a recipe may be called, to its name."""
        self._children: dict[str, list[str]] = {}
        for recipe in recipes.values():
            for each in (*recipe.aliases, *map(naming.with_tag, recipe.images), *recipe.images):
                self._names.setdefault(each, recipe.name)
            for dependency in recipe.dependencies:
                if dependency.recipe:
                    named = self._children.setdefault(dependency.recipe, [])
                    if recipe.name not in named:
                        named.append(recipe.name)

    def find(self, name: str) -> Recipe:
        """By name, other name, image or folder. Raises `NoSuchTarget`."""
        found = self.recipes.get(name) or self.recipes.get(self._names.get(naming.bare(name), ""))
        if found is None and ("/" in name or name in (".", "..")):
            folder = Path(name).expanduser().resolve()
            found = next((each for each in self.recipes.values() if each.folder.resolve() == folder), None)
        if found is not None:
            return found
        near = get_close_matches(name, self.recipes, n=1)
        known = ", ".join(list(self.recipes)[:20]) or "none"
        more = f" and {len(self.recipes) - 20} more" if len(self.recipes) > 20 else ""
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise NoSuchTarget(f"no recipe is called {name!r:.100}.", hint=f"{hint}Recipes: {known}{more}.")

    def parents(self, recipe: Recipe) -> list[Recipe]:
        """The recipes it needs directly, each once."""
        names = dict.fromkeys(each.recipe for each in recipe.dependencies if each.recipe)
        return [self.recipes[name] for name in names if name in self.recipes]

    def children(self, recipe: Recipe) -> list[Recipe]:
        """The recipes that need it directly."""
        return [self.recipes[name] for name in self._children.get(recipe.name, ())]

    def base_of(self, recipe: Recipe) -> Dependency | None:
        """What its target stage stands on."""
        stages = recipe.stages
        if not stages:
            return None
        names = {stage.name: stage.index for stage in stages if stage.name}
        wanted = recipe.config.target.lower()
        at = names.get(wanted, int(wanted) if wanted.isdecimal() else stages[-1].index)
        at = min(at, stages[-1].index)
        while (inner := names.get(stages[at].base.lower(), at)) < at:
            at = inner
        return next(
            (each for each in recipe.dependencies if each.how == "from" and each.stage == at),
            next((each for each in recipe.dependencies if each.written == stages[at].base), None),
        )

    def chain(self, recipe: Recipe) -> list[Recipe]:
        """The recipes it stands on, the lowest first, and itself last."""
        found = [recipe]
        seen = {recipe.name}
        while (base := self.base_of(found[-1])) and base.recipe and base.recipe not in seen:
            seen.add(base.recipe)
            found.append(self.recipes[base.recipe])
        return found[::-1]

    def order(self, targets: Iterable[str]) -> list[list[Recipe]]:
        """Parents first, in levels. Raises `ConfigError` naming the chain, `NoSuchTarget`."""
        wanted = [self.find(name) for name in targets]
        needed_by: dict[str, str] = {recipe.name: "" for recipe in wanted}
        waiting = list(wanted)
        while waiting:
            recipe = waiting.pop()
            if recipe.problems:
                raise self._refusal(recipe, needed_by)
            for parent in self.parents(recipe):
                if parent.name not in needed_by:
                    needed_by[parent.name] = recipe.name
                    waiting.append(parent)
        return self._levels(needed_by)

    def _levels(self, names: Iterable[str]) -> list[list[Recipe]]:
        """Each on the first level on which all that it needs is there. No cycle is among them."""
        left = {name: {each.name for each in self.parents(self.recipes[name])} for name in names}
        levels: list[list[Recipe]] = []
        while left:
            ready = sorted(name for name, needs in left.items() if not needs & left.keys())
            if not ready:
                raise ConfigError(f"these stand on each other: {', '.join(sorted(left))}.")
            levels.append([self.recipes[name] for name in ready])
            for name in ready:
                del left[name]
        return levels

    def _refusal(self, recipe: Recipe, needed_by: Mapping[str, str]) -> ConfigError:
        """Why nothing can be built, with the way that leads to the recipe that is broken."""
        chain = [recipe.name]
        while above := needed_by[chain[-1]]:
            chain.append(above)
        problem = recipe.problems[0]
        way = f" {chain[0]} is needed by {', '.join(chain[1:])}." if chain[1:] else ""
        return ConfigError(f"{problem}{way}", hint=problem.hint)


def build(
    drafts: list[Draft],
    *,
    links: Iterable[tuple[Path, Path]] = (),
    folders: frozenset[str] = frozenset(),
    problems: Iterable[Problem] = (),
    maintainer: str = "",
    overrides: Overrides | None = None,
) -> RecipeGraph:
    """The graph of these drafts."""
    linker = Linker(drafts, links, folders, maintainer or own_name())
    if overrides is not None and overrides.base:
        linker.rebase(overrides.base)
    recipes: dict[str, Recipe] = {}
    for draft in linker.drafts.values():
        dependencies = linker.dependencies(draft)
        recipes[draft.name] = Recipe(
            name=draft.name,
            kind=draft.kind,
            folder=draft.found.folder,
            root=draft.found.root,
            file=draft.found.file,
            config=draft.config,
            images=linker.images(draft),
            stages=draft.layout.stages[: draft.layout.target + 1] if draft.layout else (),
            dependencies=dependencies,
            aliases=linker.aliases.get(draft.name, ()),
        )
    linker.check(recipes)
    done = {
        name: replace(recipe, problems=tuple(linker.drafts[name].problems))
        for name, recipe in recipes.items()
    }
    return RecipeGraph(done, (*problems, *linker.problems))


def own_name() -> str:
    """The user here, as the first part of an image's name."""
    try:
        name = getpass.getuser().lower()
    except (OSError, KeyError):  # nobody here has a name
        name = ""
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "user"
