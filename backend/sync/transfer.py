"""Carries files: by rsync over the open connection, or as a tar where there is none."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backend import rsync
from backend.errors import ActionFailed
from backend.link import Link
from backend.sync.host.parcel import pack, unpack
from backend.sync.host.session import packed
from backend.sync.host.walk import OURS, decoded
from backend.sync.model import Way
from backend.sync.side import start
from backend.text import printable

PARTIAL_FROM = 16 * 1024**2
"""Bytes from which what has come of a file is kept when the link is lost."""
PROGRESS = re.compile(rb"\r\s*([0-9][0-9,.]*)\s+[0-9]+%")
_SMALL_FILE = 1024**2
_SOME_FAILED = {23, 24}
"""Exit codes of an rsync that carried the rest: some could not be read, or vanished."""
Progress = Callable[[int], None]


@dataclass
class Load:
    """Files that go together: from one folder to one folder, in one way."""

    way: Way
    here: str
    there: str
    compress: bool
    links: str
    mode: int | None
    """Permissions of folders; files get the same without the right to run."""
    paths: list[bytes] = field(default_factory=list)
    """Below both folders."""
    size: int = 0
    largest: int = 0
    kept: str = ""
    """Folder on the receiving side for what is replaced; empty: it is not kept."""
    whole: bool = False
    """It is all that `here` holds, and nothing of it is there: rsync looks for it by itself, and carries what
    it has found while it looks on. What came into `here` since it was looked at goes with it."""
    count: int = 0
    """How many paths it has, also where `whole` spares them."""
    fresh: bool = False
    """None of it was there: what has come up since is left alone, and nothing has to be kept."""

    @property
    def target(self) -> str:
        """The folder that is written to."""
        return self.there if self.way == "push" else self.here


def by_name(load: Load) -> bool:
    """Whether rsync is given the files as arguments: from a list it reads them byte by byte, a system call or
    two for each, which is half of what many small files cost.

    Others on this machine see arguments: those of what is secret stay in a list.
    """
    room = os.sysconf("SC_ARG_MAX") // 4 - sum(len(each) + 16 for each in load.paths)
    return load.way == "push" and load.mode != 0o700 and room > 0


def arguments(load: Load, names: Sequence[bytes] = ()) -> list[str | bytes]:
    """What rsync is told. Every path was compared before: it compares nothing again.

    Without `names` they come as its input.
    """
    argv: list[str | bytes] = ["-t", "-O", "-I", "--info=progress2", f"--outbuf={_buffered(load)}"]
    if load.whole:
        argv += ["-r", f"--exclude={decoded(OURS)}*/"]
    else:
        argv += ["-R", "-d"] if names else ["--from0", "--files-from=-"]
    argv += ["-L"] if load.links == "follow" else ["-l"]
    if load.compress:
        argv.append("-z")
    if load.mode is None:
        argv.append("-E")
    else:
        files = load.mode & 0o666
        argv += ["-p", f"--chmod=D{load.mode:04o},F{files:04o}"]
    if load.fresh:
        argv.append("--ignore-existing")
    elif load.kept:
        argv += ["--backup", f"--backup-dir={load.kept}"]
    if load.largest >= PARTIAL_FROM:
        argv.append("--partial-dir=.berth-partial")
    here, there = f"{load.here.rstrip('/')}/", f"{rsync.REMOTE}:{load.there.rstrip('/')}/"
    if names:
        return [*argv, "--", *names, there]
    return [*argv, *([here, there] if load.way == "push" else [there, here])]


def _buffered(load: Load) -> str:
    """How rsync writes what it tells of its progress: two lines for each file, and one each second.

    Each at once (`N`); of many small files in blocks (`B`), since those lines cost as much as the files do.
    """
    small = load.largest < _SMALL_FILE and load.size < _SMALL_FILE // 16 * load.count
    return "B" if small else "N"


async def carry(link: Link, load: Load, progress: Progress, after: asyncio.Event | None = None) -> list[str]:
    """Bring a load over by rsync; what it complained about, where some files could not be carried.

    `after`: see `rsync`.
    Raises `ActionFailed` where it broke off, `UsageError` where this machine has no rsync.
    """
    tail = b""

    def heard(piece: bytes) -> None:
        nonlocal tail
        tail = (tail + piece)[-4096:]
        at = tail.rfind(b"%")  # the newest is enough
        match = PROGRESS.match(tail, tail.rfind(b"\r", 0, at)) if at > 0 else None
        tail = tail[at + 1 :]
        if match:
            progress(int(match[1].replace(b",", b"").replace(b".", b"")))

    names = [b"./" + path for path in load.paths]
    if load.whole:
        ended = await rsync.rsync(link, arguments(load), heard=heard, after=after)
    elif by_name(load):
        ended = await rsync.rsync(link, arguments(load, names), folder=load.here, heard=heard, after=after)
    else:
        ended = await rsync.rsync(link, arguments(load), input=b"\0".join(names), heard=heard, after=after)
    lines = [printable(line, 300) for line in ended.stderr.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("rsync error:")]
    if ended.returncode in _SOME_FAILED and "No space left" not in ended.stderr:
        return said
    if ended.returncode:
        raise explained(link.name, ended)
    return []


def explained(host: str, ended: rsync.Ended) -> ActionFailed:
    """The error of an rsync that broke off."""
    said = ended.stderr
    if "unknown option" in said or "unrecognized option" in said:
        return ActionFailed(
            f"{host}: rsync is too old: {printable(said.splitlines()[0], 200)}.",
            hint="Version 3.1 or later is needed on both sides; on macOS: brew install rsync.",
        )
    if ended.returncode in (10, 12, 30, 35, 255) and "No space left" not in said:
        return ActionFailed(f"{host}: the connection was lost.", hint="Sync again: it goes on where it was.")
    return rsync.explained(host, ended)


async def carry_as_tar(
    link: Link, load: Load, progress: Progress, after: asyncio.Event | None = None
) -> list[str]:
    """The same without rsync: slower, as files go over whole. Raises `ActionFailed`."""
    if after is not None:
        await after.wait()
    if load.way == "push":
        await _push(link, load, progress)
    else:
        await _pull(link, load)
    return []


async def _push(link: Link, load: Load, progress: Progress) -> None:
    mode = "-1" if load.mode is None else str(load.mode)
    process = await start(link, "unpack", load.there, load.kept, mode)
    source, sink = os.pipe()
    try:
        packing = asyncio.create_task(
            asyncio.to_thread(_pack, load, os.fdopen(sink, "wb")), name=f"tar for {link.name}"
        )

        async def listen() -> None:
            async for line in process:
                if line.strip().isdigit():
                    progress(int(line))

        listening = asyncio.create_task(listen())
        with os.fdopen(source, "rb", 0) as pipe:
            while piece := await asyncio.to_thread(pipe.read, 1 << 18):
                await process.write(piece)
        await packing
        process.write_eof()
        await listening
        await _ended(link, process)
    finally:
        await process.close()


def _pack(load: Load, target: object) -> None:
    with target as file:  # type: ignore[attr-defined]
        pack(os.fsencode(load.here), load.paths, file, load.links == "follow")


async def _pull(link: Link, load: Load) -> None:
    process = await start(link, "pack", load.there, "1" if load.links == "follow" else "0")
    source, sink = os.pipe()
    try:
        names = packed(load.paths)
        await process.write(b"%d\n" % len(names) + names)
        process.write_eof()
        unpacking = asyncio.create_task(asyncio.to_thread(_unpack, load, source))
        with os.fdopen(sink, "wb", 0) as pipe:
            while piece := await process.read(1 << 18):
                await asyncio.to_thread(pipe.write, piece)
        await _ended(link, process)
        await unpacking
    finally:
        await process.close()


def _unpack(load: Load, source: int) -> None:
    with os.fdopen(source, "rb") as file:
        mode = -1 if load.mode is None else load.mode
        unpack(os.fsencode(load.here), os.fsencode(load.kept), file, mode, lambda done: None)


async def _ended(link: Link, process: object) -> None:
    code = await process.wait()  # type: ignore[attr-defined]
    if code:
        said = process.stderr.decode(errors="replace").strip().rpartition("\n")[2]  # type: ignore[attr-defined]
        hint = "Free some space there." if "No space left" in said else "Sync again."
        raise ActionFailed(f"{link.name}: {printable(said, 300) or 'the connection was lost'}.", hint=hint)


def shown(paths: Sequence[bytes], most: int = 3) -> str:
    """Some of these paths, for a message."""
    names = ", ".join(printable(decoded(path), 120) for path in paths[:most])
    return names + (f" and {len(paths) - most} more" if len(paths) > most else "")
