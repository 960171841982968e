"""Whose container it is: by label, else by whose folder it mounts."""

from __future__ import annotations

import os
import pwd
import re
from typing import Any

_LABELS = ("berth.owner", "owner", "user")
_COMPOSE = "com.docker.compose.project.working_dir"
_HOME = re.compile(r"/home/([^/]{1,64})(?:/|\Z)")
_FIRST_USER = 1000
"""Lower ids belong to the system."""
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
        if not folder.startswith("/") or _filesystem(folder, self._mountinfo) not in _LOCAL:
            return None
        try:
            uid = os.stat(folder).st_uid
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


def _filesystem(folder: str, mountinfo: str) -> str:
    """The type of the file system that holds `folder`, by its name alone: nothing is touched."""
    best, kind = -1, ""
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields, _, rest = line.partition(" - ")
                mount = fields.split(" ")[4].replace("\\040", " ")
                inside = mount in ("/", folder) or folder.startswith(mount + "/")
                if inside and len(mount) >= best:
                    best, kind = len(mount), rest.split(" ", 1)[0]
    except (OSError, IndexError):
        return ""
    return kind
