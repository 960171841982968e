"""Ending mounts: properly where they answer, by force where they cannot."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from backend import child
from backend.config.paths import absolute
from backend.errors import ActionFailed, NoSuchTarget, UsageError
from backend.mounts import mountinfo, records
from backend.mounts.model import STALE, MountRow
from backend.text import printable

_LIMIT = 10.0
"""Seconds that fusermount may take; it may wait for a file to be written back."""
_GRACE = 3.0
"""Seconds that sshfs has to end."""


def fusermount() -> str:
    """The program that lets users unmount. Raises `UsageError`."""
    found = shutil.which("fusermount3") or shutil.which("fusermount")
    if found is None:
        raise UsageError(
            "fusermount3 is not installed on this machine.", hint="Install it: sudo apt install fuse3"
        )
    return found


def chosen(rows: Sequence[MountRow], words: Sequence[str], *, stale: bool, all: bool) -> list[MountRow]:
    """The mounts that are meant by folder, id, host or context. Raises `NoSuchTarget`, `UsageError`."""
    if all or stale:
        return [row for row in rows if all or row.state in STALE]
    found: dict[str, MountRow] = {}
    for word in words:
        folder = str(absolute(Path(word)))
        exact = [row for row in rows if word == row.id or folder == row.folder]
        named = [row for row in rows if word in (row.name, row.host, row.context)]
        if not exact and len(named) > 1:
            ids = ", ".join(f"{row.id} ({row.folder})" for row in named)
            raise UsageError(f"{len(named)} folders of {word} are mounted.", hint=f"Say which: {ids}.")
        if not exact and not named:
            known = ", ".join(f"{row.id} ({row.folder})" for row in rows)
            raise NoSuchTarget(
                f"nothing that berth mounted is called {word!r}.",
                hint=f"There are: {known}." if known else "There is none. See: mount -t fuse.sshfs",
            )
        found |= {row.id: row for row in exact or named}
    return list(found.values())


async def unmount(row: MountRow, *, force: bool = False) -> str:
    """End one; what was done. Raises `ActionFailed` where somebody is in it, unless `force`."""
    stale = row.state in STALE
    top = mountinfo.at(row.folder, await asyncio.to_thread(mountinfo.read))
    if top is not None and not _is(row, top):
        raise ActionFailed(
            f"{row.folder}: {printable(top.source, 200)} ({top.kind}) is mounted over it.",
            hint="End that first: umount " + printable(row.folder, 300),
        )
    if not stale and not force:
        said = await _fusermount(row.folder)
        if "busy" in said:
            users = await asyncio.to_thread(inside, row.folder)
            who = f" by {', '.join(users[:5])}" if users else ""
            raise ActionFailed(
                f"{row.folder} is in use{who}.", hint=f"Leave it, or: berth umount --force {row.id}"
            )
        if said:
            raise ActionFailed(f"{row.folder}: {printable(said, 300)}.")
    else:
        said = await _fusermount(row.folder, "-z")
        if said and await _still(row):
            raise ActionFailed(f"{row.folder}: {printable(said, 300)}.")
    if not await _ended(row.id, _GRACE if not (stale or force) else 0.0):
        # What hangs in it goes on, with an error. An sshfs that waits for its host does not hear SIGTERM.
        await _kill(row.id, (signal.SIGKILL,) if stale else (signal.SIGTERM, signal.SIGKILL))
    await asyncio.to_thread(_forget, row)
    return f"{row.folder} is {row.name} no more" + (": it was " + row.state.value if stale else "")


async def _still(row: MountRow) -> bool:
    return any(_is(row, each) for each in await asyncio.to_thread(mountinfo.read))


def _is(row: MountRow, mount: mountinfo.Mounted) -> bool:
    name = mountinfo.ours(mount, os.getuid())
    return name is not None and name.id == row.id


async def _fusermount(folder: str, *more: str) -> str:
    """Unmount; what it complained about."""
    try:
        ended = await child.run(
            *(fusermount(), "-u", *more, "--", folder),
            limit=_LIMIT,
            more=child.ENGLISH,
            heard=False,
            alone=True,
            awaited=False,
        )
    except TimeoutError:
        return f"fusermount does not end within {_LIMIT:.0f} s"
    return ended.err.decode(errors="replace").strip() if ended.code else ""


async def _ended(id: str, limit: float) -> bool:
    """Whether its sshfs ends by itself by then."""
    until = time.monotonic() + limit
    while await asyncio.to_thread(records.server, id) is not None:
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.02)
    return True


async def _kill(id: str, wishes: Sequence[signal.Signals]) -> None:
    for wish in wishes:
        pid = await asyncio.to_thread(records.server, id)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, wish)
        if await _ended(id, _GRACE):
            return


def _forget(row: MountRow) -> None:
    known = next((each for each in records.written() if each.id == row.id), None)
    mounts = mountinfo.read()
    if known is not None:
        records.forget(known, mounts)
    else:  # of a berth that could not write it down
        shutil.rmtree(records.place(row.id), ignore_errors=True)


def inside(folder: str) -> list[str]:
    """Processes of ours that are in a folder: `name (pid)`. Reads links only, which nothing holds up."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        base = Path(entry.path)
        with contextlib.suppress(OSError):
            links = [base / "cwd", base / "root", *(base / "fd").iterdir()]
            if any(_below(link, folder) for link in links):
                found.append(f"{printable((base / 'comm').read_text().strip(), 40)} ({entry.name})")
    return found


def _below(link: Path, folder: str) -> bool:
    try:
        target = str(link.readlink())
    except OSError:
        return False
    return target == folder or target.startswith(f"{folder}/")
