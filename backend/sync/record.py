"""How the files of a profile were on both sides after the last sync: what tells a change from a clash.

One file per profile and host in the state directory. It can be lost: then nobody knows which side changed a
file, and times decide, as rsync has it.
"""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

from backend import atomic
from backend.config import state_dir
from backend.sync.model import Pair

_MAGIC = b"berth-sync-1"
States = dict[bytes, tuple[bytes, bytes]]
"""Path to the tokens of this machine and of the host."""


class Record:
    """The states of one tree with one host."""

    def __init__(self, profile: str, host: str, pair: Pair) -> None:
        text = "\0".join((profile, host, pair.here, pair.there))
        name = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self.path = state_dir() / "sync" / "records" / name
        self.states: States = {}
        self.mounts = ("", "")
        """Where the file systems of both sides were mounted."""
        self.known = self._read()
        """Whether there was a sync before."""

    def _read(self) -> bool:
        try:
            parts = zlib.decompress(self.path.read_bytes()).split(b"\0")
        except (OSError, zlib.error):
            return False
        if parts[0] != _MAGIC or len(parts) % 3 != 0:
            return False
        self.mounts = (parts[1].decode("utf-8", "replace"), parts[2].decode("utf-8", "replace"))
        rest = parts[3:]
        self.states = {
            path: (here, there or here)
            for path, here, there in zip(rest[0::3], rest[1::3], rest[2::3], strict=True)
        }
        return True

    def write(self, states: Mapping[bytes, tuple[bytes, bytes]], mounts: tuple[str, str]) -> None:
        """Keep these, where they differ from what is kept. A full disk loses the record, not the sync."""
        if self.known and states == self.states and mounts == self.mounts:
            return
        parts = [_MAGIC, mounts[0].encode(), mounts[1].encode()]
        for path, (here, there) in states.items():
            parts += [path, here, b"" if here == there else there]
        with contextlib.suppress(OSError):
            atomic.write(self.path, zlib.compress(b"\0".join(parts), 1), durable=False)
        self.states, self.mounts, self.known = dict(states), mounts, True


def folder() -> Path:
    """Where all this is."""
    return state_dir() / "sync"
