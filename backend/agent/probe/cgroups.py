"""Control groups: where a container's are, v1 and v2, with any driver and any parent.

The container's first process says it (`/proc/PID/cgroup`), and the mount table says where that is visible.
Both are relative to the reader's cgroup namespace, so they fit together (cgroup_namespaces(7)).
"""

from __future__ import annotations

import os
import re
from typing import Iterable

_ID = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])")
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mounts:
    """Mounted hierarchies: controller (or `unified`) -> (mount point, root of what is mounted)."""

    def __init__(self, mountinfo: str) -> None:
        self.points: dict[str, tuple[str, str]] = {}
        for line in mountinfo.splitlines():
            left, separator, right = line.partition(" - ")
            fields, tail = left.split(" "), right.split(" ")
            if not separator or len(fields) < 5 or len(tail) < 3:
                continue
            point = (unescape(fields[4]), unescape(fields[3]))
            if tail[0] == "cgroup2":
                self.points.setdefault("unified", point)
            elif tail[0] == "cgroup":
                for option in tail[2].split(","):
                    self.points.setdefault(option, point)

    @classmethod
    def read(cls, proc: str = "/proc") -> Mounts:
        """The mounts of this process."""
        with open(f"{proc}/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return cls(file.read())


class Folders:
    """The folders of one container. An empty string where there is none or it cannot be seen."""

    __slots__ = ("cpu", "memory", "pids", "unified")

    def __init__(self, cpu: str, memory: str, pids: str, unified: bool) -> None:
        self.cpu = cpu
        self.memory = memory
        self.pids = pids
        self.unified = unified
        """Whether the files are those of v2."""


def folders(cgroup: str, mounts: Mounts, container: str) -> Folders | None:
    """The folders of `container`, from the text of its first process's `/proc/PID/cgroup`."""
    paths: dict[str, str] = {}
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not number.isdigit() or not path.startswith("/"):
            continue
        for controller in controllers.split(",") if controllers else ["unified"]:
            paths[controller] = path
    found: dict[str, str] = {}
    for controller, path in paths.items():
        point = mounts.points.get(controller)
        own = _own_part(path, container)
        if point is None or not own:
            continue
        place = visible(own, *point)
        if place:
            found[controller] = place
    if "memory" in found or "cpuacct" in found:
        return Folders(found.get("cpuacct", ""), found.get("memory", ""), found.get("pids", ""), False)
    if "unified" in found:
        return Folders(found["unified"], found["unified"], found["unified"], True)
    return None


def visible(path: str, mount_point: str, root: str) -> str:
    """Where the cgroup `path` is in the file system; empty if it lies outside of what is mounted."""
    root = root.rstrip("/")
    if path != root and not path.startswith(root + "/"):
        return ""
    rest = path[len(root) :]
    return "" if rest.startswith("/../") else mount_point.rstrip("/") + rest


def container_id(cgroup: str) -> str | None:
    """The container in the text of a process's `/proc/PID/cgroup`: the outermost id, whatever the naming.

    `/docker/ID`, `/system.slice/docker-ID.scope`, `/libpod_parent/libpod-ID`, `/kubepods/.../ID`.
    """
    match = _ID.search(cgroup)
    return match.group(1) if match else None


def containers_below(folder: str) -> set[str]:
    """Ids of the containers that have a cgroup right below `folder`."""
    try:
        names: Iterable[str] = os.listdir(folder)
    except OSError:
        return set()
    matches = (_ID.search(name) for name in names if "conmon" not in name)
    return {match.group(1) for match in matches if match}


def _own_part(path: str, container: str) -> str:
    """Up to the folder that is named after the container: its init may have moved deeper (systemd, crun).

    Without such a folder the path is taken as it is, but never the root, which is the whole machine.
    """
    parts = path.split("/")
    for place, part in enumerate(parts):
        if container in part:
            return "/".join(parts[: place + 1])
    return "" if path == "/" or path.endswith("/..") else path


def unescape(text: str) -> str:
    """mountinfo writes space, tab, newline and backslash as octal."""
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), text)
