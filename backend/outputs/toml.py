"""env.toml beside an image, and ~/.edf/NAME.toml: written, or changed where they are there already.

Only the keys that are berth's to say are touched; comments, order and everything else of a file that people
have written stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Item

from backend.errors import ConfigError
from backend.recipes.model import Output


def env_toml(path: str, was: str | None, image: str, output: Output) -> str:
    """The text of env.toml for the image file at `image` (absolute, on the host).

    What `output` (the recipe's `cluster:`) does not say is kept as it is in `was`, the file so far.
    Raises `ConfigError`.
    """
    document = parse(path, was)
    _set(document, "image", image)
    if output.mounts:
        _set(document, "mounts", list(output.mounts))
    if output.workdir:
        _set(document, "workdir", output.workdir)
    for key, values in (("env", output.env), ("annotations", output.annotations)):
        if values:
            _merge(document, key, values)
    return tomlkit.dumps(document)


def based_on(path: str, was: str | None, base: str, *, workdir: str = "") -> str:
    """The text of an environment that stands on `base`. Raises `ConfigError`."""
    document = parse(path, was)
    if "base_environment" in document or not document:
        _set(document, "base_environment", base)
    else:
        rest = tomlkit.dumps(document)
        document = tomlkit.document()
        document.add("base_environment", tomlkit.item(base))
        return tomlkit.dumps(document) + (_working(rest, path, workdir) if workdir else rest)
    if workdir:
        _set(document, "workdir", workdir)
    return tomlkit.dumps(document)


def parse(path: str, text: str | None) -> tomlkit.TOMLDocument:
    """Raises `ConfigError` naming the file and the line."""
    try:
        return tomlkit.parse(text or "")
    except TOMLKitError as error:
        raise ConfigError(f"{path}: {error}.") from None


def _working(text: str, path: str, workdir: str) -> str:
    document = parse(path, text)
    _set(document, "workdir", workdir)
    return tomlkit.dumps(document)


def _set(document: tomlkit.TOMLDocument, key: str, value: Any) -> None:
    """Change a key's value, or add the key before the first table."""
    if key in document:
        document[key] = value
        return
    item: Item = tomlkit.item(value)
    if isinstance(value, list):
        item.multiline(len(value) > 3)  # type: ignore[attr-defined]  # of its arrays
    document.add(key, item)


def _merge(document: tomlkit.TOMLDocument, key: str, values: Mapping[str, str]) -> None:
    """Add to a table: `com.hooks.x.enabled` stands in it as nested keys, as people write it."""
    if key not in document:
        document.add(key, tomlkit.table())
    table: Any = document[key]
    for name, value in values.items():
        nested = table
        parts = name.split(".") if key == "annotations" else [name]
        for part in parts[:-1]:
            if part not in nested:
                nested.add(part, tomlkit.table(is_super_table=True))
            nested = nested[part]
        nested[parts[-1]] = value
