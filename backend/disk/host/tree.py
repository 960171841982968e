"""The tree of folders that was found so far: sums of each, what is not read yet, and what that may hold.

Memory is bounded: where there are too many folders, small ones that are complete are folded (their sums stay,
what is below them is read again when somebody walks in), and of folders that wait to be read at most
`WAITING` are remembered.
"""

from __future__ import annotations

from collections import deque
from typing import Iterator

KEPT = 100_000
"""Folders that are remembered, at most (about 400 bytes each)."""
WAITING = 100_000
"""Folders not read yet that are remembered, at most."""
FIRST = 2
"""Levels that are read in order before anything is read at random, so that there is something to see."""
DEEP = 24
"""Levels below which all are taken as one for an estimate."""
ENOUGH = 5
"""Folders of an area and depth that have to be read before the others are judged by them."""
LIKE = 10
"""As many folders of its area does it take to count for as much as all of that depth elsewhere."""
MODEL = 0.8
"""Share of a guess that it may be off (one standard deviation) because folders are not alike; less where
little is guessed. From trials on trees of 16,000 folders."""
SURE = 2.0
"""Standard deviations of what is said about an estimate: nine of ten were within, in trials."""

READ, FOLDED, PART, FAILED, MOUNT = 1, 2, 4, 8, 16
"""Of a folder: read; children forgotten; read in part only; cannot be read; another file system."""


