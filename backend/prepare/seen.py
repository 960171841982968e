"""What the host's side says of a host: typed and checked."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct


class Place(Struct, frozen=True):
    """What is at a path."""

    kind: Literal["missing", "file", "folder", "link", "unknown"]
    mode: int = 0
    text: str = ""
    sha: str = ""
    writable: bool = True
    """Of a file: whether it is the user's own and may be written."""
    target: str = ""
    folder: bool = False
    """Of a link: whether it leads to a folder."""
    error: str = ""


MISSING = Place("missing")


class Entry(Struct, frozen=True, omit_defaults=True):
    """One thing that berth made on the host, as its manifest says."""

    kind: str
    """folder, mode, file, block, key, git or packages; of others nothing is known."""
    path: str = ""
    sha: str = ""
    """Of what was written: a file, a block, a private key."""
    created: bool = False
    """The file that holds the block, or the git configuration, was made with it."""
    joined: bool = False
    """The line before the block had no end."""
    was: int = 0
    """The mode before."""
    key: str = ""
    value: str = ""
    names: str = ""
    """Packages, with spaces between."""
    manager: str = ""


class Seen(Struct, frozen=True):
    """A host as it is."""

    user: str
    home: str
    shell: str
    problem: str
    """Why nothing can be written in the home; empty where it can."""
    made: tuple[Entry, ...]
    files: dict[str, Place]
    programs: tuple[str, ...]
    manager: str
    missing: tuple[str, ...]
    """Packages that are asked for and not there."""
    root: bool
    sudo: bool
    """Whether sudo works without a password."""
    git: dict[str, str | None]
    """Keys with their values; empty without git."""

    def at(self, path: str) -> Place:
        """What is at a path that was asked for."""
        return self.files.get(path, MISSING)


def read(data: Any) -> Seen:
    """Raises `msgspec.ValidationError` for what is none."""
    return msgspec.convert(data, Seen)
