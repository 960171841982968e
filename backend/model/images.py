"""Images: what an engine says of them, and their row."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from backend.model.base import Count, Moment, Short


class Image(Struct, frozen=True, gc=False):
    """One entry of section `images`."""

    id: Short
    """`sha256:` and 64 hexadecimal digits; Podman leaves the front out."""
    tags: tuple[Short, ...] = ()
    """Its names, `pytorch:2.4`; none for one that lost them to another image, or never had any."""
    digests: tuple[Short, ...] = ()
    """What registries know it by, `pytorch@sha256:...`."""
    size: Count | None = None
    """Bytes of all its layers."""
    shared_size: Count | None = None
    """Bytes of those layers that other images of the host have as well; None where the engine is silent."""
    created_at: Moment | None = None
    labels: dict[Short, Short] = {}


class ImageReport(Struct, frozen=True, gc=False):
    """Section `images`: sent once somebody asked for it, and then whenever images changed."""

    images: tuple[Image, ...] = ()
    error: Short = ""
    """Why the engine cannot list them; what is here is older then."""


class ImageRow(Struct, frozen=True, kw_only=True, gc=False):
    """`berth images`: an image on a host."""

    host: str
    id: str
    """64 hexadecimal digits, without `sha256:`, on all engines; empty where there is no image yet."""
    name: str
    """What it is shown as: its first tag, or the beginning of its id."""
    tags: tuple[str, ...] = ()
    """As its engine writes them: Podman puts `localhost/` or `docker.io/library/` in front."""
    digests: tuple[str, ...] = ()
    size: int | None = None
    shared_size: int | None = None
    """Bytes that go only with the last image that has them; None where its engine does not say."""
    created_at: datetime | None = None
    used_by: tuple[str, ...] = ()
    """`container web`, `context train`, `job 42`."""
    labels: dict[str, str] = {}
    recipe: str | None = None
    """Name of the recipe it was built from, or that yields its name."""
    state: str | None = None
    """fresh, stale, missing, building; None for an image without a recipe, or while that is not known."""
    reason: str = ""
    """Why it is stale or missing; how far the build is: `3/12`."""
    stale: bool = False
    """What is shown is old: the host is not up now."""

    @property
    def short_id(self) -> str:
        """The beginning of its id, as Docker shows it."""
        return self.id[:12]

    @property
    def besides(self) -> str:
        """What a question about its end has to say: other names it has, and who uses it."""
        others = [tag for tag in self.tags if tag != self.name]
        found = f" It keeps its other name{'s' * (len(others) > 1)} {', '.join(others)}." if others else ""
        return found + (f" It is used by {', '.join(self.used_by)}." if self.used_by else "")
