"""A build context: which files it has, and a copy of them outside the source tree.

What a file holds is known by its digest. Digests are remembered with size, times and inode of their file, so
that a context of many gigabytes of which nothing changed is not read again. Each copy is what its digest
says: a file that changes meanwhile is read once more.
"""

from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from backend import atomic
from backend.config.paths import cache_dir
from backend.errors import ActionFailed, Refused
from backend.recipes.ignore import Ignore
from backend.recipes.linking import leads_away, whole_folders
from backend.text import printable
from backend.toolkit.find_keys import PACKAGED

_CHUNK = 1 << 20
_KEY_LIMIT = 1 << 20
"""Bytes; a larger file is no key."""
_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\r|\\n)+[A-Za-z0-9+/]"
    rb"|^PuTTY-User-Key-File-[23]:",
    re.MULTILINE,
)
"""A key, not the mention of one."""
_CLONE = 0x40049409
"""ioctl FICLONE: the copy shares the blocks of the source, where the filesystem can."""
_RACY = 2_000_000_000
"""Nanoseconds: a file that was just written may change again without its time telling."""


class Entry(Struct, frozen=True):
    """One thing of a context."""

    target: str
    """Relative path in it, with `/`."""
    source: str = ""
    """Path here; empty: `data` is what it holds."""
    data: bytes = b""
    mode: int | None = None
    """None: that of the source."""
    text: bool = False
    """Windows' line ends become plain ones."""


class Known(Struct, frozen=True, array_like=True, gc=False):
    """What was found out about a file, and what it looked like then."""

    size: int
    mtime: int
    ctime: int
    inode: int
    digest: str
    key: bool
    """Whether it holds a private key."""


class Made(Struct, frozen=True):
    """A context that was written."""

    digest: str
    files: int
    size: int
    linked: bool = False


def walk(folder: Path, ignore: Ignore, under: str = "") -> Iterator[Entry]:
    """Entries of a folder, without what is ignored; sockets, pipes and devices are no part of a context."""
    waiting = [""]
    while waiting:
        here = waiting.pop()
        for entry in sorted(_scan(folder / here), key=lambda entry: entry.name):
            relative = f"{here}/{entry.name}" if here else entry.name
            ignored = ignore.ignored(relative)
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and (not ignored or ignore.keeps_any):
                waiting.append(relative)
            if ignored or not (is_folder or entry.is_symlink() or entry.is_file(follow_symlinks=False)):
                continue
            yield Entry(f"{under}{relative}", entry.path)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ActionFailed(f"{folder} cannot be read: {error.strerror}.") from None


