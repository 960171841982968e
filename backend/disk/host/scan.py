"""Reading folders into a tree: the first levels in order, then at random, for as long as is allowed.

Links are not followed, other file systems not entered, hard links counted once, sparse files by what they
take. What cannot be read is named.
"""

from __future__ import annotations

import errno
import heapq
import os
import random
import stat
import time
from typing import Callable

from backend.disk.host.places import SUBVOLUMES, Mount, mount_of, mounts
from backend.disk.host.tree import MOUNT, WAITING, Node, Tree

LINKED = 400_000
"""Files with several names that are remembered; of more than these each name counts for its share."""
LARGEST = 400
"""Files that are remembered as the largest."""
NAMED = 200
"""Folders that are named as unreadable."""
_LOOK = 4096
"""Files between two looks at the clock."""
_DIR, _KIND = 0o040000, 0o170000
_PIECE = 3000
"""Bytes of a path that are handed to the system at once; it takes 4095."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Opens a folder, and nothing that a link leads to."""
_PASSED = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""For folders on the way, which may let nobody read what is in them."""


def open_folder(path: str) -> int:
    """A descriptor of a folder, however long its path is; never of what a link leads to."""
    if len(path) < _PIECE // 4:
        return os.open(path, FOLDER)
    at = os.open("/", FOLDER)
    try:
        part = ""
        for name in path.strip("/").split("/"):
            if part and len(os.fsencode(part)) + len(os.fsencode(name)) > _PIECE:
                deeper = os.open(part, FOLDER, dir_fd=at)
                os.close(at)
                at, part = deeper, ""
            part = part + "/" + name if part else name
        return os.open(part or ".", FOLDER, dir_fd=at)
    finally:
        os.close(at)


def reach_folder(path: str) -> int:
    """A descriptor of a folder that is reached from the root by folders alone, `ELOOP` where a link is on the
    way. Name by name: who owns one of them may make it a link at any moment. Raises `OSError`.
    """
    at = os.open("/", FOLDER)
    names = path.strip("/").split("/") if path != "/" else []
    for number, name in enumerate(names, 1):
        try:
            deeper = os.open(name, FOLDER if number == len(names) else _PASSED, dir_fd=at)
        except OSError as error:
            code = errno.ELOOP if _is_link(at, name) else error.errno
            raise OSError(code, error.strerror, path) from None
        finally:
            os.close(at)
        at = deeper
    return at


def _is_link(at: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)
    except OSError:
        return False


class Scan:
    """One tree and what is needed to read on in it."""

    def __init__(self, path: str, *, cross: bool = False, seed: int | None = None) -> None:
        """`path`: without links. Raises `OSError` where it cannot be read at all."""
        descriptor = open_folder(path)
        try:
            about = os.fstat(descriptor)
            space = os.fstatvfs(descriptor)
        finally:
            os.close(descriptor)
        self.tree = Tree(path, about.st_uid)
        self.cross = cross
        self.used = 0 if cross else (space.f_blocks - space.f_bfree) * (space.f_frsize or space.f_bsize)
        """Bytes in use on the file system: what is below a folder cannot be more."""
        self.problems: list[tuple[str, str]] = []
        self.unreadable = 0
        self.largest: list[tuple[int, int, int, int, Node, str]] = []
        """A heap of bytes, a number, user, when written, folder, name."""
        self.stop = False
        """Set from another thread: no more now."""
        self.between: Callable[[], bool] = lambda: self.stop
        """Called now and then inside of large folders; whether to leave."""
        self.errors = 0
        """Files that could not be looked at."""
        self.read = 0
        """Folders that were read."""
        self._device = about.st_dev
        self._floor, self._seen = -1, 0
        self._links: set[tuple[int, int]] = set()
        self._random = random.Random(seed)  # noqa: S311  # a sample, no secret
        table = mounts()
        self._mounts = _below(path, table)
        point = table.get(mount_of(path, table))
        self._subvolumes = point is not None and point.kind in SUBVOLUMES
        self._apart: list[Node] = []
        """Folders that wait outside of where we read now."""

    # ------------------------------------------------------------------------------------ which next

    def focus(self, node: Node | None) -> None:
        """From now on read only below a folder; None: anywhere."""
        tree = self.tree
        tree.waiting += self._apart
        self._apart = []
        if node is None:
            return
        tree.waiting += tree.first
        tree.first.clear()
        every, tree.waiting = tree.waiting, []
        for each in every:
            inside = any(up is node for up in each.above())
            (tree.waiting if inside else self._apart).append(each)

    def run(self, until: float, limit: float | None = None) -> bool:
        """Read until that time of `time.monotonic()`; whether anything is left that can be read.

        `limit`: when to leave a folder in the middle, if it is that large; else `until`.
        """
        tree = self.tree
        while (tree.first or tree.waiting) and not self.stop:
            if time.monotonic() >= until:
                return True
            node = tree.first.popleft() if tree.first else self._any()
            try:
                self._read(node, until if limit is None else limit)
            except OSError as error:
                tree.failed(node)
                self.unreadable += 1
                if len(self.problems) < NAMED:
                    self.problems.append((tree.path_of(node), error.strerror or str(error)))
        return bool(tree.first or tree.waiting)

    def unread(self) -> list[Node]:
        """All folders that wait to be read."""
        return [*self.tree.unread(), *self._apart]

    def estimate(self) -> None:
        """Say for each folder what is not read yet may hold."""
        before = self.tree.waiting
        self.tree.waiting = before + self._apart
        self.tree.estimate(self.used)
        self.tree.waiting = before

    def _any(self) -> Node:
        """One at random; the latest where there are so many that what it holds has to be read first."""
        waiting = self.tree.waiting
        if len(waiting) < WAITING // 2:
            place = int(self._random.random() * len(waiting))
            waiting[place], waiting[-1] = waiting[-1], waiting[place]
        return waiting.pop()

    # --------------------------------------------------------------------------------------- reading

    def _read(self, node: Node, until: float) -> None:
        """Read one folder. Raises `OSError` where it cannot be."""
        path = self.tree.path_of(node)
        descriptor = open_folder(path)
        try:
            about = os.fstat(descriptor)
            with os.scandir(descriptor) as entries:
                found = _Found(self, node, path, self.tree.room() - len(self._apart))
                found.take(entries, until)
        finally:
            os.close(descriptor)
        self.read += 1
        own = about.st_blocks * 512
        node.uid = about.st_uid
        self.tree.read(
            node, own + found.bytes, found.files, found.newest, found.owners, found.kids, found.unseen
        )

    def enters(self, folder: str, name: str, device: int) -> bool:
        """Whether a folder belongs to what is counted, and is not the door to another file system."""
        if self.cross:
            mount = self._mounts.get(folder, {}).get(name)
            return mount is None or mount.kind not in ("proc", "sysfs", "cgroup", "cgroup2", "devpts")
        if folder in self._mounts and name in self._mounts[folder]:
            return False
        return device == self._device or self._subvolumes

    def linked(self, key: tuple[int, int], size: int, names: int) -> int:
        """What one of several names of a file counts for."""
        if key in self._links:
            return 0
        if len(self._links) >= LINKED:
            return size // names
        self._links.add(key)
        return size

    def large(self, size: int, uid: int, when: int, node: Node, name: str) -> None:
        """Remember a file that is among the largest."""
        if size > self._floor:
            self._seen += 1
            entry = (size, self._seen, uid, when, node, name)
            if len(self.largest) < LARGEST:
                heapq.heappush(self.largest, entry)
            else:
                heapq.heapreplace(self.largest, entry)
                self._floor = self.largest[0][0]

    @property
    def floor(self) -> int:
        """Bytes that a file needs to be among the largest."""
        return self._floor


class _Found:
    """What is in one folder."""

    def __init__(self, scan: Scan, node: Node, path: str, room: int) -> None:
        self.scan, self.node, self.path, self.room = scan, node, path, room
        self.bytes = self.files = self.newest = self.unseen = 0
        self.owners: dict[int, int] = {}
        self.kids: list[Node] = []

    def take(self, entries: os._ScandirIterator[str], until: float) -> None:
        """Look at each entry. One call for all of them: this is where the time goes."""
        scan, node, owner, owners = self.scan, self.node, self.node.uid, self.owners
        total = files = newest = 0
        for entry in entries:
            try:
                about = entry.stat(follow_symlinks=False)
            except OSError:
                scan.errors += 1
                continue
            if about.st_mode & _KIND == _DIR:
                self._folder(entry.name, about)
                continue
            files += 1
            size = about.st_blocks * 512
            if about.st_nlink > 1:
                size = scan.linked((about.st_dev, about.st_ino), size, about.st_nlink)
            total += size
            if about.st_uid != owner:
                owners[about.st_uid] = owners.get(about.st_uid, 0) + size
            written: int = about[8]  # type: ignore[assignment]  # whole seconds, which are quicker to read
            newest = max(newest, written)
            if size > scan.floor:
                scan.large(size, about.st_uid, written, node, entry.name)
            if not files % _LOOK and (scan.between() or time.monotonic() > until):
                self.unseen += 1  # whatever else there is
                break
        self.bytes, self.files, self.newest = total, files, newest

    def _folder(self, name: str, about: os.stat_result) -> None:
        if len(self.kids) >= self.room:
            self.unseen += 1
            return
        kid = Node(name, self.node, about.st_uid)
        if not self.scan.enters(self.path, name, about.st_dev):
            kid.flags, kid.open, kid.kids = MOUNT, 0, []
        self.kids.append(kid)


def _below(path: str, table: dict[str, Mount]) -> dict[str, dict[str, Mount]]:
    """Mount points below a path: by folder and name."""
    front = path.rstrip("/") + "/"
    found: dict[str, dict[str, Mount]] = {}
    for point, mount in table.items():
        if point.startswith(front) and point != "/":
            found.setdefault(os.path.dirname(point), {})[os.path.basename(point)] = mount
    return found
