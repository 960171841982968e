"""All recipes of the configured roots."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from backend.config.paths import absolute
from backend.config.schema import Config
from backend.errors import UsageError
from backend.recipes import draft, graph
from backend.recipes.graph import RecipeGraph
from backend.recipes.model import Overrides, Problem
from backend.recipes.scan import Scan


async def load(
    config: Config, *, roots: Sequence[str | Path] = (), overrides: Overrides | None = None
) -> RecipeGraph:
    """Recipes below `roots`, else below those of settings, else below the current folder.

    Raises `UsageError` for a root that was named and is no folder; whatever else is wrong is among the
    graph's problems.
    """
    return await asyncio.to_thread(read, config, roots=roots, overrides=overrides)


def read(
    config: Config, *, roots: Sequence[str | Path] = (), overrides: Overrides | None = None
) -> RecipeGraph:
    """The same, at once."""
    for each in roots:
        if not absolute(Path(each)).is_dir():
            raise UsageError(f"{each} is no folder.", hint="--root names a folder that holds recipes.")
    images = config.settings.images
    named = [absolute(Path(each)) for each in roots or images.roots or (Path.cwd(),)]
    scan = Scan()
    for root in named:
        if not any(root != other and root.is_relative_to(other) for other in named):
            scan.root(root)
    said = overrides or Overrides()
    drafts = [draft.read(found, said) for found in scan.found]
    return graph.build(
        drafts,
        links=scan.links,
        folders=frozenset(scan.folders),
        problems=scan.problems,
        maintainer=said.maintainer or images.maintainer,
        overrides=said,
    )


def told(problems: Sequence[Problem], limit: int = 20) -> list[str]:
    """Problems as lines for people."""
    lines = [f"{problem} {problem.hint}".strip() for problem in problems[:limit]]
    return lines + ([f"and {len(problems) - limit} more"] if len(problems) > limit else [])
