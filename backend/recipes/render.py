"""A recipe becomes what a builder takes: a Dockerfile and a context, outside the source tree."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from backend.errors import ActionFailed, ConfigError
from backend.recipes import folders, gitcache, parts
from backend.recipes.context import Entry, Made, Writer
from backend.recipes.model import (
    DIGEST_LABEL,
    PRE_RUN,
    RECIPE_LABEL,
    Graph,
    Kind,
    Origin,
    Recipe,
    Rendered,
    Staged,
)
from backend.recipes.origins import place_of
from backend.recipes.sources import Source
from backend.whole import whole

Say = Callable[[str], None]


async def render(
    recipe: Recipe,
    *,
    graph: Graph,
    into: Path,
    parents: Mapping[str, Rendered] | None = None,
    base_override: str = "",
    owner: tuple[int, int] | None = None,
    git: gitcache.Mode = "fetch",
    linked: bool = False,
    say: Say = lambda line: None,
) -> Rendered:
    """Write the Dockerfile and the context of a recipe below `into`, a folder that `staging()` gave.

    `parents`: what was rendered before, by name: their images and digests count where this recipe stands on
    them. `base_override`: another base for this recipe alone. `owner`: uid and gid that rp projects and
    workspaces are made for, of the login on a host; None: ours. `git`: "cached" asks nobody and takes
    projects of git as they were fetched last. `linked`: whoever gets the context follows absolute links, so
    that files need not be copied; `Rendered.linked` says whether it is so.

    Raises `ConfigError` for what is wrong with the recipe, `Refused` for a private key in the context,
    `ActionFailed` where something cannot be read or fetched.
    """
    source = await _source(recipe, parents or {}, base_override, owner)
    place = await asyncio.to_thread(_place, into, recipe.name)
    staged, origins = await _staged(recipe, place, git, say)
    made = await _write(source, staged, place / "context", recipe, linked=linked)
    await asyncio.to_thread(_write_text, place / "Dockerfile", source.text)
    return _rendered(recipe, source, place, made, origins)


async def look(
    recipe: Recipe,
    *,
    graph: Graph,
    into: Path,
    parents: Mapping[str, Rendered] | None = None,
    owner: tuple[int, int] | None = None,
) -> tuple[Rendered, str]:
    """What `render` would give and the text of its Dockerfile; nothing is copied: its files are not there.

    Nobody is asked: projects of git count as they were fetched last. Raises as `render`.
    """
    source = await _source(recipe, parents or {}, "", owner)
    needs_git = any(each.kind == "git" for each in recipe.config.staged)
    place = await asyncio.to_thread(_place, into, recipe.name) if needs_git else into
    staged, origins = await _staged(recipe, place, "cached", lambda line: None)
    made = await _write(source, staged, None, recipe)
    return _rendered(recipe, source, place, made, origins), source.text


async def _source(
    recipe: Recipe, parents: Mapping[str, Rendered], base_override: str, owner: tuple[int, int] | None
) -> Source:
    if recipe.problems and not base_override:
        raise ConfigError(str(recipe.problems[0]), hint=recipe.problems[0].hint)
    who = owner or (os.getuid(), os.getgid())
    return await asyncio.to_thread(parts.source, recipe, parents, base_override, who)


def _place(into: Path, name: str) -> Path:
    """A new folder with the recipe's name, as far as a file can have it."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:60].lstrip(".") or "recipe"
    place = into / plain
    while True:
        try:
            place.mkdir()
            return place
        except FileExistsError:
            place = into / f"{plain}-{secrets.token_hex(3)}"
        except OSError as error:
            raise ActionFailed(f"{place}: {error.strerror}.") from None


async def _staged(
    recipe: Recipe, place: Path, git: gitcache.Mode, say: Say
) -> tuple[list[Entry], list[Origin]]:
    """Entries of what is staged beside the recipe's own files."""
    entries: list[Entry] = []
    origins: list[Origin] = []
    for number, each in enumerate(recipe.config.staged):
        detail = ""
        if each.kind == "git":
            folder = place / f"git-{number}"
            commit = await gitcache.export(each.source, each.ref, folder, mode=git, say=say)
            entries += await asyncio.to_thread(folders.tree, folder, each.target)
            detail = f" at {commit[:12]}"
        elif each.kind == "project":
            entries += await folders.project(Path(each.source), each.target)
        else:
            entries += await asyncio.to_thread(folders.files, Path(each.source), each.target)
        origins.append(
            Origin(what=f"staged {each.target}", value=f"{each.source}{detail}", source=_where(recipe, each))
        )
    return entries, origins


def _where(recipe: Recipe, staged: Staged) -> str:
    said = f"staged {staged.target}" in recipe.config.said
    return "command line" if said else place_of(recipe, "staged")


async def _write(
    source: Source, staged: list[Entry], context: Path | None, recipe: Recipe, *, linked: bool = False
) -> Made:
    """The context, in a thread that a cancel ends; None: only what it would be."""
    stop = threading.Event()

    def work() -> Made:
        own = source.entries()
        folders.no_clash(recipe, own, [*staged, *source.generated])
        try:
            if context is not None:
                context.mkdir()
        except OSError as error:
            raise ActionFailed(f"{context}: {error.strerror}.") from None
        writer = Writer(context, str(recipe.folder), recipe.config.allow_keys, stop, linked=linked)
        return writer.write([*own, *staged, *source.generated])

    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await whole(asyncio.wait({task}))
        raise


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ActionFailed(f"{path}: {error.strerror}.") from None


def _rendered(recipe: Recipe, source: Source, place: Path, made: Made, origins: list[Origin]) -> Rendered:
    digest = source.digest(made.digest)
    user = ":".join(map(str, source.owner)) if recipe.kind in (Kind.RP, Kind.WORKSPACE) else ""
    return Rendered(
        recipe=recipe.name,
        kind=recipe.kind,
        folder=place / "context",
        dockerfile=place / "Dockerfile",
        tags=source.tags,
        base=source.base,
        images=source.images,
        parents=source.parents,
        build_args=source.args,
        secrets=recipe.config.secrets,
        target=recipe.config.target,
        platform=recipe.config.platform,
        labels={DIGEST_LABEL: digest, RECIPE_LABEL: recipe.name},
        digest=digest,
        no_cache=recipe.config.no_cache,
        buildkit=source.buildkit,
        ports=recipe.config.ports,
        users=recipe.config.users,
        services=recipe.config.services,
        cluster=recipe.config.cluster,
        pre_run=PRE_RUN if source.pre_run else "",
        user=user,
        linked=made.linked,
        files=made.files,
        size=made.size,
        origins=(*source.origins, *origins),
    )
