"""What is said of a tree: the rows of one folder, the biggest folders and files, who holds how much."""

from __future__ import annotations

import heapq
import os
import stat
import time

from backend.disk.host.places import user_name
from backend.disk.host.scan import Scan, open_folder
from backend.disk.host.tree import FAILED, FOLDED, MOUNT, PART, READ, SURE, Node

ROWS = 1000
"""Rows of one folder that are told, the largest."""
FILES_FOR = 1.0
"""Seconds that looking at the files of one folder may take."""
_MOSTLY = 0.8
"""A folder of which one thing in it is that share is not worth a line of its own."""


def folder_row(scan: Scan, node: Node, name: str, kind: str = "folder") -> dict:  # type: ignore[type-arg]
    """A folder: `bytes` are certain, `guess` is what else is expected, give or take `doubt`."""
    if node.flags & MOUNT:
        kind = "mount"
    return {
        "name": name,
        "kind": kind,
        "bytes": node.bytes,
        "guess": int(node.guess),
        "doubt": int(SURE * node.doubt**0.5),
        "files": node.files,
        "folders": node.folders,
        "owner": user_name(node.uid),
        "newest": node.newest,
        "open": node.open,
        "read": bool(node.flags & READ),
        "failed": bool(node.flags & FAILED),
        "folded": bool(node.flags & FOLDED),
    }


def listing(scan: Scan, node: Node, files: list[dict] | None = None) -> dict:  # type: ignore[type-arg]
    """A folder and what is in it, the largest first. `files`: as `files_of` found them."""
    path = scan.tree.path_of(node)
    rows = [folder_row(scan, kid, kid.name) for kid in node.kids or ()]
    rows += files or []
    count, left = len(rows), 0
    if count > ROWS:
        rows.sort(key=_size, reverse=True)
        left = sum(_size(each) for each in rows[ROWS:])
        rows = rows[:ROWS]
    rows.sort(key=_size, reverse=True)
    return {
        "path": path,
        "root": scan.tree.path,
        "self": folder_row(scan, node, path),
        "rows": rows,
        "more": max(0, count - ROWS),
        "more_bytes": left,
    }


def _size(row: dict) -> int:  # type: ignore[type-arg]
    return int(row["bytes"]) + int(row["guess"])


def files_of(path: str, most: int = ROWS) -> tuple[list[dict], bool]:  # type: ignore[type-arg]
    """The files right in a folder, the largest; whether there was time for all."""
    best: list = []  # type: ignore[type-arg]
    until = time.monotonic() + FILES_FOR
    whole, count = True, 0
    descriptor = open_folder(path)
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                count += 1
                if not count % 1024 and time.monotonic() > until:
                    whole = False
                    break
                try:
                    about = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISDIR(about.st_mode):
                    continue
                item = (about.st_blocks * 512, count, entry.name, about)
                heapq.heappush(best, item) if len(best) < most else heapq.heappushpop(best, item)
    finally:
        os.close(descriptor)
    return [file_row(name, about) for _, _, name, about in sorted(best, reverse=True)], whole


def file_row(name: str, about: os.stat_result) -> dict:  # type: ignore[type-arg]
    """A file."""
    kind = "link" if stat.S_ISLNK(about.st_mode) else "file" if stat.S_ISREG(about.st_mode) else "other"
    return {
        "name": name,
        "kind": kind,
        "bytes": about.st_blocks * 512,
        "guess": 0,
        "doubt": 0,
        "files": about.st_nlink if kind == "file" else 1,
        "folders": 0,
        "owner": user_name(about.st_uid),
        "newest": int(about.st_mtime),
        "open": 0,
        "read": True,
        "failed": False,
        "folded": False,
    }


