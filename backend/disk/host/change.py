"""Removing a folder or file that somebody chose, and nothing else: no link is followed, no mount crossed."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from typing import Callable

from backend.disk.host.places import mounts, user_name
from backend.disk.host.scan import FOLDER, reach_folder

_SYSTEM = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
)
"""Nothing in these is anybody's to remove here."""
_PLACES = ("/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var", "/var/lib", "/var/log",  # noqa: S108
           "/var/tmp", "/var/cache", "/var/spool")  # fmt: skip  # noqa: S108
"""These themselves stay; what is in them may go."""
_EVERY = 500
"""Files between two words about how far it is."""
_TURNS = 20
"""Times that a folder is gone through where something stays in it."""
_NAMED = 200
"""Problems that are kept."""


class Refusal(Exception):
    """It is not done, and why."""


class Weight:
    """What goes with a path."""

    def __init__(self) -> None:
        self.bytes = self.files = self.folders = self.newest = 0
        self.owners: dict[str, int] = {}
        self.links: dict[tuple[int, int], list[int]] = {}
        self.problems: list[tuple[str, str]] = []


def allowed(path: str, kept: list[str]) -> None:
    """Raise `Refusal` for what is never removed. `kept`: folders of engines, by their whole paths."""
    if not path.startswith("/") or path != os.path.normpath(path) or "\0" in path:
        raise Refusal("is no whole path")
    if path in _PLACES:
        raise Refusal("is a place of the system, only what is in it can be removed")
    if any(path == each or path.startswith(each + "/") for each in _SYSTEM):
        raise Refusal("belongs to the system")
    for each in kept:
        if path == each or path.startswith(each.rstrip("/") + "/"):
            raise Refusal("belongs to the container engine; prune removes what is unused there")
        if each.startswith(path + "/"):
            raise Refusal(f"holds the container engine's data ({each})")
    for home in homes():
        if path == home:
            raise Refusal("is somebody's home")
        if home.startswith(path + "/"):
            raise Refusal(f"holds a home ({home})")
        if path == home + "/.ssh" or path.startswith(home + "/.ssh/"):
            raise Refusal("holds the keys of a login")
    for point in mounts():
        if point == path:
            raise Refusal("is where a file system is mounted")
        if point.startswith(path + "/"):
            raise Refusal(f"has a file system mounted in it ({point})")


def homes() -> set[str]:
    """Homes of people, by what the host says of its users and by where they usually are."""
    found = {os.path.expanduser("~")}
    try:
        found |= {each.pw_dir for each in pwd.getpwall() if each.pw_dir not in ("", "/", "/nonexistent")}
    except OSError:
        pass
    try:
        found |= {os.path.join("/home", name) for name in os.listdir("/home")}
    except OSError:
        pass
    real = {os.path.realpath(each) for each in found if each not in ("/bin", "/sbin")}
    return {each for each in found | real if each.startswith("/") and each != "/"}


class Target:
    """A path that was opened without following any link, by its folder and its name in it."""

    def __init__(self, path: str, kept: list[str]) -> None:
        """Raises `Refusal`, and `OSError` where it is gone or cannot be reached."""
        allowed(path, kept)
        self.path = path
        folder, self.name = os.path.split(path)
        try:
            self.parent = reach_folder(folder)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Refusal("is reached by a link; name the folder where it really is") from None
            raise
        try:
            about = os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
            apart = stat.S_ISDIR(about.st_mode) and about.st_dev != os.fstat(self.parent).st_dev
            if apart and _other_filesystem(self.parent, self.name):
                raise Refusal("is another file system")
        except BaseException:
            os.close(self.parent)
            raise
        self.about = about
        self.token = [about.st_dev, about.st_ino, about.st_mode]

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self.parent)

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _other_filesystem(parent: int, name: str) -> bool:
    """Whether a folder with another device number is more than a subvolume of the same file system."""
    inside = os.open(name, FOLDER, dir_fd=parent)
    try:
        here, there = os.fstatvfs(parent), os.fstatvfs(inside)
        return (here.f_blocks, here.f_files, here.f_bsize) != (there.f_blocks, there.f_files, there.f_bsize)
    finally:
        os.close(inside)


