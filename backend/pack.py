"""Files here -> a tar archive for a container, produced piece by piece."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from backend.errors import ActionFailed

_CHUNK = 256 * 1024
_END = bytes(10240)
"""What ends an archive: two empty blocks, filled up to a record."""


def measure(source: Path) -> int:
    """How many bytes of content an archive of `source` will carry."""
    if not source.is_dir():
        return source.stat().st_size
    total = 0
    for folder, _, names in os.walk(source):
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink() and path.is_file():
                total += path.stat().st_size
    return total


def pack(
    source: Path, name: str, progress: Callable[[int], None], skipped: list[str], *, inside: str = ""
) -> Iterator[bytes]:
    """The archive of a file or folder, called `name` in it, below the new folder `inside` if one is given.

    Everything belongs to root in it, as `docker cp` does it. Links are kept as links, but `source` itself is
    followed; what is neither file, folder nor link goes to `skipped`. Raises `ActionFailed` where a file
    shrinks while it is read, `OSError` where one cannot be read.
    """
    sent = 0
    if inside:
        folder = tarfile.TarInfo(inside)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        yield _header(folder)
        name = f"{inside}/{name}"
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as describer:
        for path, member_name in _walk(source.resolve(), name):
            describer.inodes.clear()  # type: ignore[attr-defined]  # or a second name of a file becomes a link
            info = describer.gettarinfo(path, member_name)
            if info is None or not (info.isreg() or info.isdir() or info.issym()):
                skipped.append(path)
                continue
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            yield _header(info)
            if info.isreg():
                for chunk in _content(path, info.size):
                    sent += len(chunk)
                    progress(sent)
                    yield chunk
                yield bytes(-info.size % 512)
    yield _END


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _walk(source: Path, name: str) -> Iterator[tuple[str, str]]:
    """Every path below `source` with its name in the archive, folders before what is in them."""
    yield str(source), name
    if not source.is_dir():
        return

    def fail(error: OSError) -> None:
        raise error

    for folder, names, files in os.walk(source, onerror=fail):
        below = os.path.relpath(folder, source)
        prefix = name if below == "." else f"{name}/{below}"
        for each in sorted((*names, *files)):
            yield str(Path(folder, each)), f"{prefix}/{each}"


def _content(path: str, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes of a file, which may grow meanwhile but not shrink."""
    with open(path, "rb") as file:
        left = size
        while left:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:
                raise ActionFailed(f"{path}: became shorter while it was copied.", hint="Try again.")
            left -= len(chunk)
            yield chunk
