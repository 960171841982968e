"""What a project tells of itself, and what it is on a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Defaults:
    """What its jobs ask for where the person says nothing."""

    cpus: int = 1
    gpus: int = 0
    memory: int = 0
    """Bytes."""
    shm: int = 0
    """Bytes."""
    to_file: bool = False
    """Its output goes to a file of the project, not to the terminal."""


@dataclass(frozen=True)
class Project:
    """A project on this machine."""

    folder: Path
    name: str
    kind: str
    """`rp`."""
    tag: str
    """Name of its image, without what tells its content."""
    defaults: Defaults
    paths: tuple[str, ...] = ()
    """Folders of the host that its jobs see at /home/user/LAST."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A project on a host, ready for jobs."""

    folder: str
    """There."""
    image: str
    """Id of the image that was built of it: a later build never changes it."""
    mounts: tuple[tuple[str, str, bool], ...]
    workdir: str
    user: str
    """`UID:GID` on the host."""
    groups: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    logs: str = ""
    """Folder there that takes output files."""

    start: tuple[str, ...] = ()
    """What a container of it runs before the script: its hook, and the shell that scripts get."""

    def command(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """A script of the project and its arguments, as the command of a container."""
        return (*self.start, *words) if words else ()