def weigh(target: Target, told: Callable[[int, int], None]) -> Weight:
    """What goes with it: bytes that come free, so files with names elsewhere count for nothing."""
    weight = Weight()

    def count(about: os.stat_result) -> None:
        size = about.st_blocks * 512
        if not stat.S_ISDIR(about.st_mode):
            weight.files += 1
            weight.newest = max(weight.newest, int(about.st_mtime))
            if about.st_nlink > 1:
                seen = weight.links.setdefault((about.st_dev, about.st_ino), [0, about.st_nlink])
                seen[0] += 1
                if seen[0] < seen[1]:
                    return
            if not weight.files % _EVERY:
                told(weight.files, weight.bytes)
        else:
            weight.folders += 1
        weight.bytes += size
        owner = user_name(about.st_uid)
        weight.owners[owner] = weight.owners.get(owner, 0) + size

    if stat.S_ISDIR(target.about.st_mode):
        _Walk(
            target, weight, lambda _at, _name, about: count(about), lambda _at, _name, about: count(about)
        ).run()
    else:
        count(target.about)
    return weight


def remove(target: Target, told: Callable[[int, int], None]) -> Weight:
    """Remove it; what went."""
    weight = Weight()

    def gone(at: int, name: str, about: os.stat_result) -> None:
        last = os.stat(name, dir_fd=at, follow_symlinks=False).st_nlink <= 1
        os.unlink(name, dir_fd=at)
        weight.files += 1
        weight.bytes += about.st_blocks * 512 if last else 0
        if not weight.files % _EVERY:
            told(weight.files, weight.bytes)

    def empty(at: int, name: str, about: os.stat_result) -> None:
        os.rmdir(name, dir_fd=at)
        weight.folders += 1
        weight.bytes += about.st_blocks * 512

    if stat.S_ISDIR(target.about.st_mode):
        _Walk(target, weight, gone, empty).run()
    else:
        gone(target.parent, target.name, target.about)
    return weight


Each = Callable[[int, str, os.stat_result], None]


class _Level:
    """A folder on the way down."""

    def __init__(self, parent: int, name: str, about: os.stat_result) -> None:
        self.name, self.about, self.turns = name, about, 0
        self.descriptor = os.open(name, FOLDER, dir_fd=parent)
        try:
            now = os.fstat(self.descriptor)
            if (now.st_dev, now.st_ino) != (about.st_dev, about.st_ino):
                raise OSError(errno.ESTALE, "is another folder now")
            self.entries = os.scandir(self.descriptor)
        except BaseException:
            os.close(self.descriptor)
            raise

    def next(self) -> str | None:
        """The next name in it."""
        entry = next(self.entries, None)
        return None if entry is None else entry.name

    def again(self) -> bool:
        """From the start: some file systems forget names while others are removed. Not for ever."""
        self.turns += 1
        self.entries.close()
        self.entries = os.scandir(self.descriptor)
        return self.turns < _TURNS

    def close(self) -> None:
        """Let go of it."""
        self.entries.close()
        os.close(self.descriptor)


class _Walk:
    """Files of a tree, then its folders from the deepest up. Trouble with one is named, the rest goes on."""

    def __init__(self, target: Target, weight: Weight, each: Each, after: Each) -> None:
        self.target, self.weight, self.each, self.after = target, weight, each, after
        self.stack: list[_Level] = []

    def run(self) -> None:
        """All of it."""
        stack = self.stack
        try:
            self._enter(self.target.parent, self.target.name, self.target.about)
            while stack:
                name = stack[-1].next()
                if name is None:
                    self._leave()
                    continue
                try:
                    self._one(stack[-1].descriptor, name)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self._trouble(name, error)
        finally:
            for level in stack:
                level.close()

    def _enter(self, at: int, name: str, about: os.stat_result) -> None:
        try:
            self.stack.append(_Level(at, name, about))
        except OSError as error:
            self._trouble(name, error)

    def _one(self, at: int, name: str) -> None:
        about = os.stat(name, dir_fd=at, follow_symlinks=False)
        if not stat.S_ISDIR(about.st_mode):
            self.each(at, name, about)
        elif about.st_dev != self.target.about.st_dev and _other_filesystem(at, name):
            raise OSError(errno.EXDEV, "is another file system")
        else:
            self._enter(at, name, about)

    def _leave(self) -> None:
        """A folder is done."""
        level = self.stack[-1]
        above = self.stack[-2].descriptor if len(self.stack) > 1 else self.target.parent
        before = len(self.weight.problems)
        try:
            self.after(above, level.name, level.about)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and not before and level.again():
                return
            self.stack.pop()
            self._trouble(level.name, error)
            level.close()
            return
        self.stack.pop()
        level.close()

    def _trouble(self, name: str, error: OSError) -> None:
        if len(self.weight.problems) < _NAMED:
            names = [level.name for level in self.stack[1:]] + ([name] if self.stack else [])
            where = "/".join([self.target.path, *names])
            self.weight.problems.append((where, error.strerror or str(error)))
