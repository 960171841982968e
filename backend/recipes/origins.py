"""Where the values of a rendered recipe came from."""

from __future__ import annotations

from backend.recipes.model import Kind, Origin, Recipe


def place_of(recipe: Recipe, key: str) -> str:
    """`FILE:LINE` of a key of berth.yaml."""
    config = recipe.config
    if key in config.said:
        return "command line"
    return f"{config.file}:{config.lines[key]}" if key in config.lines else "default"


def arg_place(recipe: Recipe, name: str) -> str:
    """Where a build argument came from."""
    return "command line" if f"arg {name}" in recipe.config.said else place_of(recipe, "args")


def of_recipe(recipe: Recipe) -> list[Origin]:
    """Of what is not found out on the way."""
    config = recipe.config
    found = [
        Origin(what="name", value=config.name, source=place_of(recipe, "name")) if config.name else None,
        Origin(
            what="maintainer",
            value=recipe.images[0].partition("/")[0],
            source=place_of(recipe, "maintainer") if config.maintainer else "settings",
        )
        if recipe.kind is Kind.STACK and recipe.images and "/" not in config.name
        else None,
        *(Origin(what="tag", value=tag, source=place_of(recipe, "tags")) for tag in config.tags),
        *(Origin(what="port", value=port, source=place_of(recipe, "ports")) for port in config.ports),
        *(
            Origin(what=f"user {user.name}", value=str(user.uid), source=place_of(recipe, "users"))
            for user in config.users
        ),
        Origin(
            what="authorized_keys",
            value=str(config.authorized_keys),
            source=place_of(recipe, "authorized_keys"),
        )
        if config.authorized_keys
        else None,
        *(
            Origin(
                what=f"secret {name}",
                value=str(each.file or f"${each.env}"),
                source=place_of(recipe, "secrets"),
            )
            for name, each in config.secrets.items()
        ),
        Origin(what="no cache", value=config.no_cache, source=place_of(recipe, "no_cache"))
        if config.no_cache
        else None,
    ]
    return [each for each in found if each is not None]
