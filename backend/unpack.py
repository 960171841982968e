"""A tar archive from a container -> files here: never outside the folder, never a device.

The archive comes from a host and is hostile until unpacked. What is not a file, a folder, or a link that
stays inside is passed over and named. Links are made last, so that nothing is ever written through one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn, Protocol, Self

from backend.errors import ActionFailed

_CHUNK = 256 * 1024
_END = 1024
"""Bytes of zeros that end an archive."""
_DEEP = 200
"""Folders inside each other; the kernel's limit on paths is near."""
_LONG = 4096
"""Characters of a path: the kernel takes no longer one."""
_HEADER = 1 << 20
"""Bytes of one extended header. It holds names and attributes, and is read into memory as a whole."""
_GLOBAL = 64
"""Values of global headers: each member gets them all."""
_NAMED = 1000
"""Members passed over that are named; the rest is counted."""
_ENTRIES = 1_000_000
"""Links and folders, which have to be remembered to the end."""


class Readable(Protocol):
    """What the archive is read from."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""


@dataclass
class Unpacked:
    """What came of an archive."""

    root: Path
    """The file or folder that the archive is about, in the folder it was unpacked in."""
    files: int = 0
    bytes: int = 0
    skipped: list[str] = field(default_factory=list)
    """`path: why` of what was passed over, the first of them; raw, it came from a host."""
    unnamed: int = 0
    """More that was passed over."""


def unpack(stream: Readable, folder: Path, progress: Callable[[int], None]) -> Unpacked:
    """Unpack into `folder`, which must be empty and ours alone. `progress` is told all bytes written so far.

    Raises `ActionFailed` where the archive is broken off or empty; `OSError` where the disk does not play.
    """
    return _Unpacker(folder, progress).run(stream)


class _Unpacker:
    """One archive at work."""

    def __init__(self, folder: Path, progress: Callable[[int], None]) -> None:
        self._folder = folder
        self._progress = progress
        self._done = Unpacked(folder)
        self._folders: list[tuple[Path, int, float]] = []
        self._links: list[tuple[Path, str]] = []

    def run(self, stream: Readable) -> Unpacked:
        done = self._done
        try:
            whole = _Whole(stream)
            with _open(whole) as archive:
                while (member := _next(archive)) is not None:
                    self._member(archive, member)
                    archive.members.clear()  # type: ignore[attr-defined]  # or it remembers them all
            whole.finish()
        except tarfile.TarError as error:
            raise ActionFailed(f"the archive from the container cannot be read: {error}.") from None
        for path, target in self._links:
            self._link(path, target)
        for path, mode, mtime in reversed(self._folders):
            _finish(path, mode | 0o700, mtime)
        if done.root == self._folder or not os.path.lexists(done.root):
            why = f" ({done.skipped[0]})" if done.skipped else ""
            raise ActionFailed(f"nothing came that can be copied{why}.")
        return done

    def _skip(self, name: str, why: str) -> None:
        if len(self._done.skipped) < _NAMED:
            self._done.skipped.append(f"{name[:_LONG]}: {why}")
        else:
            self._done.unnamed += 1

    def _remember(self, what: list[Any], entry: tuple[Any, ...]) -> None:
        if len(what) >= _ENTRIES:
            raise ActionFailed(f"the archive from the container holds over {_ENTRIES} folders or links.")
        what.append(entry)

    def _member(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = _parts(member.name)
        if parts is None:
            return self._skip(member.name, "its path leads elsewhere")
        path = self._folder.joinpath(*parts)
        if self._done.root == self._folder:
            self._done.root = self._folder / parts[0]
        if not self._make_parents(path):
            return self._skip(member.name, "what it lies in is no folder")
        if member.isdir() and path.is_dir():
            return None
        if os.path.lexists(path):
            return self._skip(member.name, "comes twice")
        if member.isdir():
            path.mkdir(mode=0o700)
            self._remember(self._folders, (path, member.mode, member.mtime))
        elif member.issparse():
            self._skip(member.name, "a file with holes, whose size anybody could claim")
        elif member.isreg():
            source = archive.extractfile(member)
            assert source is not None
            self._write(source, path)
            _finish(path, member.mode | 0o400, member.mtime)
        elif member.issym():
            self._remember(self._links, (path, member.linkname[: _LONG + 1]))
        elif member.islnk():
            self._hard_link(path, member)
        else:
            self._skip(member.name, "neither a file nor a folder")
        return None

    def _make_parents(self, path: Path) -> bool:
        """Make the folders above `path`; False where one of them is something else."""
        parent = path.parent
        if parent == self._folder:
            return True
        if os.path.lexists(parent):
            return parent.is_dir() and not parent.is_symlink()
        if not self._make_parents(parent):
            return False
        parent.mkdir(mode=0o700)
        return True

    def _write(self, source: IO[bytes], path: Path) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as target:
            while chunk := source.read(_CHUNK):
                target.write(chunk)
                self._done.bytes += len(chunk)
                self._progress(self._done.bytes)
        self._done.files += 1

    def _hard_link(self, path: Path, member: tarfile.TarInfo) -> None:
        parts = _parts(member.linkname)
        source = self._folder.joinpath(*parts) if parts else None
        if source is None or not source.is_file():
            return self._skip(member.name, f"a link to {member.linkname}, which was not copied")
        os.link(source, path, follow_symlinks=False)
        self._done.files += 1
        return None

    def _link(self, path: Path, target: str) -> None:
        """Make a symbolic link that stays inside.

        `..` may only stand at its beginning: there it means a real folder, further on it could be the parent
        of whatever another link leads to.
        """
        inside = path.parent.relative_to(self._folder).parts
        name = "/".join((*inside, path.name))
        parts = [part for part in target.split("/") if part not in ("", ".")]
        up = 0
        while up < len(parts) and parts[up] == "..":
            up += 1
        # The outermost folder is what is copied: beside it is outside.
        if not target or target.startswith("/") or "\0" in target or ".." in parts[up:] or up >= len(inside):
            return self._skip(name, f"a link out of the folder, to {target}")
        if os.path.lexists(path):
            return self._skip(name, "comes twice")
        if len(os.fsencode(target)) >= _LONG:
            return self._skip(name, "a link to a path that is too long")
        path.symlink_to(target)
        self._done.files += 1
        return None


def _parts(name: str) -> tuple[str, ...] | None:
    """The parts of a member's path, or None if it is not plainly inside."""
    if name.startswith("/") or "\0" in name or len(name) > _LONG:
        return None
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    return None if ".." in parts or not parts or len(parts) > _DEEP else parts


