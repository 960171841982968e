"""Which files a rule is about, and how they are now.

A *tree* is a folder with rules at or below it. A file belongs to the
rule nearest to it of those that take it.

How a file is stands in one short text, its token: `f1234 1700000000000000000` (size, time in ns), `x...` the
same for a program, `d` a folder, `l...` a link and where it leads, `o` anything else.
"""

from __future__ import annotations

import os
import stat

from backend.sync.host.patterns import Pattern

PARTIAL = b".berth-partial"
"""Folders of what did not arrive whole."""
OURS = b".berth-"
"""What names of folders begin with that no sync looks into."""
MOST_PROBLEMS = 200


class Rule:
    """What of a folder is taken."""

    def __init__(self, prefix: bytes, filters: list[str], links: str = "keep") -> None:
        self.prefix = prefix
        """Where it begins, below the tree's root."""
        self.links = links
        self.filters = [(text[0] == "+", Pattern(encoded(text[2:]))) for text in filters]

    def takes(self, path: bytes, name: bytes, folder: bool) -> bool:
        """Whether it takes something in a folder that it takes. `path` is below the tree's root."""
        if self.filters:
            below = path[len(self.prefix) + 1 :] if self.prefix else path
            for include, pattern in self.filters:
                if pattern.matches(below, name, folder):
                    return include
        return True