class Node:
    """A folder. What it says of itself is true of all below it, as far as it was read."""

    __slots__ = (
        "area", "bytes", "depth", "doubt", "files", "flags", "folders", "guess", "kids", "name", "newest",
        "open", "others", "parent", "uid",
    )  # fmt: skip

    def __init__(self, name: str, parent: Node | None, uid: int) -> None:
        self.name = name
        self.parent = parent
        self.uid = uid
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.area: Node | None = parent.area if parent is not None and parent.depth else self
        """The folder right below the root that it is in: what is alike, for estimates."""
        self.bytes = 0
        """Of all files and folders below, by blocks."""
        self.files = 0
        self.folders = 0
        self.newest = 0
        """When the newest file below was written, unix time."""
        self.open = 1
        """Folders here and below that were not read yet."""
        self.others: dict[int, int] | None = None
        """Bytes by user, of those who are not the folder's own."""
        self.kids: list[Node] | None = None
        self.flags = 0
        self.guess = 0.0
        """Bytes that what is open may hold."""
        self.doubt = 0.0
        """The variance of that."""

    def of_user(self, uid: int) -> int:
        """Bytes of a user."""
        if uid == self.uid:
            return self.bytes - (sum(self.others.values()) if self.others else 0)
        return (self.others or {}).get(uid, 0)

    def above(self) -> Iterator[Node]:
        """Itself, its folder, and so on to the root."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent


class Sample:
    """What the folders of one kind were like that were read."""

    __slots__ = ("bytes", "bytes2", "kids", "kids2", "read")

    def __init__(self) -> None:
        self.read, self.bytes, self.bytes2, self.kids, self.kids2 = 0, 0.0, 0.0, 0.0, 0.0

    def add(self, size: float, kids: float) -> None:
        """One more."""
        self.read += 1
        self.bytes += size
        self.bytes2 += size * size
        self.kids += kids
        self.kids2 += kids * kids


class Tree:
    """All folders below one."""

    def __init__(self, root: str, uid: int = 0, most: int = KEPT) -> None:
        self.path = root
        self.root = Node("", None, uid)
        self.first: deque[Node] = deque([self.root])
        """Of the first levels, to be read in this order."""
        self.waiting: list[Node] = []
        """Others that are not read yet."""
        self.samples: dict[tuple[int, int], Sample] = {}
        """By (area, depth); area 0 is all of them."""
        self.kept = 1
        self.most = most
        self._fold_at = most

    # ------------------------------------------------------------------------------------ building

    def read(  # noqa: PLR0917  # called for each folder: names would cost as much as the sums
        self,
        node: Node,
        own: int,
        files: int,
        newest: int,
        owners: dict[int, int],
        kids: list[Node],
        unseen: int,
    ) -> None:
        """A folder was read: bytes of itself and its files, when the newest was written, bytes by users other
        than its own, the folders in it, and how many more there were that have no place here.
        """
        node.flags |= READ
        node.kids = kids
        self.kept += len(kids)
        closed = sum(1 for kid in kids if not kid.open)
        delta = len(kids) - closed + unseen - 1
        if unseen:
            node.flags |= PART
        folders = len(kids) + unseen
        for up in node.above():
            up.bytes += own
            up.files += files
            up.folders += folders
            up.open += delta
            up.newest = max(up.newest, newest)
            if owners or up.uid != node.uid:
                _credit(up, node.uid, own - sum(owners.values()))
                for uid, size in owners.items():
                    _credit(up, uid, size)
        (self.first if node.depth < FIRST else self.waiting).extend(kid for kid in kids if kid.open)
        area = id(node.area) if node.depth else 0
        for key in {(area, min(DEEP, node.depth)), (0, min(DEEP, node.depth))}:
            if key not in self.samples:
                self.samples[key] = Sample()
            self.samples[key].add(own, folders)
        if self.kept > self._fold_at:
            self._fold()

    def failed(self, node: Node) -> None:
        """A folder cannot be read."""
        node.flags |= READ | FAILED
        node.kids = []
        for up in node.above():
            up.open -= 1

    def room(self) -> int:
        """How many more folders that wait can be remembered."""
        return max(0, WAITING - len(self.waiting) - len(self.first))

    def unread(self) -> Iterator[Node]:
        """Folders that wait."""
        yield from self.first
        yield from self.waiting

    def _fold(self) -> None:
        """Forget what is below the smallest complete folders, until there is room again."""
        complete = [node for node in self.nodes() if node.kids and not node.open and node.depth]
        for node in sorted(complete, key=lambda each: each.bytes):
            if self.kept <= self.most * 0.7:
                break
            if node.kids:  # not gone with another
                self._forget(node)
        self._fold_at = max(self.most, int(self.kept * 1.3))

    def _forget(self, node: Node) -> None:
        gone = [node]
        while gone:
            one = gone.pop()
            if one.kids:
                self.kept -= len(one.kids)
                gone += one.kids
            one.kids = None
            one.flags |= FOLDED

    # --------------------------------------------------------------------------------------- looking

    def nodes(self) -> Iterator[Node]:
        """All that are remembered, from the root on."""
        line = [self.root]
        while line:
            node = line.pop()
            yield node
            if node.kids:
                line += node.kids

    def find(self, path: str) -> Node | None:
        """The folder of that path, where it is remembered."""
        if path == self.path:
            return self.root
        front = self.path.rstrip("/") + "/"
        if not path.startswith(front):
            return None
        node = self.root
        for name in path[len(front) :].split("/"):
            found = next((kid for kid in node.kids or () if kid.name == name), None)
            if found is None:
                return None
            node = found
        return node

    def path_of(self, node: Node) -> str:
        """Its whole path."""
        names = [each.name for each in node.above()][:-1]
        return "/".join([self.path.rstrip("/"), *reversed(names)]) if names else self.path

    # ------------------------------------------------------------------------------------- estimates

    def estimate(self, used: int) -> None:
        """Say for each folder what the unread ones below it may hold.

        How many bytes and how many folders a folder of that depth has of its own is known from those that
        were read in the same area, chosen at random: what an unread one holds follows from the deepest up,
        as in a family tree. `used`: bytes that the file system has in use, which is the most it can be.
        """
        if self.kept > self.most:
            self._fold()
        for node in self.nodes():
            node.guess = node.doubt = 0.0
        expected: dict[tuple[int, int], tuple[float, float]] = {}
        count: dict[tuple[int, int], int] = {}
        for node in self.unread():
            key = self._kind(node)
            count[key] = count.get(key, 0) + 1
        for node in self.unread():
            key = self._kind(node)
            mean, spread = self._expected(key, expected)
            read = self.samples[key].read if key in self.samples else 1
            spread *= 1.0 + count[key] / max(1, read)
            for up in node.above():
                up.guess += mean
                up.doubt += spread
        self._unseen(expected)
        for node in self.nodes():
            if node.guess:
                node.doubt += (MODEL * node.guess * node.guess / (node.bytes + node.guess)) ** 2
        root = self.root
        if used and root.guess > 0 and root.bytes + root.guess > used:
            share = max(0.0, used - root.bytes) / root.guess
            for node in self.nodes():
                node.guess *= share
                node.doubt *= share * share

    def _unseen(self, expected: dict[tuple[int, int], tuple[float, float]]) -> None:
        """Folders that were only counted."""
        for node in self.nodes():
            if node.flags & PART and node.kids is not None:
                unseen = node.open - sum(kid.open for kid in node.kids)
                mean, spread = self._expected(self._kind(node, 1), expected)
                for up in node.above():
                    up.guess += mean * unseen
                    up.doubt += spread * unseen * 2

    def _kind(self, node: Node, more: int = 0) -> tuple[int, int]:
        """The area and depth to judge a folder by: its own area where enough of it was read."""
        depth = min(DEEP, node.depth + more)
        key = (id(node.area), depth)
        if key in self.samples and self.samples[key].read >= ENOUGH:
            return key
        return (0, depth)

    def _expected(
        self, key: tuple[int, int], known: dict[tuple[int, int], tuple[float, float]]
    ) -> tuple[float, float]:
        """Bytes that an unread folder of that kind holds with all below it, and the variance of that."""
        if key in known:
            return known[key]
        area, depth = key
        sample = self.samples.get(key)
        if sample is None or not sample.read:
            every = [each for (place, _), each in self.samples.items() if place == 0]
            read = sum(each.read for each in every)
            mean = sum(each.bytes for each in every) / read if read else 0.0
            known[key] = (mean, mean * mean)
            return known[key]
        known[key] = (0.0, 0.0)
        below, below_spread = (0.0, 0.0)
        own, kids = sample.bytes / sample.read, sample.kids / sample.read
        if area and (usual := self.samples.get((0, depth))) is not None:
            share = sample.read / (sample.read + LIKE)  # few were read: what is usual elsewhere counts too
            own = share * own + (1 - share) * usual.bytes / usual.read
            kids = share * kids + (1 - share) * usual.kids / usual.read
        if depth < DEEP and kids:
            deeper = (area, depth + 1)
            if area and (deeper not in self.samples or self.samples[deeper].read < ENOUGH):
                deeper = (0, depth + 1)
            below, below_spread = self._expected(deeper, known)
        spread = max(0.0, sample.bytes2 / sample.read - own * own)
        kids_spread = max(0.0, sample.kids2 / sample.read - kids * kids)
        known[key] = (
            own + kids * below,
            spread + kids * below_spread + kids_spread * below * below,
        )
        return known[key]


def _credit(node: Node, uid: int, size: int) -> None:
    """Bytes that are in a folder of somebody else."""
    if uid == node.uid or not size:
        return
    if node.others is None:
        node.others = {}
    node.others[uid] = node.others.get(uid, 0) + size
