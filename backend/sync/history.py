"""What was synced, and how to take it back."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from backend import atomic
from backend.config import state_dir
from backend.errors import NoSuchTarget
from backend.sync.model import HostResult, Way
from backend.sync.transfer import shown

if TYPE_CHECKING:
    from backend.sync.engine import HostSync

KEPT = 200
"""Entries that stay."""


def remember(results: list[HostResult]) -> None:
    """Put these on record, newest last. A disk that is full loses the record alone."""
    lines = b"".join(msgspec.json.encode(each) + b"\n" for each in results)
    with contextlib.suppress(OSError), _locked() as path:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, lines)
        finally:
            os.close(handle)
        if path.stat().st_size > 1024**2:
            atomic.write(path, b"".join(path.read_bytes().splitlines(keepends=True)[-KEPT:]), durable=False)


def past(limit: int = KEPT) -> list[HostResult]:
    """What is on record, newest first. Lines that cannot be read are passed over."""
    try:
        lines = (state_dir() / "sync" / "history.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in reversed(lines):
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            found.append(msgspec.json.decode(line, type=HostResult))
        if len(found) >= limit:
            break
    return found


def forget(run: str) -> None:
    """Nothing of this run is kept any more."""
    with contextlib.suppress(OSError), _locked() as path:
        found = []
        for line in path.read_bytes().splitlines(keepends=True):
            found.append(line)
            with contextlib.suppress(msgspec.MsgspecError, ValueError):
                each = msgspec.json.decode(line, type=HostResult)
                if each.run == run:
                    found[-1] = msgspec.json.encode(replace(each, run="")) + b"\n"
        atomic.write(path, b"".join(found), durable=False)


@contextlib.contextmanager
def _locked() -> Iterator[Path]:
    """The file, while no other berth writes it."""
    path = state_dir() / "sync" / "history.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path
    finally:
        os.close(lock)


async def undo(
    sync: HostSync, run: str, way: Way, *, force: bool = False, target: str = ""
) -> tuple[int, list[str]]:
    """Put back what a run replaced or removed; how many files, and what stays as it is.

    `target`: a folder that it was about: what is kept may lie in there, where the home is read-only.

    Raises `NoSuchTarget` where nothing is kept any more, `ActionFailed` where somebody syncs there now.
    """
    from backend.sync.engine import owner

    if way == "push":
        await sync.side()
    side = sync.receiver(way)
    answer, stay = await side.ask(
        "undo", run=run, force=force, target=target, owner=owner(f"{sync.wish.profile.name}, undo")
    )
    if not answer["back"] and not stay:
        raise NoSuchTarget(f"{sync.host}: nothing is kept of {run} any more.")
    said = [f"{shown([path])}: {why}" for path, why in zip(stay, answer["stay"], strict=True)]
    return int(answer["back"]), said
