"""The kernel's list of mounts (proc(5), /proc/self/mountinfo): reading it never blocks, whatever hangs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

FILE = Path("/proc/self/mountinfo")
_OURS = re.compile(r"berth-([0-9a-f]{6}):([^:]*):(.*)", re.S)
_OCTAL = re.compile(rb"\\([0-7]{3})")
_UNCLEAN = re.compile(r"[^A-Za-z0-9._/+~@=-]")


class Mounted(NamedTuple):
    """One line of it."""

    folder: str
    kind: str
    """Type of the file system."""
    source: str
    options: frozenset[str]
    """Of the mount and of its file system."""
    device: str
    """`major:minor`."""


class Ours(NamedTuple):
    """What the name of a mount of berth's says."""

    id: str
    host: str
    path: str
    """With what cannot stand in a name replaced."""


def name(id: str, host: str, path: str) -> str:
    """How a mount of berth's is called; what `df` shows."""
    return f"berth-{id}:{clean(host)}:{clean(path)[:200]}"


def clean(text: str) -> str:
    """What of it can stand in the name of a mount."""
    return _UNCLEAN.sub("_", text)


def read(file: Path = FILE) -> list[Mounted]:
    """All mounts, those on top last. Raises `OSError` where there is no such list."""
    return list(parse(file.read_bytes()))


def parse(data: bytes) -> Iterator[Mounted]:
    """The lines that can be understood."""
    for line in data.splitlines():
        words = line.split(b" ")
        if b"-" not in words[6:]:
            continue
        rest = words[words.index(b"-", 6) + 1 :]
        if len(rest) < 3:
            continue
        kind, source, more = rest[:3]
        options = frozenset((words[5] + b"," + more).decode(errors="replace").split(","))
        yield Mounted(_text(words[4]), _text(kind), _text(source), options, _text(words[2]))


def _text(word: bytes) -> str:
    """Spaces and the like are written as octal numbers there."""
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), word).decode(errors="surrogateescape")


def ours(mount: Mounted, uid: int) -> Ours | None:
    """What its name says, if berth mounted it for that user."""
    if mount.kind != "fuse.sshfs" or f"user_id={uid}" not in mount.options:
        return None
    match = _OURS.fullmatch(mount.source)
    return Ours(*match.groups()) if match else None


def at(folder: str, mounts: Sequence[Mounted]) -> Mounted | None:
    """What is mounted on exactly that folder, the last of several."""
    return next((each for each in reversed(mounts) if each.folder == folder), None)


def holding(folder: str, mounts: Sequence[Mounted]) -> Mounted | None:
    """The mount that a path lies in."""
    found = None
    for each in mounts:
        base = each.folder.rstrip("/")
        if (folder == each.folder or folder.startswith(f"{base}/")) and (
            found is None or len(each.folder) >= len(found.folder)
        ):
            found = each
    return found
