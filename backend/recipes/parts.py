"""What each kind of recipe gives a builder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from backend.errors import ActionFailed, ConfigError
from backend.recipes import hooks, naming, people
from backend.recipes.context import Entry
from backend.recipes.dockerfile import Dockerfile
from backend.recipes.folders import ENTRYPOINT, own_entries
from backend.recipes.model import Dependency, Kind, Origin, Recipe, Rendered
from backend.recipes.origins import of_recipe, place_of
from backend.recipes.references import References
from backend.recipes.sources import Source

_PORT_ARGUMENT = {"$port", "${port}", "$PORT", "${PORT}"}
"""The first port is also given as an argument."""


def source(
    recipe: Recipe, parents: Mapping[str, Rendered], base_override: str, owner: tuple[int, int]
) -> Source:
    """Raises `BerthError`s for what is wrong with its files."""
    _secrets(recipe)
    if recipe.kind is Kind.RP:
        return _rp(recipe, parents, owner)
    generated: list[Entry] = []
    pre_run = False
    if recipe.kind is Kind.WORKSPACE:
        text, made = hooks.dockerfile(recipe.folder)
        generated += made
        pre_run = hooks.find(recipe.folder, "pre-run") is not None
    else:
        text = _read(recipe)
    reader = References(recipe, text, parents, base_override)
    generated += _people(recipe)
    args = reader.args(owner)
    text = reader.rewritten() + _added(recipe, reader.file)
    return Source(
        text=text,
        tags=_tags(recipe, base_override),
        entries=lambda: own_entries(recipe),
        generated=tuple(generated),
        args=args,
        base=reader.base,
        images=tuple(dict.fromkeys(image for _, image in reader.used)),
        parents=tuple(dict.fromkeys(each.recipe for each, _ in reader.used if each and each.recipe)),
        parent_digests=_digests(reader.used, parents),
        target=recipe.config.target,
        platform=recipe.config.platform,
        owner=owner,
        buildkit=reader.layout.buildkit,
        pre_run=pre_run,
        origins=(*reader.origins, *of_recipe(recipe)),
    )


def _digests(used: list[tuple[Dependency | None, str]], parents: Mapping[str, Rendered]) -> tuple[str, ...]:
    names = dict.fromkeys(each.recipe for each, _ in used if each is not None and each.recipe)
    return tuple(parents[name].digest for name in names if name in parents)


def _tags(recipe: Recipe, base_override: str) -> tuple[str, ...]:
    """With another base the image of a stack member has another name."""
    if not base_override or recipe.kind is not Kind.STACK or recipe.config.name:
        return recipe.images
    from backend.recipes.graph import own_name

    front = recipe.images[0].rpartition("/")[0] if recipe.images else recipe.config.maintainer or own_name()
    name = naming.of_layer(base_override, recipe.folder.name, local=False)
    return tuple(f"{front}/{name}:{tag}" for tag in recipe.config.tags or ("latest",))


def _read(recipe: Recipe) -> str:
    if recipe.file is None:
        raise ConfigError(f"{recipe.folder}: there is no Dockerfile.")
    try:
        return recipe.file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{recipe.file}: cannot be read: {error}.") from None


def _added(recipe: Recipe, file: Dockerfile) -> str:
    """Lines that a Dockerfile lacks: ports of berth.yaml, and a cluster's entrypoint."""
    lines: list[str] = []
    exposed = {word for each in file.instructions if each.name == "EXPOSE" for word in each.text.split()}
    for number, port in enumerate(recipe.config.ports):
        named = {port, f"{port}/tcp"} | (_PORT_ARGUMENT if number == 0 else set())
        if not named & exposed:
            lines.append(f"EXPOSE {port}")
    if recipe.kind is Kind.CLUSTER and (recipe.folder / ENTRYPOINT).is_file() and not _has_entrypoint(file):
        lines += [f"COPY {ENTRYPOINT} /{ENTRYPOINT}", f'ENTRYPOINT ["/{ENTRYPOINT}"]']
    return "".join(f"\n{line}" for line in lines) + "\n" if lines else ""


def _has_entrypoint(file: Dockerfile) -> bool:
    """Whether it says itself what happens with an entrypoint."""
    if ENTRYPOINT in file.text or any(each.name == "ENTRYPOINT" for each in file.instructions):
        return True
    copied = (each.text for each in file.instructions if each.name in ("COPY", "ADD"))
    return any(re.search(r"(?:^|[\s\"\[])(?:\.|\./|\*|\*\.sh)(?:[\s\",]|$)", text) for text in copied)


def _people(recipe: Recipe) -> list[Entry]:
    """What is staged for the users of the image."""
    config = recipe.config
    found: list[Entry] = []
    if config.users:
        found.append(Entry(people.SCRIPT, data=people.script(config.users).encode(), mode=0o755))
        if (recipe.folder / people.BASHRC).is_file():
            found.append(
                Entry(
                    f"{people.FOLDER}/{people.BASHRC}",
                    str(recipe.folder / people.BASHRC),
                    mode=0o644,
                    text=True,
                )
            )
    if config.authorized_keys is not None:
        keys = people.public_keys(config.authorized_keys)
        found.append(Entry(people.KEYS, data=keys, mode=0o644))
        if not os.path.lexists(recipe.folder / "authorized_keys"):
            found.append(Entry("authorized_keys", data=keys, mode=0o644))
    return found


def _secrets(recipe: Recipe) -> None:
    """Raises `ConfigError` for a secret that is not there."""
    for name, each in recipe.config.secrets.items():
        where = f"{place_of(recipe, 'secrets')}: secrets.{name}"
        if each.file is not None and not each.file.is_file():
            raise ConfigError(f"{where}: there is no file {each.file}.")
        if each.env and each.env not in os.environ:
            raise ConfigError(f"{where}: {each.env} is not set.", hint=f"Set it: export {each.env}=...")


def _rp(recipe: Recipe, parents: Mapping[str, Rendered], owner: tuple[int, int]) -> Source:
    """As jobs have it: composed of its parts, and called by its content."""
    from backend.projects import compose, rp

    try:
        project = rp.read(recipe.folder)
        text = compose.dockerfile(project, *owner)
        digest = compose.digest(project, *owner)
    except OSError as error:
        raise ActionFailed(f"{recipe.folder}: {error.strerror}.") from None
    for each in recipe.dependencies:
        if each.recipe and each.image != each.written:
            where = f"{each.file}:{each.line}:{each.column}"
            raise ConfigError(
                f"{where}: {each.written} is {each.image}.", hint=f"Write that: FROM {each.image}"
            )
    folder = recipe.folder / "docker"
    base = next((each for each in reversed(recipe.dependencies) if each.how == "from"), None)
    used: list[tuple[Dependency | None, str]] = [(each, each.image) for each in recipe.dependencies]
    return Source(
        text=text,
        tags=(f"{project.tag}:{digest}",),
        entries=lambda: [
            Entry(path.relative_to(folder).as_posix(), str(path)) for path in compose.context(project)
        ],
        base=base.image if base else "",
        images=tuple(dict.fromkeys(image for _, image in used)),
        parents=tuple(dict.fromkeys(each.recipe for each in recipe.dependencies if each.recipe)),
        parent_digests=_digests(used, parents),
        owner=owner,
        origins=(Origin(what="tag", value=digest, source=f"content of {folder}"),),
    )
