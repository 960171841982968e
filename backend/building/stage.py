"""The build context on its way to a host: brought by rsync, or as a tar.

On the host it stays where the last one was: the next build of that image sends only what has changed.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tarfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from backend import rsync
from backend.errors import ActionFailed, UsageError
from backend.link import Link
from backend.recipes.model import Secret
from backend.text import printable

_SENT = re.compile(rb"Total bytes sent: ([0-9,.]+)")
_SECRET_LIMIT = 512 * 1024
"""Bytes of one secret: what BuildKit takes."""
_SMALL = 1 << 20
"""Bytes of a file whose content is always compared."""
_COMPARED = 64 << 20
"""Bytes in larger files that are still compared by content."""
_NAMED = 1000
"""Large files that are left out by name: rsync holds each file against each of them."""
_UNPACK = """\
set -eu
rm -rf "$1.new"
mkdir -p "$1.new"
tar -C "$1.new" -xpmf -
rm -rf "$1"
mv "$1.new" "$1"
"""
_PIECE = 1 << 18
_AHEAD = 8
"""Pieces of a tar that may wait for the host."""


def secret(name: str, told: Secret) -> bytes:
    """What a secret holds. Raises `UsageError` where it is not to be had; never says what it is."""
    if told.env:
        value = os.environ.get(told.env)
        if value is None:
            raise UsageError(f"secret {name}: the variable {told.env} is not set.")
        return value.encode("utf-8", "surrogateescape")
    try:
        data = (told.file or Path()).read_bytes()
    except OSError as error:
        raise UsageError(f"secret {name}: {told.file} cannot be read: {error.strerror}.") from None
    if len(data) > _SECRET_LIMIT:
        raise UsageError(f"secret {name}: {told.file} is larger than {_SECRET_LIMIT // 1024} KB.")
    return data


async def bring(
    link: Link,
    folder: Path,
    to: str,
    *,
    there: bool,
    say: Callable[[str], None],
    linked: bool = False,
    before: str = "",
) -> int:
    """Make the folder `to` of a host the same as `folder`; how many bytes travelled.

    `there`: whether the host has rsync. `linked`: absolute links in it stand for what they lead to. `before`:
    a folder of the host that stays as it is; what it holds already is not sent. Raises `ActionFailed` where a
    step fails, a full disk for one.
    """
    if there and shutil.which("rsync"):
        return await _rsync(link, folder, to, linked, (f"--link-dest={before}",) if before else ())
    missing = "this machine" if there else link.name
    say(f"{missing} has no rsync: the whole context is sent")
    return await _tar(link, folder, to, linked)


async def _rsync(link: Link, folder: Path, to: str, linked: bool, more: tuple[str, ...]) -> int:
    """Compared by content, not by time: what is staged may have the size and the time of what was before.

    What was sent gets the time of its coming, since BuildKit takes a file of the same size and time to be the
    same. Only large files, where there is much of them, are believed, and keep their times.
    """
    compress = () if link.local else ("--compress",)
    follow = ("--copy-unsafe-links",) if linked else ()
    each = ("-rlp", "--stats", *compress, *follow, *more)
    large, size = await asyncio.to_thread(_large, folder, linked)
    if size <= _COMPARED:
        return await _pass(link, folder, to, *each, "--checksum", "--delete")
    left_out = b""
    said = [f"--max-size={_SMALL}"]
    if len(large) <= _NAMED:  # else rsync reads them all for their checksums, and uses none of these
        left_out = b"\0".join(map(_pattern, large))
        said += ["--from0", "--exclude-from=-"]
    after = asyncio.Event()  # the second is started here meanwhile, and begins there once the first is done
    times = ("--force", "--times", "--omit-dir-times", f"--min-size={_SMALL + 1}")
    second = asyncio.create_task(_pass(link, folder, to, *each, *times, after=after))
    try:
        sent = await _pass(link, folder, to, *each, "--checksum", "--delete", *said, input=left_out)
        after.set()
        return sent + await second
    finally:
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


def _pattern(path: Path) -> bytes:
    """What means this path, and no other, to rsync: `\\` is a letter where nothing has to be escaped."""
    name = os.fsencode(path)
    if re.search(rb"[*?[]", name):
        name = re.sub(rb"([*?[\\])", rb"\\\1", name)
    return b"/" + name


def _large(folder: Path, linked: bool) -> tuple[list[Path], int]:
    """Files that are not small, by their paths in the folder, and how many bytes they have."""
    found: list[Path] = []
    total = 0
    waiting = [folder]
    while waiting:
        for path in waiting.pop().iterdir():
            if path.is_symlink() and not (linked and path.readlink().is_absolute()):
                continue
            if path.is_dir():
                waiting.append(path)
            elif (size := path.stat().st_size) > _SMALL:
                found.append(path.relative_to(folder))
                total += size
    return found, total


async def _pass(
    link: Link,
    folder: Path,
    to: str,
    *options: str,
    input: bytes = b"",
    after: asyncio.Event | None = None,
) -> int:
    where = (f"{folder}/", f"{rsync.REMOTE}:{to}/")
    ended = await rsync.rsync(link, [*options, *where], input=input, after=after)
    if ended.returncode and ended.returncode != 24:  # 24: a file vanished while it was read
        raise rsync.explained(link.name, ended)
    found = _SENT.search(ended.stdout)
    return int(re.sub(rb"[,.]", b"", found[1])) if found else 0


async def _tar(link: Link, folder: Path, to: str, linked: bool) -> int:
    process = await link.start(["sh", "-c", _UNPACK, "sh", to])
    sent = 0
    try:
        async for piece in _packed(folder, linked):
            sent += len(piece)
            await process.write(piece)
        process.write_eof()
        code = await process.wait()
        said = printable(process.stderr.decode("utf-8", "replace").strip()[-300:])
    finally:
        await process.close()
    if code:
        hint = "Free some space there." if "No space left" in said else ""
        raise ActionFailed(
            f"{link.name}: the context did not arrive: {said or f'exit code {code}'}.", hint=hint
        )
    return sent


async def _packed(folder: Path, linked: bool) -> AsyncIterator[bytes]:
    """A tar of a folder, in pieces, packed in a thread."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)
    gone = threading.Event()

    def put(piece: bytes | BaseException | None) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    class Sink:
        def write(self, data: bytes) -> int:
            room.acquire()
            if gone.is_set():
                raise BrokenPipeError
            put(bytes(data))
            return len(data)

    def pack() -> None:
        try:
            sink: IO[bytes] = Sink()  # type: ignore[assignment]  # write() is enough
            with tarfile.open(fileobj=sink, mode="w|", bufsize=_PIECE) as archive:
                _add(archive, folder, ".", linked)
        except BrokenPipeError:
            return
        except BaseException as error:
            put(error)
        put(None)

    threading.Thread(target=pack, name="context", daemon=True).start()
    try:
        while (piece := await pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise ActionFailed(f"the context cannot be read: {piece}.") from None
            room.release()
            yield piece
    finally:
        gone.set()
        room.release()


def _add(archive: tarfile.TarFile, path: Path, name: str, linked: bool) -> None:
    """A file or folder with all that is in it."""
    while linked and path.is_symlink() and path.readlink().is_absolute():
        path = path.readlink()
    archive.add(path, name, recursive=False, filter=_plain)
    if path.is_dir() and not path.is_symlink():
        for each in sorted(path.iterdir()):
            _add(archive, each, f"{name}/{each.name}", linked)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
