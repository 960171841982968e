"""What a recipe's own files give a builder: the Dockerfile's text, arguments, names, and the folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from backend.recipes.context import Entry
from backend.recipes.model import Origin


@dataclass(frozen=True, kw_only=True)
class Source:
    """All of a rendered recipe but its context."""

    text: str
    """The Dockerfile."""
    tags: tuple[str, ...]
    entries: Callable[[], list[Entry]]
    """Looks at the recipe's folder: what of it is part of the context."""
    generated: tuple[Entry, ...] = ()
    """What is made for it."""
    args: dict[str, str] = field(default_factory=dict)
    base: str = ""
    images: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    parent_digests: tuple[str, ...] = ()
    target: str = ""
    platform: str = ""
    owner: tuple[int, int] = (0, 0)
    buildkit: str = ""
    pre_run: bool = False
    origins: tuple[Origin, ...] = ()

    def digest(self, context: str) -> str:
        """Over all that decides what is in the image; `context`: the digest of its files."""
        found = hashlib.sha256(b"berth recipe 1\0")
        for part in (
            *(self.text, self.base, self.target, self.platform, context),
            *(f"{name}={value}" for name, value in sorted(self.args.items())),
            *("images", *self.images, "parents", *self.parents, *self.parent_digests),
        ):
            data = part.encode(errors="surrogateescape")
            found.update(f"{len(data)}:".encode() + data)
        return found.hexdigest()
