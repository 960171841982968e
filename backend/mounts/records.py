"""Which mounts there are: what berth wrote down, and what the kernel says, whichever berth made them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from backend import atomic
from backend.config import state_dir
from backend.mounts import mountinfo
from backend.mounts.model import MountRow, Record
from backend.mounts.probe import LIMIT, ask

_ID = re.compile(r"[0-9a-f]{6}")
_LEFT = 600.0
"""Seconds after which what was begun and never mounted is swept up."""


def place(id: str) -> Path:
    """The folder with what is written down of a mount, and with what its ssh needs."""
    return state_dir() / "mounts" / id


def write(record: Record) -> None:
    """Put it on record. Raises `OSError`."""
    atomic.write(place(record.id) / "record.json", msgspec.json.encode(record))


def written() -> list[Record]:
    """What is on record of this machine. What cannot be read is passed over."""
    found = []
    with contextlib.suppress(OSError):
        for entry in sorted((state_dir() / "mounts").iterdir()):
            if not _ID.fullmatch(entry.name):
                continue
            with contextlib.suppress(OSError, msgspec.MsgspecError, ValueError):
                record = msgspec.json.decode((entry / "record.json").read_bytes(), type=Record)
                if record.id == entry.name and record.machine in ("", platform.node()):
                    found.append(record)
    return found


def forget(record: Record, mounts: Sequence[mountinfo.Mounted]) -> None:
    """It is no mount any more: take away what was written, and the folders that were made for it."""
    shutil.rmtree(place(record.id), ignore_errors=True)
    for level, folder in reversed(list(enumerate(map(Path, record.made)))):
        if mountinfo.holding(str(folder), mounts) != mountinfo.holding(str(folder.parent), mounts):
            return  # something else is mounted there meanwhile
        try:
            folder.rmdir()
        except OSError:  # somebody keeps something in it
            _pass_on(record.made[: level + 1])
            return


def _pass_on(folders: tuple[str, ...]) -> None:
    """Folders that were made for a mount that is over, and hold another one: they go with that."""
    for other in written():
        if Path(folders[-1]) in Path(other.folder).parents:
            with contextlib.suppress(OSError):
                write(replace(other, made=tuple(dict.fromkeys([*folders, *other.made]))))
            return


async def rows(limit: float = LIMIT) -> list[MountRow]:
    """All mounts of berth's and this user's, each asked whether it answers; what is over is forgotten."""
    mounts = await asyncio.to_thread(_mounts)
    known = {each.id: each for each in await asyncio.to_thread(written)}
    found = [(name, each) for each in mounts if (name := mountinfo.ours(each, os.getuid())) is not None]
    present = {name.id for name, _ in found}
    await asyncio.to_thread(_sweep, [each for each in known.values() if each.id not in present], mounts)
    return list(await asyncio.gather(*(_row(*each, known, limit) for each in found)))


def _sweep(over: list[Record], mounts: list[mountinfo.Mounted]) -> None:
    """Forget what is not mounted any more: unmounted by other means, or before this machine started."""
    for record in over:
        if server(record.id) is None:  # it may be mounted where we cannot see it
            forget(record, mounts)
    with contextlib.suppress(OSError):
        for entry in (state_dir() / "mounts").iterdir():
            old = time.time() - entry.stat().st_mtime > _LEFT
            if old and not (entry / "record.json").exists() and server(entry.name) is None:
                shutil.rmtree(entry, ignore_errors=True)  # of a berth that was killed before it mounted


def _mounts() -> list[mountinfo.Mounted]:
    try:
        return mountinfo.read()
    except OSError:
        return []


async def _row(
    name: mountinfo.Ours, mount: mountinfo.Mounted, known: dict[str, Record], limit: float
) -> MountRow:
    answer = await ask(mount.folder, limit)
    record = known.get(name.id)
    return MountRow(
        id=name.id,
        host=record.host if record else name.host,
        path=record.path if record else name.path,
        folder=mount.folder,
        state=answer.state,
        context=record.context if record else "",
        read_only="ro" in mount.options,
        used=answer.used,
        total=answer.total,
        since=record.since if record else None,
        pid=server(name.id),
        seconds=answer.seconds,
    )


def server(id: str) -> int | None:
    """The sshfs that serves a mount of ours."""
    wanted = f"fsname=berth-{id}:".encode()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
            if any(wanted in word for word in words) and entry.stat().st_uid == os.getuid():
                return int(entry.name)
        except OSError:
            continue  # it has just ended
    return None
