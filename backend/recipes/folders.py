"""What of a recipe's folder, and of what is staged beside it, is part of the build context."""

from __future__ import annotations

import asyncio
from pathlib import Path

from backend.errors import ActionFailed, ConfigError
from backend.recipes import hooks, ignore
from backend.recipes.context import Entry, walk
from backend.recipes.model import Kind, Recipe
from backend.recipes.origins import place_of

ENTRYPOINT = "entrypoint.sh"
_CLUSTER_LEFT_OUT = ("*.sqsh", "env.toml", "*.log", "tmp")
"""What is made of a cluster's recipe, beside its Dockerfile, and no part of it."""


def own_entries(recipe: Recipe) -> list[Entry]:
    """What of the recipe's folder is part of the context."""
    if recipe.kind is Kind.WORKSPACE:
        return hooks.entries(recipe.folder)
    try:
        ignored_by, patterns = ignore.read(recipe.folder, recipe.file)
    except OSError as error:
        raise ActionFailed(f"{recipe.folder}: .dockerignore cannot be read: {error.strerror}.") from None
    left_out = set()
    for each in (ignored_by, *(secret.file for secret in recipe.config.secrets.values())):
        if each is not None and each.is_relative_to(recipe.folder):
            left_out.add(each.relative_to(recipe.folder).as_posix())
    if recipe.kind is Kind.CLUSTER:
        patterns = [*patterns, *_CLUSTER_LEFT_OUT]
    found = []
    for entry in walk(recipe.folder, ignore.Ignore(patterns)):
        if entry.target in left_out:
            continue
        if entry.target == ENTRYPOINT and recipe.kind is Kind.CLUSTER and not Path(entry.source).is_symlink():
            entry = Entry(entry.target, entry.source, mode=0o755)
        found.append(entry)
    return found


def no_clash(recipe: Recipe, own: list[Entry], staged: list[Entry]) -> None:
    """Raises `ConfigError` where something that is staged has a name that is taken."""
    taken = {entry.target: entry for entry in own}
    for entry in staged:
        twin = taken.get(entry.target)
        if twin is not None and not (_is_folder(entry) and _is_folder(twin)):
            what = twin.source or "what berth makes"
            raise ConfigError(
                f"{place_of(recipe, 'staged')}: {entry.target} is in the context already: {what}.",
                hint="Stage it under another name: `to:`.",
            )
        taken[entry.target] = entry


def _is_folder(entry: Entry) -> bool:
    return bool(entry.source) and Path(entry.source).is_dir() and not Path(entry.source).is_symlink()


def tree(folder: Path, target: str) -> list[Entry]:
    """A folder with all that is in it."""
    return [Entry(target, str(folder)), *walk(folder, ignore.Ignore([]), f"{target}/")]


def files(path: Path, target: str) -> list[Entry]:
    """A file, or a folder with all that is in it. A link is followed: it was named. Raises `ConfigError`."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise ConfigError(f"{path}: there is no such file, and the recipe stages it.") from None
    if real.is_dir():
        return tree(real, target)
    if not real.is_file():
        raise ConfigError(f"{path}: is neither a file nor a folder.")
    return [Entry(target, str(real))]


async def project(folder: Path, target: str) -> list[Entry]:
    """What git does not ignore of a project; without git all but caches. Raises `ConfigError`."""
    from backend.projects.files import listed

    if not await asyncio.to_thread(folder.is_dir):
        raise ConfigError(f"{folder}: there is no such folder, and the recipe stages it.")
    names = await listed(folder)
    return await asyncio.to_thread(_project, folder, target, names)


def _project(folder: Path, target: str, names: list[str]) -> list[Entry]:
    found = {target: Entry(target, str(folder))}
    for name in names:
        for above in reversed(Path(name).parents[:-1]):
            found.setdefault(f"{target}/{above}", Entry(f"{target}/{above}", str(folder / above)))
        path = folder / name
        if path.is_dir() and not path.is_symlink():  # a repository in it: its files, not its history
            for entry in walk(path, ignore.Ignore([".git"]), f"{target}/{name.rstrip('/')}/"):
                found.setdefault(entry.target, entry)
            continue
        found[f"{target}/{name}"] = Entry(f"{target}/{name}", str(path))
    return list(found.values())
