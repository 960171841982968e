"""Whether an image is what its recipe would give: told by the labels it was built with, pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from backend.recipes.model import DIGEST_LABEL, RECIPE_LABEL, Rendered

BASES_LABEL = "berth.bases"
"""JSON: reference to id of the images it was built on, as the host had them."""
DOCKERFILE_LABEL = "berth.digest.dockerfile"
ARGS_LABEL = "berth.digest.arguments"
"""Hashes of single parts: they tell what has changed."""


def labels(rendered: Rendered, dockerfile: str, bases: Mapping[str, str]) -> dict[str, str]:
    """The labels an image gets."""
    return {
        **rendered.labels,
        **_parts(rendered, dockerfile),
        DIGEST_LABEL: rendered.digest,
        RECIPE_LABEL: rendered.recipe,
        BASES_LABEL: json.dumps(dict(bases), sort_keys=True),
    }


def reason(
    found: Mapping[str, Any] | None, rendered: Rendered, dockerfile: str, bases: Mapping[str, str]
) -> str:
    """Why an image has to be built, for people; empty: it is fresh.

    `found`: the engine's inspect of its first name, None where there is none. `bases`: ids of the images it
    would be built on, of those that are there.
    """
    if found is None:
        return "it is not there"
    had = _labels(found)
    if RECIPE_LABEL not in had:
        return "what is there was not built from a recipe"
    if had[RECIPE_LABEL] != rendered.recipe:
        return f"what is there was built from recipe {had[RECIPE_LABEL]}"
    if had.get(DIGEST_LABEL) != rendered.digest:
        return _changed(had, rendered, dockerfile)
    for reference, identity in _bases(had).items():
        if bases.get(reference, identity) != identity:
            return f"{reference} is another image now"
    return ""


def _changed(had: Mapping[str, str], rendered: Rendered, dockerfile: str) -> str:
    now = _parts(rendered, dockerfile)
    if had.get(DOCKERFILE_LABEL) != now[DOCKERFILE_LABEL]:
        return "its Dockerfile has changed"
    if had.get(ARGS_LABEL) != now[ARGS_LABEL]:
        return "its arguments or names have changed"
    if rendered.parents and not rendered.files:
        return "what it stands on has changed"
    return "its files, or what it stands on, have changed" if rendered.parents else "its files have changed"


def _parts(rendered: Rendered, dockerfile: str) -> dict[str, str]:
    said = [
        sorted(rendered.build_args.items()),
        sorted(rendered.labels.items()),
        rendered.target,
        rendered.platform,
    ]
    said[1] = [each for each in said[1] if each[0] not in (DIGEST_LABEL, RECIPE_LABEL)]
    return {DOCKERFILE_LABEL: _hash(dockerfile), ARGS_LABEL: _hash(json.dumps(said))}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _labels(found: Mapping[str, Any]) -> dict[str, str]:
    config = found.get("Config")
    had = config.get("Labels") if isinstance(config, dict) else None
    return {str(name): str(value) for name, value in had.items()} if isinstance(had, dict) else {}


def _bases(had: Mapping[str, str]) -> dict[str, str]:
    try:
        found = json.loads(had.get(BASES_LABEL, ""))
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
