"""What a sync is about: trees of two sides, changes, plans, results."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from backend.config import SyncRule

Way = Literal["push", "pull"]
Kind = Literal["new", "changed", "deleted", "conflict", "newer", "large", "link", "kind"]
"""new, changed, deleted: what would be done. The rest is left alone: `conflict` was changed on both sides,
`newer` is newer at the target, `large` is over the limit, `link` leads out of the folder, `kind` is a folder
here and a file there."""
Choice = Literal["skip", "mine", "theirs"]
DONE: tuple[Kind, ...] = ("new", "changed", "deleted")


class Part(Struct, frozen=True):
    """A rule within its tree."""

    prefix: bytes
    """Where it begins, below the tree's root."""
    rule: SyncRule


class Pair(Struct, frozen=True):
    """A tree as both sides have it."""

    here: str
    """Folder on this machine, as written."""
    there: str
    """Folder on the host, as written; a relative one starts at the home."""
    parts: tuple[Part, ...]
    """In the order of their rules."""


class Change(Struct, frozen=True, gc=False):
    """One file or folder that is not the same on both sides."""

    kind: Kind
    way: Way
    """From which side to which."""
    pair: int
    """Number of its tree."""
    path: bytes
    """Below the tree's root."""
    here: bytes
    """Its token on this machine; empty: not there."""
    there: bytes
    note: str = ""
    choices: bool = False
    """Whether somebody may choose which of the two stays."""

    @property
    def size(self) -> int:
        """Bytes of what would go over, or away."""
        return size_of((self.here or self.there) if self.way == "push" else (self.there or self.here))

    @property
    def folder(self) -> bool:
        """Whether it is a folder."""
        return (self.here or self.there) == b"d"


class Plan(Struct, frozen=True):
    """What a sync with one host would do."""

    host: str
    changes: tuple[Change, ...]
    same: int
    """Files that need nothing."""
    problems: tuple[str, ...] = ()
    """What could not be read."""
    refusal: str = ""
    """Why nothing may be deleted: then nothing is."""
    skew: float = 0.0
    """Seconds that the host's clock is ahead."""
    final: str = ""
    """Why this cannot be undone; empty: it can. It is asked about."""

    def of(self, *kinds: Kind) -> list[Change]:
        """The changes of these kinds."""
        return [each for each in self.changes if each.kind in kinds]

    @property
    def asks(self) -> bool:
        """Whether somebody has to agree to it."""
        return not self.refusal and bool(self.final or self.deletions())

    def deletions(self) -> frozenset[tuple[str, int, bytes]]:
        """What would be deleted, comparable with another plan."""
        return frozenset((each.way, each.pair, each.path) for each in self.changes if each.kind == "deleted")


class HostResult(Struct, frozen=True, kw_only=True):
    """How a sync with one host ended; what `--json` prints."""

    host: str
    profile: str
    ok: bool
    run: str = ""
    """Names it for `berth sync undo`, where something was kept; else empty."""
    batch: str = ""
    """The same for all hosts of one sync."""
    kept_at: dict[str, str] = {}
    """By way: a folder that leads to what is kept."""
    started_at: datetime
    seconds: float = 0.0
    new: int = 0
    changed: int = 0
    deleted: int = 0
    bytes: int = 0
    """Of the files that went over."""
    conflicts: tuple[str, ...] = ()
    """Paths that were changed on both sides and left alone."""
    newer: int = 0
    large: int = 0
    same: int = 0
    notes: tuple[str, ...] = ()
    error: str | None = None
    exit_code: int = 0


def size_of(token: bytes) -> int:
    """Bytes of a file; 0 for anything else."""
    if token[:1] in (b"f", b"x"):
        return int(token[1:].partition(b" ")[0])
    return 0


def time_of(token: bytes) -> int:
    """When a file was written last, in ns since the epoch; 0 for anything else."""
    if token[:1] in (b"f", b"x"):
        return int(token.rpartition(b" ")[2])
    return 0


def alike(one: bytes, other: bytes) -> bool:
    """Whether two tokens mean the same file: size and time, as rsync compares them.

    A side that keeps no fractions of seconds, or only some of them, has them cut.
    """
    if one == other:
        return True
    if one[:1] != other[:1] or one[:1] not in (b"f", b"x") or size_of(one) != size_of(other):
        return False
    first, second = time_of(one), time_of(other)
    if first // 1_000_000_000 != second // 1_000_000_000:
        return False
    return not first % 1_000_000_000 or not second % 1_000_000_000 or first // 1000 == second // 1000
