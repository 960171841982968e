"""What is known of a mounted folder."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class MountState(StrEnum):
    """How a mount is now."""

    MOUNTED = "mounted"
    SILENT = "no answer"
    """It does not answer within the limit: the link is lost. sshfs connects again by itself."""
    BROKEN = "broken"
    """Its sshfs is gone: it never comes back, and only stands in the way."""


STALE = (MountState.SILENT, MountState.BROKEN)


class Record(Struct, frozen=True, kw_only=True):
    """What berth writes down of a mount it made, in its state folder."""

    id: str
    host: str
    path: str
    """On the host; empty: the home there. Relative paths start at the home."""
    folder: str
    """On this machine, absolute."""
    context: str = ""
    read_only: bool = False
    made: tuple[str, ...] = ()
    """Folders that were made for it, outermost first: they go with it if they are empty."""
    since: datetime
    machine: str = ""
    """The name of the machine that mounted it: homes are shared between some."""


class MountRow(Struct, frozen=True, kw_only=True):
    """`berth mounts`."""

    id: str
    host: str
    path: str
    """On the host; empty: the home there."""
    folder: str
    """On this machine."""
    state: MountState
    context: str = ""
    read_only: bool = False
    used: int | None = None
    """Bytes used on the file system there."""
    total: int | None = None
    since: datetime | None = None
    pid: int | None = None
    """Of its sshfs."""
    seconds: float | None = None
    """What the host took to answer."""

    @property
    def name(self) -> str:
        """`HOST:PATH`."""
        return f"{self.host}:{self.path or '~'}"
