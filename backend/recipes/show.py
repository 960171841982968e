"""Recipes for people: as a list, as a tree, and as what will be built."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from backend.errors import UsageError
from backend.recipes.discover import load, told
from backend.recipes.model import Graph, Kind, Recipe, Rendered
from backend.recipes.stages import SCRATCH
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.config import Config
    from backend.repository.standing import Standing

_EMPTY = "no recipes: name their folders with --root or in settings.yaml, or make one with berth images new."
_UNKNOWN = "(not known)"
"""What a recipe stands on that is too broken to say."""
_SHOWN = 40
"""Files of a context that are listed."""


class RecipeRow(Struct, frozen=True, kw_only=True):
    """A line of `berth images recipes`."""

    name: str
    kind: Kind
    images: tuple[str, ...]
    """References that it yields."""
    base: str
    """What its image stands on; empty: scratch, or not known."""
    parents: tuple[str, ...]
    """Recipes it needs."""
    ports: tuple[str, ...]
    folder: str
    problem: str
    """Why it cannot be built; empty: it can."""
    branch: str = ""
    """Of the working copy of git that it lies in; empty: in none."""
    onto: str = ""
    """The branch of the base repository that this is compared with, as it was fetched last: `origin/main`."""
    ahead: int | None = None
    """Commits that the base repository has not; None: not known."""
    behind: int | None = None
    """Commits of the base repository that are not here."""
    changed: int | None = None
    """Files of the working copy with changes that are in no commit."""


class TreeRow(Struct, frozen=True, kw_only=True):
    """A line of `berth images tree`."""

    name: str
    """Of a recipe; empty: an image from a registry."""
    image: str
    depth: int
    problem: str


def rows(graph: Graph, standings: Mapping[Path, Standing] = MappingProxyType({})) -> list[RecipeRow]:
    """One for each recipe; `standings`: how working copies stand to their base repository, by folder."""
    return [row(graph, recipe, standings.get(recipe.folder)) for recipe in graph.recipes.values()]


def row(graph: Graph, recipe: Recipe, standing: Standing | None = None) -> RecipeRow:
    """What the list says of a recipe."""
    base = graph.base_of(recipe)
    git: dict[str, Any] = {}
    if standing is not None:
        git = {name: getattr(standing, name) for name in ("branch", "onto", "ahead", "behind", "changed")}
    return RecipeRow(
        name=recipe.name,
        kind=recipe.kind,
        images=recipe.images,
        base=base.image if base else "",
        parents=tuple(each.name for each in graph.parents(recipe)),
        ports=recipe.config.ports,
        folder=str(recipe.folder),
        problem=str(recipe.problems[0]) if recipe.problems else "",
        **git,
    )


def tree(graph: Graph, name: str = "") -> list[TreeRow]:
    """Images from registries, and on each the recipes that stand on it; of `name` only what belongs to it."""
    wanted: set[str] | None = None
    if name:
        recipe = graph.find(name)
        wanted = {each.name for each in graph.chain(recipe)} | _above(graph, recipe)
    tops: dict[str, list[Recipe]] = {}
    below: dict[str, list[Recipe]] = {}
    for recipe in graph.recipes.values():
        if wanted is not None and recipe.name not in wanted:
            continue
        base = graph.base_of(recipe)
        if base is not None and base.recipe and not recipe.problems:
            below.setdefault(base.recipe, []).append(recipe)
        else:
            nothing = _UNKNOWN if recipe.problems else SCRATCH
            tops.setdefault(base.image if base else nothing, []).append(recipe)
    found: list[TreeRow] = []
    for image in sorted(tops, key=lambda each: (each == _UNKNOWN, each)):
        found.append(TreeRow(name="", image=image, depth=0, problem=""))
        stack = [(each, 1) for each in reversed(tops[image])]
        while stack:
            recipe, depth = stack.pop()
            problem = str(recipe.problems[0]) if recipe.problems else ""
            found.append(TreeRow(name=recipe.name, image=_first(recipe), depth=depth, problem=problem))
            stack += [(each, depth + 1) for each in reversed(below.get(recipe.name, []))]
    return found


def _above(graph: Graph, recipe: Recipe) -> set[str]:
    """All that stands on it."""
    found: set[str] = set()
    waiting = [recipe]
    while waiting:
        for child in graph.children(waiting.pop()):
            if child.name not in found:
                found.add(child.name)
                waiting.append(child)
    return found


def _first(recipe: Recipe) -> str:
    return recipe.images[0] if recipe.images else ""


def drawn(lines: Sequence[TreeRow]) -> Iterator[str]:
    """The tree with its branches."""
    for number, line in enumerate(lines):
        if line.depth == 0:
            yield printable(line.image)
            continue
        front = ""
        for depth in range(1, line.depth + 1):
            more = _goes_on(lines[number + 1 :], depth)
            own = depth == line.depth
            front += ("├─ " if more else "└─ ") if own else ("│  " if more else "   ")
        note = f"  ! {line.problem}" if line.problem else ""
        yield printable(f"{front}{line.name}  {line.image}".rstrip() + note)


def _goes_on(following: Sequence[TreeRow], depth: int) -> bool:
    """Whether a branch of this depth has another twig below."""
    for each in following:
        if each.depth <= depth:
            return each.depth == depth
    return False


def rendered(made: Rendered, recipe: Recipe) -> Iterator[str]:
    """What will be built, and where each value came from."""
    yield f"recipe      {made.recipe} ({made.kind}), {recipe.folder}"
    for tag in made.tags:
        yield f"image       {tag}"
    for image in made.images:
        yield f"stands on   {image}"
    for origin in made.origins:
        yield f"{origin.what:<11} {origin.value or '(empty)'}  ({origin.source})"
    given = {origin.what for origin in made.origins}
    for name, value in made.build_args.items():
        if f"arg {name}" not in given:
            yield f"arg {name:<7} {value}"
    if made.target:
        yield f"target      {made.target}"
    if made.buildkit:
        yield f"builder     BuildKit or Podman: {made.buildkit}"
    yield f"digest      {made.digest}"
    yield ""
    yield from made.dockerfile.read_text(encoding="utf-8").splitlines()
    yield ""
    yield f"context     {made.files} file{'s' if made.files != 1 else ''}, {size(made.size)}"
    names = sorted(_files(made.folder))
    yield from (f"  {name}" for name in names[:_SHOWN])
    if len(names) > _SHOWN:
        yield f"  and {len(names) - _SHOWN} more"


def as_data(made: Rendered, recipe: Recipe) -> dict[str, Any]:
    """What will be built, for programs; secrets by their names only."""
    return {
        "recipe": made.recipe,
        "kind": str(made.kind),
        "folder": str(recipe.folder),
        "tags": list(made.tags),
        "base": made.base,
        "images": list(made.images),
        "parents": list(made.parents),
        "args": dict(made.build_args),
        "secrets": sorted(made.secrets),
        "target": made.target,
        "platform": made.platform,
        "no_cache": made.no_cache,
        "buildkit": made.buildkit,
        "digest": made.digest,
        "origins": [msgspec.to_builtins(origin) for origin in made.origins],
        "dockerfile": made.dockerfile.read_text(encoding="utf-8"),
        "context": sorted(_files(made.folder)),
        "files": made.files,
        "size": made.size,
    }


def _files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield path.relative_to(folder).as_posix()


# ------------------------------------------------------------------------------------- the command line


async def recipes(
    access: Any, targets: Sequence[None], *, root: tuple[str, ...] = (), json: bool = False
) -> int:
    """`berth images recipes`; 1 where something is wrong with one."""
    from backend.listoutput import Output
    from backend.repository.standing import standings

    graph = await load(_config(access), roots=root)
    found = await standings({recipe.folder for recipe in graph.recipes.values()})
    Output(_columns, _EMPTY, json=json, watch=False).write(rows(graph, found), told(graph.problems))
    return 1 if graph.problems else 0


async def show_tree(
    access: Any, targets: Sequence[None], *, name: str = "", root: tuple[str, ...] = (), json: bool = False
) -> int:
    """`berth images tree`."""
    from backend.listoutput import say

    graph = await load(_config(access), roots=root)
    lines = tree(graph, name)
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(lines) + b"\n")
    else:
        for line in drawn(lines):
            print(line)
        if not lines:
            say(_EMPTY)
    return 0


def _config(access: Any) -> Config:
    config: Config = access.config
    return config


def _columns() -> Sequence[Any]:
    from backend.tables import Col

    return (
        Col("RECIPE", lambda line: line.name, flex=True),
        Col("KIND", lambda line: line.kind.value),
        Col("IMAGE", lambda line: ", ".join(line.images), flex=True),
        Col("BASE", lambda line: line.base, flex=True, rank=1),
        Col("PORTS", lambda line: " ".join(line.ports), rank=3),
        Col("FOLDER", lambda line: line.folder, flex=True, rank=2),
        Col("GIT", _git, rank=4),
        Col("PROBLEM", lambda line: "yes" if line.problem else None, "bad"),
    )


def _git(line: RecipeRow) -> str | None:
    """`main +2 -1 *`: ahead, behind, changed."""
    if line.ahead is None or line.behind is None:
        return None
    signs = [f"+{line.ahead}"] if line.ahead else []
    signs += [f"-{line.behind}"] if line.behind else []
    signs += ["*"] if line.changed else []
    return " ".join([line.branch or "(none)", *signs])


def roots(config: Config, said: str) -> Path:
    """Where a new recipe goes: `said`, else the first root of settings, else the current folder."""
    from backend.config.paths import absolute

    folder = absolute(Path(said or (config.settings.images.roots or (".",))[0]))
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder.", hint="Make it first: mkdir")
    return folder