def _finish(path: Path, mode: int, mtime: float) -> None:
    """Give it its time and permissions, never set-uid."""
    path.chmod(mode & 0o777)
    try:
        os.utime(path, (mtime, mtime))
    except (OverflowError, OSError, ValueError):
        return  # a time this system cannot store is not worth a failure


class _Bounded(tarfile.TarInfo):
    """A member whose header is only read if it has a size that headers have."""

    _EXTENDED = (
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    )

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The header in a block of 512 bytes."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in cls._EXTENDED and not 0 <= found.size <= _HEADER:
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        if found.type == tarfile.GNUTYPE_SPARSE:  # its map may go on for ever
            raise tarfile.ReadError("a file with holes")
        return found

    def _proc_gnusparse_10(self, *args: object) -> NoReturn:
        """What tarfile calls for a map of holes that stands in the data, of whatever length."""
        raise tarfile.ReadError("a file with holes")


@contextlib.contextmanager
def _header() -> Iterator[None]:
    """Raises `tarfile.TarError` for whatever is wrong in a header: no numbers, headers of headers."""
    try:
        yield
    except (ValueError, OverflowError, LookupError, RecursionError) as error:
        raise tarfile.ReadError(f"a header is broken ({type(error).__name__})") from None


def _open(source: Any) -> tarfile.TarFile:
    with _header():
        return tarfile.open(fileobj=source, mode="r|", bufsize=_CHUNK, tarinfo=_Bounded)


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    with _header():
        member = archive.next()
    if len(archive.pax_headers) > _GLOBAL:
        raise tarfile.ReadError("too many global headers")
    return member


class _Whole:
    """Reads exactly as much as is asked for, as tarfile expects; raises where the stream breaks off."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._tail = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        if self._ended:  # tarfile would ask again for every block of what a header claims
            raise tarfile.ReadError("it breaks off")
        parts = []
        while size > 0 and (data := self._stream.read(size)):
            parts.append(data)
            size -= len(data)
        found = b"".join(parts)
        self._ended = not found
        self._tail = (self._tail + found)[-_END:]
        return found

    def finish(self) -> None:
        """Read to the end, and raise where that is not the end of an archive: tarfile does not mind."""
        while not self._ended:
            self.read(_CHUNK)
        if len(self._tail) < _END or self._tail.strip(b"\0"):
            raise tarfile.ReadError("it breaks off")


def put_in_place(source: Path, target: Path, folder: Path) -> None:
    """Rename what was unpacked to its final name; what has that name now is kept in `folder` until then."""
    old = folder / ".replaced"
    there = os.path.lexists(target)
    if there:
        target.rename(old)
    try:
        source.rename(target)
    except BaseException:
        if there:
            old.rename(target)
        raise


def discard(folder: Path) -> None:
    """Remove a folder of ours with all that is in it, whatever its permissions became."""
    shutil.rmtree(folder, ignore_errors=True)
