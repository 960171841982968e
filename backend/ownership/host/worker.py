"""Looks at everything once, then at what changes; ends when its input does.

Its first line of input says what is right; its output is one line of JSON whenever there is news.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import sys
import time
from typing import Optional

from backend.ownership.host.events import IGNORED, OVERFLOW, Inotify, brings_folder
from backend.ownership.host.rules import Right
from backend.ownership.host.tree import Left, Tree, reason

SAMPLES = 200
"""Paths that are told one by one."""
_FOLDERS = 100_000
"""Folders that are watched; where there are more, everything is looked at now and then."""
_SETTLE = 0.1
"""Seconds in which what happens is gathered."""
_AT_ONCE = 5_000
"""Names that are looked at one by one; when more change at once, everything is."""
_NEWS = 1.0
_HEAR = 0.25
_PAUSE, _SHARE = 10.0, 20
"""Between two looks at everything: at least so many seconds, and so many times what a look takes."""
_FIGHT, _FIGHT_FOR = 5, 60.0
"""How often something is set right within so many seconds, before it is left to who changes it back."""
_REMOTE = ("nfs", "cifs", "smb", "fuse", "9p", "lustre", "beegfs", "gpfs", "ceph", "afs", "virtiofs")
"""File systems that others change without our kernel's knowing."""


class Stop(Exception):
    """The input has ended: nobody wants this any more."""


