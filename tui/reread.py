"""Contexts and sync profiles that are written while the dashboard runs, by it or in another terminal."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from backend import lastcontext
from backend.config import load
from backend.config.load import CONTEXTS
from backend.config.paths import state_dir
from backend.config.sync import FILE as SYNC

if TYPE_CHECKING:
    from backend.config import Config

Stamps = frozenset[tuple[str, int, int, int]]
"""Name, number, size and time of writing of files: others once one is written, comes or goes."""

_EVERY = 1.0
"""Seconds between two looks."""


class Reread:
    """Knows whether what was read is still what the files say, and reads it again."""

    def __init__(self, directory: Path) -> None:
        """`directory`: of the configuration, which was read just now."""
        self._directory = directory
        self._read = _stamps(directory)
        self._turn = asyncio.Lock()

    async def written(self) -> None:
        """Until somebody writes something. A look at a folder each second, in a thread: a home may hang."""
        while True:
            if not self._turn.locked() and await asyncio.to_thread(_stamps, self._directory) != self._read:
                return
            await asyncio.sleep(_EVERY)

    async def read(self, config: Config) -> Config:
        """`config` with the contexts and profiles of now. Raises `ConfigError`, once for each writing.

        Hosts and settings stay: the dashboard is connected to those.
        """
        async with self._turn:
            self._read = _stamps(self._directory)
            new = await asyncio.to_thread(load, self._directory)
        return msgspec.structs.replace(
            config, contexts=new.contexts, profiles=new.profiles, keeping=new.keeping
        )


def _stamps(directory: Path) -> Stamps:
    paths = [directory / SYNC, state_dir() / lastcontext.FILE]
    with suppress(OSError):
        paths += (directory / CONTEXTS).iterdir()
    found = set()
    for path in paths:
        with suppress(OSError):
            known = path.stat()
            found.add((str(path), known.st_ino, known.st_size, known.st_mtime_ns))
    return frozenset(found)