class Tree:
    """The rules of one tree."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self.ways: set[bytes] = set()
        for rule in rules:
            parts = rule.prefix.split(b"/")
            self.ways.update(b"/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        self._active: dict[bytes, list[Rule]] = {}

    def active(self, folder: bytes) -> list[Rule]:
        """The rules that look into a folder, the nearest first."""
        known = self._active.get(folder)
        if known is None:
            if folder:
                parent, _, name = folder.rpartition(b"/")
                found = [rule for rule in self.active(parent) if rule.takes(folder, name, True)]
            else:
                found = []
            own = [rule for rule in self.rules if rule.prefix == folder]
            known = self._active[folder] = own + found
        return known

    def owner(self, path: bytes, folder: bool = False) -> Rule | None:
        """The rule that something belongs to; None: no rule takes it."""
        parent, _, name = path.rpartition(b"/")
        if folder:
            own = next((rule for rule in self.rules if rule.prefix == path), None)
            if own is not None:
                return own
        return next((rule for rule in self.active(parent) if rule.takes(path, name, folder)), None)


class Look:
    """What was found in a tree."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}
        self.problems: list[tuple[bytes, str]] = []
        """What could not be read, and why. What lies below is unknown, not gone."""
        self.special = 0
        """Sockets, pipes and devices, which are left alone."""

    def failed(self, path: bytes, error: OSError) -> None:
        """Something could not be read."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append((path, error.strerror or str(error)))


def look(root: bytes, tree: Tree, source: bool, paths: list[bytes] | None = None) -> Look:
    """How everything is that the rules take; of `paths` alone, and what is below them, where they are given.

    `source`: links are treated as the rules say; on the other side they are only seen.
    """
    walker = Walker(tree, source)
    if paths is None:
        walker.walk(root, b"", ())
    else:
        for path in sorted(set(paths)):
            walker.one(root, path)
    return walker.found


class Walker:
    """Looks at a tree."""

    def __init__(self, tree: Tree, source: bool) -> None:
        self.tree = tree
        self.source = source
        self.found = Look()

    def one(self, root: bytes, path: bytes) -> None:
        """One path, and what is below it."""
        if not path:
            self.walk(root, b"", ())
            return
        full = os.path.join(root, path)
        try:
            status = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self.found.failed(path, error)
            return
        folder = stat.S_ISDIR(status.st_mode)
        rule = self.tree.owner(path, folder)
        if folder:
            if rule is not None:
                self.found.entries[path] = b"d"
            if rule is not None or path in self.tree.ways:
                self.walk(full, path + b"/", ())
        elif rule is not None:
            self.take(full, path, status, rule, ())

    def walk(self, folder: bytes, rel: bytes, above: tuple[tuple[int, int], ...]) -> None:
        """Everything in a folder. `rel` is empty or ends with a slash; `above`: where links led to."""
        stack = [(folder, rel)]
        while stack:
            folder, rel = stack.pop()
            try:
                entries = list(os.scandir(folder))
            except OSError as error:
                if rel or not isinstance(error, FileNotFoundError):
                    self.found.failed(rel[:-1], error)
                continue
            active = self.tree.active(rel[:-1])
            first = active[0] if active and not active[0].filters else None
            """The rule that takes all of it."""
            for entry in entries:
                path = rel + entry.name
                inside = entry.is_dir(follow_symlinks=False)
                rule = first
                if rule is None:
                    for each in active:
                        if each.takes(path, entry.name, inside):
                            rule = each
                            break
                if inside:
                    if entry.name.startswith(OURS) or (rule is None and path not in self.tree.ways):
                        continue
                    if rule is not None or self.tree.active(path):
                        self.found.entries[path] = b"d"
                    stack.append((entry.path, path + b"/"))
                elif rule is not None:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # gone meanwhile
                    except OSError as error:
                        self.found.failed(path, error)
                        continue
                    if stat.S_ISREG(status.st_mode):
                        self.found.entries[path] = token(status)
                    else:
                        self.take(entry.path, path, status, rule, above)

    def take(
        self,
        full: bytes,
        path: bytes,
        status: os.stat_result,
        rule: Rule,
        above: tuple[tuple[int, int], ...],
    ) -> None:
        """Anything but a folder."""
        if stat.S_ISREG(status.st_mode):
            self.found.entries[path] = token(status)
        elif stat.S_ISLNK(status.st_mode):
            if self.source and rule.links == "skip":
                return
            try:
                if self.source and rule.links == "follow":
                    self.follow(full, path, above)
                else:
                    self.found.entries[path] = b"l" + os.readlink(full)
            except OSError as error:
                self.found.failed(path, error)
        else:
            self.found.special += 1
            if not self.source:
                self.found.entries[path] = b"o"

    def follow(self, full: bytes, path: bytes, above: tuple[tuple[int, int], ...]) -> None:
        """What a link leads to, in its place. A folder that leads to itself is not looked at again."""
        status = os.stat(full)
        if stat.S_ISREG(status.st_mode):
            self.found.entries[path] = token(status)
        elif stat.S_ISDIR(status.st_mode):
            here = (status.st_dev, status.st_ino)
            line = set(above)
            parent = os.path.dirname(full)
            while True:
                each = os.stat(parent)
                line.add((each.st_dev, each.st_ino))
                if os.path.dirname(parent) == parent:
                    break
                parent = os.path.dirname(parent)
            if here in line:
                self.found.problems.append((path, "a link that leads round in a circle"))
                return
            self.found.entries[path] = b"d"
            self.walk(full, path + b"/", (*above, here))
        else:
            self.found.special += 1


def token(status: os.stat_result) -> bytes:
    """The token of a regular file."""
    kind = b"x" if status.st_mode & 0o100 else b"f"
    return b"%s%d %d" % (kind, status.st_size, status.st_mtime_ns)


def token_of(path: bytes) -> bytes:
    """The token of whatever is there; empty: nothing."""
    try:
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode):
            return token(status)
        if stat.S_ISLNK(status.st_mode):
            return b"l" + os.readlink(path)
    except OSError:
        return b""
    return b"d" if stat.S_ISDIR(status.st_mode) else b"o"


def encoded(text: str) -> bytes:
    """A name or path as it is on disk."""
    return text.encode("utf-8", "surrogateescape")


def decoded(name: bytes) -> str:
    """A name or path as text that keeps every byte."""
    return name.decode("utf-8", "surrogateescape")