class Worker:
    """One order: some folders, and what is right in them."""

    def __init__(self, order: dict) -> None:  # type: ignore[type-arg]
        self.dry = bool(order.get("dry"))
        self.until = time.monotonic() + float(order.get("limit") or 1e9)
        self.trees = []
        for each in order["folders"]:
            path = os.fsencode(each["path"])
            try:
                right = Right(order["uid"], order["gid"], order["clauses"])
                self.trees.append(Tree(path, (each["dev"], each["ino"]), right))
            except (OSError, Left) as error:
                raise Left("%s: %s" % (each["path"], getattr(error, "strerror", None) or error)) from None
        self.inotify: Optional[Inotify] = None
        self.places: dict[int, tuple[Tree, bytes]] = {}
        """Watched folders by their number."""
        self.changed = self.seen = 0
        self.left: dict[str, int] = {}
        self.samples: list[str] = []
        self.often: dict[bytes, int] = {}
        self.often_since = time.monotonic()
        self.following = False
        self.heard = 0.0
        self.whole = False
        """Whether events cannot tell everything."""
        self.unfinished = False
        self.told = 0.0
        self.news = True

    # ---------------------------------------------------------------------------------- looking

    def look(self, tree: Tree, rel: bytes, watching: bool) -> None:
        """At a folder and all below it."""
        stack = [rel]
        if not rel:
            self.one(tree, tree.fd, b"", b"")
        while stack:
            here = stack.pop()
            if time.monotonic() > self.until:
                self.unfinished = True
                return
            try:
                fd = tree.open(here)
            except (OSError, Left) as error:
                self.leave(tree, here, error)
                continue
            try:
                if watching:
                    self.watch(tree, here, fd)
                for name in os.listdir(fd):
                    raw = os.fsencode(name)
                    if self.one(tree, fd, here, raw):
                        stack.append(here + b"/" + raw if here else raw)
            except OSError as error:
                self.leave(tree, here, error)
            finally:
                os.close(fd)
            if watching:
                self.tell()
                self.listen()

    def one(self, tree: Tree, parent: int, rel: bytes, name: bytes) -> bool:
        """At one thing in an open folder; whether it is a folder."""
        self.seen += 1
        path = b"/".join(filter(None, (tree.path, rel, name)))
        try:
            if self.often.get(path, 0) >= _FIGHT:
                raise Left("somebody changes it back")
            folder, changed = tree.check(parent, rel, name, self.dry)
        except FileNotFoundError:
            return False  # gone meanwhile
        except (OSError, Left) as error:
            self.leave(tree, path, error)
            return False
        if changed:
            self.changed += 1
            self.news = True
            if self.following:
                self.often[path] = self.often.get(path, 0) + 1
            self.samples.append(path.decode("utf-8", "surrogateescape"))
            if not self.dry:
                del self.samples[:-10]
            else:
                del self.samples[SAMPLES:]
        return folder

    def leave(self, tree: Tree, path: bytes, error: Exception) -> None:
        """Count what is left as it is, by why."""
        if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return  # it is gone, or another thing by now: that is news of its own
        why = reason(error) if isinstance(error, OSError) else str(error)
        self.left[why] = self.left.get(why, 0) + 1
        self.news = True

    def watch(self, tree: Tree, rel: bytes, fd: int) -> None:
        """Be told of what happens in an open folder."""
        if self.inotify is None:
            return
        try:
            if len(self.places) >= _FOLDERS:
                raise OSError(errno.ENOSPC, "too many folders")
            number = self.inotify.watch(fd)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self.whole = True
            return
        self.places[number] = (tree, rel)

    # ---------------------------------------------------------------------------------- following

    def run(self) -> str:
        """Until the input ends; why, where there is another reason."""
        try:
            self.inotify = Inotify()
        except OSError:
            self.whole = True
        self.whole = self.whole or any(remote(tree) for tree in self.trees)
        self.say(ready=True)
        due = 0.0
        inputs = [0] + ([self.inotify.fd] if self.inotify is not None else [])
        while True:
            if time.monotonic() >= due:
                due = time.monotonic() + self.everything()
            wait = min(due - time.monotonic(), _NEWS if self.news else 3600.0)
            ready = select.select(inputs, [], [], max(0.0, wait))[0]
            if 0 in ready and not os.read(0, 1024):
                raise Stop
            if len(inputs) > 1 and inputs[1] in ready and not self.follow():
                due = 0.0
            if not any(tree.still() for tree in self.trees):
                return "the folder was deleted"
            self.tell()

    def everything(self) -> float:
        """Look at everything; seconds until that is to be done again."""
        start = time.monotonic()
        self.seen, self.left, self.unfinished = 0, {}, False
        for tree in self.trees:
            self.look(tree, b"", watching=True)
        took = time.monotonic() - start
        self.news = True
        return max(_PAUSE, _SHARE * took) if self.whole else max(600.0, 100 * took)

    def follow(self) -> bool:
        """Look at what happened; False where everything has to be looked at."""
        assert self.inotify is not None
        names: dict[int, dict[bytes, bool]] = {}
        count = 0
        end = time.monotonic() + _SETTLE
        while True:
            for number, mask, name in self.inotify.read():
                if mask & OVERFLOW:
                    return False
                if mask & IGNORED:
                    self.places.pop(number, None)
                    continue
                inside = names.setdefault(number, {})
                count += name not in inside
                inside[name] = inside.get(name, False) or brings_folder(mask)
            rest = end - time.monotonic()
            if count > _AT_ONCE:
                return False
            if rest <= 0 or not select.select([self.inotify.fd], [], [], rest)[0]:
                break
        if time.monotonic() - self.often_since > _FIGHT_FOR or len(self.often) > _AT_ONCE:
            self.often, self.often_since = {}, time.monotonic()
        self.following = True
        for number, inside in names.items():
            self.happened(number, inside)
        self.following = False
        return True

    def happened(self, number: int, inside: dict[bytes, bool]) -> None:
        """In one folder."""
        if number not in self.places:
            return
        assert self.inotify is not None
        tree, rel = self.places[number]
        try:
            fd = tree.open(rel)
        except (OSError, Left):
            self.places.pop(number, None)
            self.inotify.forget(number)  # it was moved away, or is gone
            return
        try:
            now = self.inotify.watch(fd)
            if now != number:  # another folder has its name
                self.inotify.forget(number)
                self.places.pop(number, None)
                self.places[now] = (tree, rel)
            for name, folder in inside.items():
                if self.one(tree, fd, rel, name) and name and folder:
                    self.look(tree, rel + b"/" + name if rel else name, watching=True)
        except OSError as error:
            self.leave(tree, rel, error)
        finally:
            os.close(fd)

    # ------------------------------------------------------------------------------------ telling

    def tell(self) -> None:
        """News, but not too often."""
        if self.news and time.monotonic() - self.told >= _NEWS:
            self.say()

    def listen(self) -> None:
        """Raise `Stop` where the input has ended; looked at now and then while there is much to do."""
        if time.monotonic() - self.heard > _HEAR:
            self.heard = time.monotonic()
            if select.select([0], [], [], 0)[0] and not os.read(0, 1024):
                raise Stop

    def say(self, **more: object) -> None:
        """One line."""
        self.news = False
        self.told = time.monotonic()
        what = {
            "folders": len(self.places),
            "seen": self.seen,
            "changed": self.changed,
            "left": self.left,
            "samples": self.samples,
            "sampling": self.whole,
            "unfinished": self.unfinished,
            "at": time.time(),
        }
        what.update(more)
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


def remote(tree: Tree) -> bool:
    """Whether others may change it without our kernel's knowing."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            for line in file:
                words = line.split(b" ")
                if int(words[0]) == tree.mount:
                    kind = words[words.index(b"-", 6) + 1].decode("ascii", "replace")
                    return kind.startswith(_REMOTE)
    except (OSError, ValueError, IndexError):
        pass
    return False


def work() -> None:
    """What the order says."""
    os.nice(10)
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            return
        line += piece
    order = json.loads(line)
    try:
        worker = Worker(order)
        if order["do"] == "watch":
            why = worker.run()
            worker.say(ended=why)
            return
        for tree in worker.trees:
            worker.look(tree, b"", watching=False)
        worker.say(ended="")
    except Stop:
        return
    except Left as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(1)  # nobody listens any more
