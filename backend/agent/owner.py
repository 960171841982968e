"""Whose container it is: by label, else by whose folder it mounts."""

from __future__ import annotations

import errno
import os
import pwd
import re
from typing import Any

from .probe.cgroups import unescape

_LABELS = ("berth.owner", "owner", "user")
_COMPOSE = "com.docker.compose.project.working_dir"
_HOME = re.compile(r"/home/([^/]{1,64})(?:/|\Z)")
_FIRST_USER = 1000
"""Lower ids belong to the system."""
_PARTS = 200
"""Parts of a path and of the links in it that are looked at."""
_LOCAL = frozenset("ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs tmpfs overlay apfs".split())
"""File systems on which stat() answers at once. A dead NFS server would hang the agent for minutes."""


class Owners:
    """Finds owners, and remembers users and folders it asked for."""

    def __init__(self, mountinfo: str = "/proc/self/mountinfo") -> None:
        self._mountinfo = mountinfo
        self._users: dict[Any, str | None] = {}
        self._folders: dict[str, str | None] = {}

    def owner(self, wire: dict[str, Any]) -> str | None:
        """The unix user that `wire` (a Container) belongs to, or None."""
        labels = wire.get("labels") or {}
        for key in _LABELS:
            if labels.get(key, "").strip():
                return str(labels[key].strip()[:64])
        folders = [labels[_COMPOSE]] if labels.get(_COMPOSE) else []
        folders += [mount["source"] for mount in wire.get("mounts") or () if mount["kind"] == "bind"]
        for folder in folders:
            owner = self._of_folder(folder)
            if owner:
                return owner
        return None

    def _of_folder(self, folder: str) -> str | None:
        if folder not in self._folders:
            if len(self._folders) > 1000:
                self._folders.clear()
            match = _HOME.match(folder)
            by_name = self._user(match.group(1)) if match else None
            self._folders[folder] = by_name or self._by_stat(folder)
        return self._folders[folder]

    def _by_stat(self, folder: str) -> str | None:
        try:
            real = _local_path(folder, _mounts(self._mountinfo))
            uid = os.lstat(real).st_uid if real else 0
        except (OSError, ValueError):
            return None
        return self._user(uid) if uid >= _FIRST_USER else None

    def _user(self, key: str | int) -> str | None:
        """The name of a user by name or id; None if this host does not know it."""
        if key not in self._users:
            try:
                entry = pwd.getpwnam(key) if isinstance(key, str) else pwd.getpwuid(key)
                self._users[key] = entry.pw_name
            except (KeyError, ValueError, OverflowError):
                self._users[key] = None
        return self._users[key]


def _mounts(mountinfo: str) -> list[tuple[str, str]]:
    """Mount points and the types of their file systems; a later one hides an earlier one."""
    out = []
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            words = fields.split(" ")
            if len(words) > 4:
                out.append((unescape(words[4]), rest.split(" ", 1)[0]))
    return out


def _local_path(folder: str, mounts: list[tuple[str, str]]) -> str:
    """`folder` without links; empty where it, or a link on the way, leads to a file system that may hang.

    Each part is looked at only after the mount table said where it lies.
    """
    if not folder.startswith("/"):
        return ""
    done, left = "", folder.split("/")[::-1]
    for _ in range(_PARTS):
        if not left:
            return done or "/"
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        here = f"{done}/{part}"
        if _filesystem(here, mounts) not in _LOCAL:
            return ""
        try:
            target = os.readlink(here)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            done = here  # no link
        else:
            done = "" if target.startswith("/") else done
            left += target.split("/")[::-1]
    return ""


def _filesystem(path: str, mounts: list[tuple[str, str]]) -> str:
    """The type of the file system that holds `path`, by its name alone: nothing is touched."""
    best, kind = -1, ""
    for point, name in mounts:
        inside = point in ("/", path) or path.startswith(point + "/")
        if inside and len(point) >= best:
            best, kind = len(point), name
    return kind
