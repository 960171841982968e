"""Where rendered recipes lie while they are used: in the cache, one folder per process and run.

Beside each folder is a file whose lock its process holds. A process that was killed holds none: the next one
that stages something removes what it left. The folders of living processes are never touched.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from backend.config.paths import cache_dir
from backend.errors import ActionFailed
from backend.whole import whole

_LOCK = ".lock"


def folder() -> Path:
    """What holds them all."""
    return cache_dir() / "staged"


@asynccontextmanager
async def staging() -> AsyncIterator[Path]:
    """A new empty folder, gone at the end however that comes. Raises `ActionFailed` where there is none."""
    try:
        place, lock = await asyncio.to_thread(_make)
    except OSError as error:
        raise ActionFailed(f"{folder()} cannot be used: {error.strerror}.") from None
    try:
        yield place
    finally:
        await whole(asyncio.to_thread(_end, place, lock))


def clean() -> list[Path]:
    """Remove what processes left that are gone; what was removed."""
    gone: list[Path] = []
    with suppress(OSError):
        for path in sorted(folder().glob(f"*{_LOCK}")):
            with suppress(OSError):
                lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove(path.with_name(path.name.removesuffix(_LOCK)))
                    path.unlink()
                    gone.append(path)
                finally:
                    os.close(lock)
    return gone


def remove(tree: Path) -> None:
    """Remove a folder with all that is in it, also where folders in it are read-only."""
    if not os.path.lexists(tree):
        return
    if tree.is_symlink() or not tree.is_dir():
        tree.unlink()
        return
    for here, folders, files in os.walk(tree):
        above = Path(here)
        for name in folders:
            path = above / name
            if not path.is_symlink() and path.stat().st_mode & stat.S_IRWXU != stat.S_IRWXU:
                path.chmod(stat.S_IRWXU)
        for name in files:
            (above / name).unlink()
    for here, folders, _ in os.walk(tree, topdown=False):
        for name in folders:
            path = Path(here, name)
            if path.is_symlink():
                path.unlink()
            else:
                path.rmdir()
    tree.rmdir()


def _make() -> tuple[Path, int]:
    above = folder()
    above.mkdir(parents=True, exist_ok=True, mode=0o700)
    clean()
    while True:
        place = above / f"{os.getpid()}-{secrets.token_hex(6)}"
        path = place.with_name(place.name + _LOCK)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever cleans may have taken it for a dead one's before it was locked.
            if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
                place.mkdir(mode=0o700)
                return place, lock
        except OSError:
            os.close(lock)
            raise
        os.close(lock)


def _end(place: Path, lock: int) -> None:
    try:
        remove(place)
        place.with_name(place.name + _LOCK).unlink(missing_ok=True)
    finally:
        os.close(lock)
