"""File systems of a host: where they are mounted, how full they are; and good manners while we look."""

from __future__ import annotations

import os
import pwd
import re
import stat
import threading
import time

PATIENCE = 4.0
"""Seconds that file systems have to say how full they are; a dead file server never does."""
SUBVOLUMES = ("btrfs", "bcachefs")
"""Here a folder may have a device number of its own and still belong to the file system above it."""
_PSEUDO = frozenset({
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fuse.lxcfs", "fuse.portal", "fusectl", "hugetlbfs", "mqueue", "nsfs", "overlay", "proc",
    "pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs", "tmpfs", "tracefs",
})  # fmt: skip
"""What holds no data of anybody's on a disk of its own."""
_MOST = 100


class Mount:
    """A line of the mount table."""

    def __init__(self, point: str, kind: str, source: str) -> None:
        self.point, self.kind, self.source = point, kind, source


def mounts(table: str = "/proc/self/mountinfo") -> dict[str, Mount]:
    """Mount points; of two at one place the one that is seen. Empty where there is no such table."""
    found = {}
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                words, _, rest = line.rstrip("\n").partition(" - ")
                fields, about = words.split(" "), rest.split(" ")
                if len(fields) > 4 and len(about) > 1:
                    point = plain_path(fields[4])
                    found[point] = Mount(point, about[0], plain_path(about[1]))
    except OSError:
        pass
    return found


def plain_path(text: str) -> str:
    """A path of the mount table without its escapes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def mount_of(path: str, table: dict[str, Mount]) -> str:
    """The mount point that holds a path (one without links)."""
    while path not in ("", "/"):
        if path in table or (not table and os.path.ismount(path)):
            return path
        path = os.path.dirname(path)
    return "/"


def home_folders() -> list[str]:
    """Where people's homes are: one's own, and the folders that hold those of others."""
    found = [os.path.expanduser("~")]
    try:
        people = [each for each in pwd.getpwall() if each.pw_uid >= 1000 and each.pw_uid < 65000]
    except OSError:
        people = []
    parents = {os.path.dirname(each.pw_dir) for each in people[:5000]}
    found += sorted(each for each in parents | {"/home"} if each not in ("", "/") and os.path.isdir(each))
    return [each for each in dict.fromkeys(found) if each.startswith("/")]


def filesystems(folders: list[list[str]]) -> list[dict]:  # type: ignore[type-arg]
    """How full the file systems of these (role, folder) are, and every other one with a disk behind it.

    Each is asked in a thread of its own: one that does not answer is said to be so.
    """
    table = mounts()
    wanted: dict[str, dict] = {}  # type: ignore[type-arg]
    asked = [(role, folder) for role, folder in folders if folder.startswith("/")]
    asked += [("home", folder) for folder in home_folders()]
    for each in table.values():
        if each.kind not in _PSEUDO and (each.source.startswith("/") or ":" in each.source):
            asked.append(("", each.point))
    slow = threading.Thread(target=_places, args=(asked, table, wanted), daemon=True)
    slow.start()
    slow.join(PATIENCE)
    rows = list(wanted.values())[:_MOST]
    running = []
    for row in rows:
        row["error"] = "does not answer"
        thread = threading.Thread(target=_measure, args=(row,), daemon=True)
        thread.start()
        running.append(thread)
    until = time.monotonic() + PATIENCE
    for thread in running:
        thread.join(max(0.0, until - time.monotonic()))
    return _each_once([dict(row) for row in rows])


def _places(asked: list, table: dict[str, Mount], wanted: dict) -> None:  # type: ignore[type-arg]
    """Find the mount of each folder. In a thread: the way there may lead over a dead file server."""
    for role, folder in asked:
        if role and not _is_there(folder):
            continue
        point = mount_of(os.path.realpath(folder) if role else folder, table)
        about = table.get(point)
        row = wanted.setdefault(
            point,
            {
                "mount": point,
                "roles": [],
                "folders": [],
                "kind": about.kind if about else "",
                "source": about.source if about else "",
            },
        )
        if role and role not in row["roles"]:
            row["roles"].append(role)
        if role and folder not in row["folders"]:
            row["folders"].append(folder)


def _is_there(folder: str) -> bool:
    """Whether a folder is there, as far as we may look: that of an engine is often closed to users."""
    try:
        return stat.S_ISDIR(os.stat(folder).st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _measure(row: dict) -> None:  # type: ignore[type-arg]
    try:
        about = os.statvfs(row["mount"])
        device = os.stat(row["mount"]).st_dev
    except OSError as error:
        row["error"] = error.strerror or str(error)
        return
    block = about.f_frsize or about.f_bsize
    row.update(
        total=about.f_blocks * block,
        used=(about.f_blocks - about.f_bfree) * block,
        free=about.f_bavail * block,
        inodes=about.f_files,
        inodes_used=about.f_files - about.f_ffree,
        device=device,
        error="",
    )


def _each_once(rows: list[dict]) -> list[dict]:  # type: ignore[type-arg]
    """One row for each file system: bind mounts and subvolumes of one are joined, those without room go."""
    found: dict = {}  # type: ignore[type-arg]
    for row in sorted(rows, key=lambda each: (not each["roles"], len(each["mount"]))):
        if not row["error"] and not row["total"]:
            continue
        key = (row["source"], row.get("total"), row.get("inodes")) if row["source"] else row.get("device")
        if row["error"]:
            key = row["mount"]
        if key not in found:
            found[key] = row
            continue
        for what in ("roles", "folders"):
            found[key][what] += [each for each in row[what] if each not in found[key][what]]
    return sorted(found.values(), key=lambda each: each["mount"])


# ------------------------------------------------------------------------------------------------ people

_names: dict[int, str] = {}


def user_name(uid: int) -> str:
    """The name of a user, or the number of one that this host does not know."""
    if uid not in _names:
        try:
            _names[uid] = pwd.getpwuid(uid).pw_name
        except (KeyError, OSError, OverflowError):
            _names[uid] = str(uid)
    return _names[uid]


# --------------------------------------------------------------------------------------------- manners

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "ppc64le": 273, "s390x": 282, "armv7l": 314}
_IDLE = 3 << 13


def be_polite() -> None:
    """From now on only what nobody else wants: of the processors (nice 19) and of the disks (class idle)."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 19)
    except OSError:
        pass
    number = _IOPRIO_SET.get(os.uname().machine) if os.uname().sysname == "Linux" else None
    if number is None:
        return
    try:
        import ctypes

        ctypes.CDLL(None, use_errno=True).syscall(number, 1, 0, _IDLE)
    except (ImportError, OSError, AttributeError, TypeError):
        pass
