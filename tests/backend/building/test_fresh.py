"""Whether an image is what its recipe would give, and the reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from backend.building.fresh import labels, reason
from backend.recipes.model import Kind, Rendered

TEXT = "FROM base:1\nRUN x\n"
BASES = {"base:1": "sha256:aa"}
RENDERED = Rendered(
    recipe="leaf",
    kind=Kind.DOCKERFILE,
    folder=Path("/nowhere"),
    dockerfile=Path("/nowhere/Dockerfile"),
    tags=("leaf:latest",),
    images=("base:1",),
    digest="d" * 64,
    files=1,
)


def image(**changed: str) -> dict[str, Any]:
    return {"Config": {"Labels": {**labels(RENDERED, TEXT, BASES), **changed}}}


def test_what_was_built_of_it_is_fresh():
    assert reason(image(), RENDERED, TEXT, BASES) == ""
    assert reason(image(), RENDERED, TEXT, {}) == ""  # the base was removed meanwhile: nothing to compare


def test_reasons():
    other = replace(RENDERED, digest="e" * 64)
    assert reason(None, RENDERED, TEXT, BASES) == "it is not there"
    assert "not built from a recipe" in reason({"Config": {"Labels": None}}, RENDERED, TEXT, BASES)
    assert "not built from a recipe" in reason({}, RENDERED, TEXT, BASES)
    assert "recipe other" in reason(image(**{"berth.recipe": "other"}), RENDERED, TEXT, BASES)
    assert reason(image(), other, TEXT + "RUN y\n", BASES) == "its Dockerfile has changed"
    assert (
        reason(image(), replace(other, build_args={"a": "1"}), TEXT, BASES)
        == "its arguments or names have changed"
    )
    assert reason(image(), other, TEXT, BASES) == "its files have changed"
    stacked = replace(other, parents=("base",), files=0)
    assert reason(image(), stacked, TEXT, BASES) == "what it stands on has changed"
    assert reason(image(), RENDERED, TEXT, {"base:1": "sha256:bb"}) == "base:1 is another image now"


def test_labels_that_make_no_sense_are_no_crash():
    assert reason(image(**{"berth.bases": "[1"}), RENDERED, TEXT, BASES) == ""
    assert reason({"Config": {"Labels": ["x"]}}, RENDERED, TEXT, BASES) != ""
