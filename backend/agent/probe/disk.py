"""File systems that matter: the root, the engine's, the user's home.

statvfs() on a dead NFS server hangs and cannot be interrupted, so this runs in a background thread, and
what was found before it got stuck still counts.
"""

from __future__ import annotations

import os
from typing import Any


class DiskScan:
    """One look at the file systems. `found` grows while `run` works in another thread."""

    def __init__(self, folders: list[tuple[str, str]]) -> None:
        self._folders = folders
        self.found: list[dict[str, Any]] = []
        self.current = ""
        """The folder that is being looked at, for a message if it hangs."""

    def run(self) -> None:
        """Look at each folder; one that is on a file system seen before adds nothing."""
        seen = set()
        for role, folder in self._folders:
            self.current = folder
            try:
                device = os.stat(folder).st_dev
                if device in seen:
                    continue
                disk = _disk(role, folder)
            except OSError:
                continue  # the engine's folder is often closed to ordinary users
            seen.add(device)
            if disk is not None:
                self.found = [*self.found, disk]
        self.current = ""


def wanted(engine_root: str) -> list[tuple[str, str]]:
    """(role, folder) to look at."""
    out = [("root", "/")]
    if engine_root.startswith("/"):
        out.append(("engine", engine_root))
    home = os.path.expanduser("~")
    if home.startswith("/") and home != "/":
        out.append(("home", home))
    return out


def _disk(role: str, folder: str) -> dict[str, Any] | None:
    stat = os.statvfs(folder)
    block = stat.f_frsize or stat.f_bsize
    if not stat.f_blocks:
        return None
    return {
        "mount": mount_point(folder)[:4096],
        "role": role,
        "used": (stat.f_blocks - stat.f_bfree) * block,
        "total": stat.f_blocks * block,
        "free": stat.f_bavail * block,
    }


def mount_point(folder: str) -> str:
    """The folder at which the file system of `folder` is mounted."""
    place = os.path.realpath(folder)
    while place != "/" and not os.path.ismount(place):
        place = os.path.dirname(place)
    return place