def biggest(scan: Scan, node: Node, most: int) -> list[dict]:  # type: ignore[type-arg]
    """The biggest folders and files below one, with their whole paths; none that is nearly all one other."""
    rows: list[dict] = []  # type: ignore[type-arg]
    tree = scan.tree
    files: dict[int, int] = {}
    for size, _, _, _, folder, _ in scan.largest:
        files[id(folder)] = max(size, files.get(id(folder), 0))
    heap = [(-(node.bytes + node.guess), 0, node)]
    count = 0
    while heap and len(rows) < most:
        _, _, one = heapq.heappop(heap)
        whole = one.bytes + one.guess
        kids = one.kids or []
        largest = max([files.get(id(one), 0), *(kid.bytes + kid.guess for kid in kids)])
        if largest < whole * _MOSTLY and whole > 0:
            rows.append(folder_row(scan, one, tree.path_of(one)))
        for kid in kids:
            count += 1
            if kid.bytes + kid.guess > 0 and not kid.flags & MOUNT:
                heapq.heappush(heap, (-(kid.bytes + kid.guess), count, kid))
    rows += large_files(scan, node, most)
    rows.sort(key=_size, reverse=True)
    return rows[:most]


def large_files(scan: Scan, node: Node, most: int) -> list[dict]:  # type: ignore[type-arg]
    """The largest files that were found below a folder."""
    rows: list[dict] = []  # type: ignore[type-arg]
    for size, _, uid, when, folder, name in sorted(scan.largest, key=lambda each: each[:2], reverse=True):
        if len(rows) >= most:
            break
        if any(up is node for up in folder.above()):
            path = scan.tree.path_of(folder).rstrip("/") + "/" + name
            rows.append(
                {
                    "name": path,
                    "kind": "file",
                    "bytes": size,
                    "guess": 0,
                    "doubt": 0,
                    "files": 1,
                    "folders": 0,
                    "owner": user_name(uid),
                    "newest": when,
                    "open": 0,
                    "read": True,
                    "failed": False,
                    "folded": False,
                }
            )
    return rows


def owners(scan: Scan, node: Node, holdings: int = 3) -> list[dict]:  # type: ignore[type-arg]
    """Who holds how much below a folder, the most first, each with the folders that hold most of it."""
    known: dict[int, list[float]] = {}
    uids = {node.uid, *(node.others or {})}
    for uid in uids:
        known[uid] = [node.of_user(uid), 0.0]
    waiting = [each for each in scan.unread() if any(up is node for up in each.above())]
    if waiting:
        share = node.guess / len(waiting)
        for each in waiting:
            known.setdefault(each.uid, [0, 0.0])[1] += share
    rows = []
    for uid, (size, guess) in sorted(known.items(), key=lambda each: -sum(each[1])):
        if not size and not guess:
            continue
        rows.append(
            {
                "owner": user_name(uid),
                "uid": uid,
                "bytes": int(size),
                "guess": int(guess),
                "folders": _held(scan, node, uid, holdings),
            }
        )
    return rows


def _held(scan: Scan, node: Node, uid: int, most: int) -> list[dict]:  # type: ignore[type-arg]
    """The folders that hold most of what a user has, none inside another."""
    found: list[dict] = []  # type: ignore[type-arg]
    heap = [(-node.of_user(uid), 0, node)]
    count = 0
    while heap and len(found) < most:
        size, _, one = heapq.heappop(heap)
        if not size:
            break
        parts = [(kid.of_user(uid), kid) for kid in one.kids or ()]
        largest = max((part for part, _ in parts), default=0)
        mixed = one.uid != uid and one.kids
        if (largest >= -size * _MOSTLY or mixed or one is node) and largest:
            for part, kid in parts:
                count += 1
                if part:
                    heapq.heappush(heap, (-part, count, kid))
            continue
        found.append({"path": scan.tree.path_of(one), "bytes": -size})
    return found


def state_of(scan: Scan) -> dict:  # type: ignore[type-arg]
    """How far a scan is."""
    root = scan.tree.root
    return {
        "root": scan.tree.path,
        "bytes": root.bytes,
        "guess": int(root.guess),
        "doubt": int(SURE * root.doubt**0.5),
        "files": root.files,
        "folders": scan.read,
        "open": root.open,
        "complete": not root.open,
        "unreadable": scan.unreadable,
        "problems": scan.problems[:20],
        "errors": scan.errors,
        "partial": bool(root.flags & PART),
    }