class Writer:
    """Copies entries into a context, one after another, in a thread of its own."""

    def __init__(
        self,
        into: Path | None,
        remembered: str,
        allowed: Iterable[str],
        stop: threading.Event,
        *,
        linked: bool = False,
    ) -> None:
        """`into`: a new folder; None: nothing is written, only the digest is found out.

        `remembered`: what the digests are remembered by. `allowed`: patterns of keys that may be there.
        `linked`: files of the sources may be absolute links instead of copies.
        """
        self.into = into
        self.stop = stop
        self.linked = linked
        """Whether there are links for files and folders."""
        self._whole: set[str] = set()
        """Folders that can be one link."""
        self._behind: set[str] = set()
        """Folders that are one, and those in them: what lies there is there already."""
        self.allowed = tuple(allowed)
        self._file = cache_dir() / "digests" / hashlib.sha256(remembered.encode()).hexdigest()[:24]
        self._old = self._read()
        self._new: dict[str, Known] = {}
        self._lines: list[str] = []
        self._folders: list[tuple[Path, int, int]] = []
        self._safe: set[Path] = {into} if into else set()
        """Folders of the context in which files may be made."""
        self.files = 0
        self.size = 0

    def write(self, entries: Iterable[Entry]) -> Made:
        """All of them. Raises `ActionFailed`, and `Refused` naming a private key."""
        try:
            entries = list(entries)
            self.linked = self.linked and not any(map(leads_away, entries))
            if self.linked:
                self._whole = whole_folders(entries)
            for entry in entries:
                if self.stop.is_set():
                    break
                self._one(entry)
            # Folders last: their times would change with each file, and read-only ones take no more.
            for path, mode, mtime in reversed(self._folders):
                path.chmod(mode)
                os.utime(path, ns=(mtime, mtime))
        except OSError as error:
            name = error.filename or self.into or "the context"
            raise ActionFailed(f"{printable(str(name))}: {error.strerror or error}.") from None
        self._save()
        self._lines.sort()
        digest = hashlib.sha256("\0".join(self._lines).encode(errors="surrogateescape")).hexdigest()
        return Made(digest, self.files, self.size, self.linked and self.into is not None)

    def _one(self, entry: Entry) -> None:
        target = None if self.into is None else self.into / entry.target
        if entry.target.rpartition("/")[0] in self._behind:
            target = None
        if target is not None:
            self._above(target)
        if not entry.source:
            self._put(entry, target, entry.data, 0)
            return
        status = os.lstat(entry.source)
        mode = stat.S_IMODE(status.st_mode) if entry.mode is None else entry.mode
        if stat.S_ISLNK(status.st_mode):
            leads = str(Path(entry.source).readlink())
            if target is not None:
                target.symlink_to(leads)
            self._note(entry.target, 0o777, f"-> {leads}")
        elif stat.S_ISDIR(status.st_mode):
            if self.linked and entry.target in self._whole:
                self._behind.add(entry.target)
                if target is not None:
                    target.symlink_to(entry.source)
            elif target is not None:
                target.mkdir(exist_ok=True)
                target.chmod(stat.S_IRWXU)
                self._folders.append((target, mode, status.st_mtime_ns))
            self._note(entry.target, mode, "/")
        elif entry.text:
            data = Path(entry.source).read_bytes().replace(b"\r\n", b"\n")
            self._put(entry, target, data, status.st_mtime_ns)
        else:
            self._regular(entry, target, mode, status)

    def _above(self, target: Path) -> None:
        """Make the folder it lies in; never through a link, which may lead out of the context."""
        above = target.parent
        if above in self._safe or self.into is None:
            return
        for each in reversed([above, *above.parents]):
            if each.is_relative_to(self.into) and each != self.into:
                if each.is_symlink():
                    inside, link = target.relative_to(self.into), each.relative_to(self.into)
                    hint = "Stage it somewhere else: `to:`."
                    raise ActionFailed(f"{inside} would lie behind the link {link}.", hint=hint)
                each.mkdir(exist_ok=True)
        self._safe.add(above)

    def _put(self, entry: Entry, target: Path | None, data: bytes, mtime: int) -> None:
        """A file that is made here."""
        if _KEY.search(data):
            self._refuse(entry)
        mode = 0o644 if entry.mode is None else entry.mode
        if target is not None:
            with target.open("xb") as file:
                file.write(data)
            target.chmod(mode)
            os.utime(target, ns=(mtime, mtime))
        self._count(entry.target, mode, hashlib.sha256(data).hexdigest(), len(data))

    def _regular(self, entry: Entry, target: Path | None, mode: int, status: os.stat_result) -> None:
        if self.linked and target is not None and entry.mode is None:
            target.symlink_to(entry.source)
            target = None
        if target is None and (known := self._known(entry, status)):
            self._found(entry, mode, known)
            return
        # Neither a link nor a pipe that took its place meanwhile.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(entry.source, flags), "rb") as source:
            status = os.fstat(source.fileno())
            known = self._known(entry, status)
            if target is None:
                known = known or self._slowly(source, None, status)
            else:
                known = self._copy(source, target, status, known)
        if target is not None:
            target.chmod(mode)
            os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
        self._found(entry, mode, known)

    def _found(self, entry: Entry, mode: int, known: Known) -> None:
        """Note what a file holds."""
        if known.key:
            self._refuse(entry)
        self._new[entry.source] = known
        self._count(entry.target, mode, known.digest, known.size)

    def _copy(self, source: IO[bytes], target: Path, status: os.stat_result, known: Known | None) -> Known:
        with target.open("xb") as copy:
            if known is not None and self._quickly(source.fileno(), copy.fileno(), status):
                return known
            source.seek(0)
            copy.seek(0)
            copy.truncate()
            return self._slowly(source, copy, status)

    def _known(self, entry: Entry, status: os.stat_result) -> Known | None:
        known = self._old.get(entry.source)
        now = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        return known if known and now == (known.size, known.mtime, known.ctime, known.inode) else None

    def _quickly(self, source: int, copy: int, status: os.stat_result) -> bool:
        """Copy without reading; whether the file was the same all the time."""
        try:
            fcntl.ioctl(copy, _CLONE, source)
        except OSError:
            left = status.st_size
            while left > 0:
                sent = os.sendfile(copy, source, None, min(left, 1 << 26)) if not self.stop.is_set() else 0
                if not sent:
                    return self.stop.is_set()
                left -= sent
        after = os.fstat(source)
        return (after.st_size, after.st_mtime_ns) == (status.st_size, status.st_mtime_ns)

    def _slowly(self, source: IO[bytes], copy: IO[bytes] | None, status: os.stat_result) -> Known:
        """Copy what is read; the digest is that of the copy, whatever happens to the source."""
        digest = hashlib.sha256()
        size, key = 0, False
        while chunk := source.read(_CHUNK):
            if self.stop.is_set():
                break
            if size == 0 and status.st_size <= _KEY_LIMIT:
                key = _KEY.search(chunk) is not None
            size += len(chunk)
            digest.update(chunk)
            if copy is not None:
                copy.write(chunk)
        same = size == status.st_size
        mtime = status.st_mtime_ns if same and time.time_ns() - status.st_mtime_ns > _RACY else 0
        return Known(size, mtime, status.st_ctime_ns, status.st_ino, digest.hexdigest(), key)

    def _count(self, target: str, mode: int, digest: str, size: int) -> None:
        self.files += 1
        self.size += size
        self._note(target, mode, digest)

    def _note(self, target: str, mode: int, what: str) -> None:
        self._lines.append(f"{target}\n{mode:o}\n{what}")

    def _refuse(self, entry: Entry) -> None:
        """Unless it was said to be harmless, or lies where tests have theirs."""
        if PACKAGED.search(f"/{entry.target}"):
            return
        if any(fnmatch.fnmatchcase(entry.target, pattern) for pattern in self.allowed):
            return
        raise Refused(
            f"{entry.source or entry.target} is a private key, and would become part of an image.",
            hint="Move it away, name it in .dockerignore, or use it as a build secret (`secrets:`). One that"
            " is harmless can be named in berth.yaml: `allow_keys:`.",
        )

    def _read(self) -> dict[str, Known]:
        try:
            return msgspec.msgpack.decode(self._file.read_bytes(), type=dict[str, Known])
        except (OSError, msgspec.MsgspecError):
            return {}

    def _save(self) -> None:
        if self._new and self._new != self._old:
            try:
                atomic.write(self._file, msgspec.msgpack.encode(self._new), durable=False)
            except (OSError, UnicodeEncodeError):
                return  # it only makes the next time slower
