"""What is known of a host's disks. Bytes are integers, times aware and in UTC, unknown is None."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class FileSystem(Struct, frozen=True, kw_only=True, gc=False):
    """A file system that matters: root, homes, the engine's, folders of hosts.yaml, any other disk."""

    host: str
    mount: str
    roles: tuple[str, ...] = ()
    """`root`, `engine`, `home`, `folder` (of hosts.yaml); none: just a disk."""
    folders: tuple[str, ...] = ()
    """The folders that make it matter."""
    kind: str = ""
    """ext4, xfs, nfs4 ..."""
    source: str = ""
    total: int | None = None
    used: int | None = None
    free: int | None = None
    """Bytes an ordinary user can still write."""
    inodes: int | None = None
    """How many files it can hold; None where there is no such limit."""
    inodes_used: int | None = None
    error: str = ""
    """Why nothing is known of it: it does not answer."""


class Used(Struct, frozen=True, kw_only=True, gc=False):
    """One image, container, volume or piece of build cache."""

    kind: str
    """`image`, `container`, `volume`, `cache`."""
    id: str
    name: str
    size: int
    """Bytes: of an image with all its layers, of a container what it wrote."""
    shared: int | None = None
    """Of an image: bytes that other images have too."""
    in_use: bool = False
    """An image with a container, a container that is not at its end, a volume that a container mounts."""
    owner: str | None = None
    state: str = ""
    """Of a container."""
    created_at: datetime | None = None
    used_at: datetime | None = None
    """Of build cache: when it was used last."""
    anonymous: bool = False
    """A volume that nobody named."""
    parents: tuple[str, ...] = ()
    """Of build cache: what it stands on."""
    keep: bool = False
    """Build cache that pruning leaves: shared with an image, or the builder's own."""


class Sum(Struct, frozen=True, kw_only=True, gc=False):
    """All of one kind."""

    kind: str
    count: int
    size: int
    active: int
    """How many are in use."""
    reclaimable: int
    """Bytes of those that nothing uses; of images a lower bound where layers are shared."""


class EngineUse(Struct, frozen=True, kw_only=True, gc=False):
    """What an engine holds, as of a moment."""

    host: str
    engine: str
    at: datetime
    seconds: float
    """How long the engine took to find out."""
    layers: int = 0
    """Bytes of all layers of all images, each once."""
    items: tuple[Used, ...] = ()


class Owner(Struct, frozen=True, kw_only=True, gc=False):
    """Who holds how much."""

    host: str
    owner: str
    bytes: int
    guess: int = 0
    """Bytes more that are expected where not all was read."""
    holdings: tuple[tuple[str, int], ...] = ()
    """The folders that hold most of it, with their bytes."""


class HostDisk(Struct, frozen=True, kw_only=True, gc=False):
    """One host's answer to `berth disk`."""

    host: str
    ok: bool
    error: str | None = None
    filesystems: tuple[FileSystem, ...] = ()
    engine: EngineUse | None = None
    engine_age: float | None = None
    """Seconds since the engine was asked; 0: just now."""
    engine_error: str | None = None
    sums: tuple[Sum, ...] = ()
    owners: tuple[Owner, ...] = ()
    """Who owns the containers' own layers; homes are counted by `berth disk top --by owner`."""


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """A folder or file of a tree."""

    name: str
    """In a listing its name, else its whole path; a host's text."""
    kind: str
    """`folder`, `file`, `link`, `mount` (another file system, not entered), `other`."""
    bytes: int
    """Certain, by blocks."""
    guess: int = 0
    """Bytes more that are expected in what was not read."""
    doubt: int = 0
    """How far the guess may be off: most are nearer than that."""
    files: int = 0
    folders: int = 0
    owner: str = ""
    newest: int = 0
    """When the newest file in it was written, unix time; 0: there is none."""
    open: int = 0
    """Folders in it that were not read."""
    read: bool = True
    failed: bool = False
    """It cannot be read."""
    folded: bool = False

    @property
    def size(self) -> int:
        """The best that can be said."""
        return self.bytes + self.guess

    @property
    def sampled(self) -> bool:
        """Whether part of it was not read."""
        return self.open > 0


class Progress(Struct, frozen=True, kw_only=True, gc=False):
    """How far a scan is."""

    root: str = ""
    bytes: int = 0
    guess: int = 0
    doubt: int = 0
    files: int = 0
    folders: int = 0
    open: int = 0
    complete: bool = False
    unreadable: int = 0
    problems: tuple[tuple[str, str], ...] = ()
    """Some of the folders that cannot be read, and why."""
    errors: int = 0
    partial: bool = False
    seconds: float = 0.0


class Listing(Struct, frozen=True, kw_only=True, gc=False):
    """A folder and what is in it."""

    path: str
    root: str
    itself: Entry
    rows: tuple[Entry, ...]
    more: int = 0
    """How many smaller ones are left out."""
    more_bytes: int = 0
    whole: bool = True
    """Whether there was time to look at all its files."""
    scan: Progress
