"""Recipes rendered once for all hosts that can have the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from backend.building.model import Request
from backend.config.paths import absolute
from backend.errors import ActionFailed, UsageError
from backend.recipes.model import Graph, Kind, Overrides, Recipe, Rendered, Staged
from backend.recipes.render import render
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access

Owner = tuple[int, int] | None
_WAIT = 30.0


class Rendering:
    """Renders what is asked for, with what it stands on, each once per owner."""

    def __init__(self, graph: Graph, into: Path, say: Callable[[str], None], *, cached: bool = False) -> None:
        """`cached`: projects of git are taken as they were fetched last."""
        self._cached = cached
        self._graph = graph
        self._into = into
        self._say = say
        self._made: dict[tuple[str, Owner], asyncio.Task[Rendered]] = {}
        self._owners: dict[str, asyncio.Task[tuple[int, int]]] = {}

    async def of(self, recipe: Recipe, access: Access, host: str) -> Rendered:
        """A recipe for a host. Raises what is wrong with it."""
        owner = None
        if any(each.kind in (Kind.RP, Kind.WORKSPACE) for each in self._line(recipe)):
            if host not in self._owners:
                self._owners[host] = asyncio.create_task(_owner(access, host))
            owner = await asyncio.shield(self._owners[host])
        return await self._rendered(recipe, owner)

    def _line(self, recipe: Recipe) -> list[Recipe]:
        """The recipe and all it stands on."""
        found = {recipe.name: recipe}
        waiting = [recipe]
        while waiting:
            for parent in self._graph.parents(waiting.pop()):
                if parent.name not in found:
                    found[parent.name] = parent
                    waiting.append(parent)
        return list(found.values())

    async def _rendered(self, recipe: Recipe, owner: Owner) -> Rendered:
        key = (recipe.name, owner)
        if key not in self._made:
            self._made[key] = asyncio.create_task(self._render(recipe, owner))
        return await asyncio.shield(self._made[key])

    async def _render(self, recipe: Recipe, owner: Owner) -> Rendered:
        parents: dict[str, Rendered] = {}
        for each in self._line(recipe)[1:]:
            parents[each.name] = await self._rendered(each, owner)
        return await render(
            recipe,
            graph=self._graph,
            parents=parents,
            owner=owner,
            git="cached" if self._cached else "fetch",
            linked=True,
            into=self._into,
            say=self._say,
        )

    async def close(self) -> None:
        """End what is still being rendered."""
        tasks = [*self._made.values(), *self._owners.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _owner(access: Access, host: str) -> tuple[int, int]:
    link = await access.link(host)
    found = await link.run(["sh", "-c", "id -u; id -g"], timeout=_WAIT)
    lines = found.stdout.decode(errors="replace").split()
    try:
        return int(lines[-2]), int(lines[-1])
    except (ValueError, IndexError):
        said = printable(found.stdout.decode(errors="replace"), 200)
        raise ActionFailed(f"{host} does not say who we are there: {said}.") from None


def overrides(request: Request) -> Overrides:
    """What a request says instead of recipe files. Raises `UsageError`."""
    return Overrides(
        base=request.base,
        args=request.args,
        maintainer=request.maintainer,
        targets=tuple(request.names),
        name=request.name,
        tag=request.tag,
        port=request.port,
        staged=(*map(_project, request.projects), *map(_repository, request.repositories)),
        no_cache=request.no_cache,
        authorized_keys=absolute(Path(request.authorized_keys)) if request.authorized_keys else None,
    )


def _project(text: str) -> Staged:
    path = absolute(Path(text))
    if not path.is_dir():
        raise UsageError(f"{text} is no folder that could be brought into the image.")
    return Staged(kind="project", source=str(path), target=path.name)


def _repository(text: str) -> Staged:
    source, _, ref = text.partition("#")
    name = source.rstrip("/").rpartition("/")[2].removesuffix(".git")
    if not name or name.startswith("."):
        raise UsageError(
            f"{text!r} names no project of git.", hint="Write OWNER/NAME, or a URL; #REF after it."
        )
    return Staged(kind="git", source=source, target=name, ref=ref)
