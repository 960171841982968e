"""The host's side: answers requests, one line of JSON each, until its input ends. A scan goes on meanwhile.

A thread reads the requests. When the input ends, whoever asked is gone: the whole process ends at once, in
the middle of whatever it does (what is removed then is removed file by file).
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections import deque

from backend.disk.host.change import Refusal, Target, Weight, remove, weigh
from backend.disk.host.look import biggest, files_of, listing, owners, state_of
from backend.disk.host.places import be_polite, filesystems, user_name
from backend.disk.host.scan import Scan
from backend.disk.host.tell import leave_file, write_all, write_to
from backend.disk.host.tree import FOLDED, Node

PROTOCOL = 1
IDLE = 1800.0
"""Seconds without a request after which nobody is believed to be there."""
_SLICE = 0.05
"""Seconds that are read before requests are looked for."""
_TELL = 0.25
"""Seconds between two words about how far a scan is."""


_ESTIMATE = 1.0
"""Seconds between two estimates while folders are read."""


class Server:
    """What one berth asks of one host."""

    def __init__(self) -> None:
        self.base: Scan | None = None
        self.fine: Scan | None = None
        """A second tree, for a folder of the first that was folded."""
        self.running: Scan | None = None
        self._until = 0.0
        self._began = 0.0
        self._told = 0.0
        self._estimated = 0.0
        """When estimates may be made anew."""
        self._asked: deque[dict] = deque()  # type: ignore[type-arg]
        self._news = threading.Condition()
        self._files: tuple[str, list[dict], bool] = ("", [], True)  # type: ignore[type-arg]

    # ----------------------------------------------------------------------------------- the two loops

    def listen(self) -> None:
        """Collect requests; the end of the input is the end of all."""
        try:
            for line in sys.stdin.buffer:
                request = json.loads(line)
                with self._news:
                    self._asked.append(request)
                    if request.get("do") in ("scan", "stop") and self.running is not None:
                        self.running.stop = True
                    self._news.notify()
        finally:
            os._exit(0)

    def work(self) -> None:
        """Answer, and read on in between; to the end of the input, or until nobody asks for long."""
        threading.Thread(target=self.listen, daemon=True).start()
        while True:
            with self._news:
                while not self._asked and self.running is None:
                    if not self._news.wait(IDLE) and not self._asked:
                        return  # a line that was cut says nothing
                request = self._asked.popleft() if self._asked else None
            if request is not None:
                self._reply(request)
            elif self.running is not None:
                self._read_on(self.running)

    def _reply(self, request: dict) -> None:  # type: ignore[type-arg]
        say({"id": request.get("id"), **self.answer(request)})

    def between(self) -> bool:
        """In the middle of a large folder: answer who only looks; whether to leave the folder."""
        while self._asked and self._asked[0].get("do") in ("list", "top", "owners"):
            self._reply(self._asked.popleft())
        return self.running is None or self.running.stop

    def answer(self, request: dict) -> dict:  # type: ignore[type-arg]
        """The answer to one request; what goes wrong is said in it."""
        try:
            return getattr(self, f"do_{request['do']}")(request)  # type: ignore[no-any-return]
        except Refusal as refusal:
            return {"error": str(refusal), "kind": "refused"}
        except FileNotFoundError as error:
            where = error.filename or request.get("path", "")
            return {"error": f"{where}: there is no such thing", "kind": "gone"}
        except OSError as error:
            where = error.filename if isinstance(error.filename, str) else request.get("path", "")
            return {"error": f"{where}: {error.strerror or error}".lstrip(": "), "kind": "failed"}

    # ------------------------------------------------------------------------------------------ looking

    def do_hello(self, request: dict) -> dict:  # type: ignore[type-arg]
        """Who and where this is."""
        return {
            "protocol": PROTOCOL,
            "home": os.path.expanduser("~"),
            "user": user_name(os.geteuid()),
            "pid": os.getpid(),
            "time": time.time(),
        }

    def do_filesystems(self, request: dict) -> dict:  # type: ignore[type-arg]
        """How full the disks are."""
        return {"filesystems": filesystems(request["folders"])}

    def do_scan(self, request: dict) -> dict:  # type: ignore[type-arg]
        """Begin to read a folder, or read on where that was begun."""
        path = os.path.realpath(os.path.expanduser(request["path"]))
        found = None if request.get("fresh") else self._find(path)
        if found is not None:
            scan, node = found
            scan.focus(None if node is scan.tree.root else node)
            if node.open and not (scan.tree.first or scan.tree.waiting):
                found = None  # folders that were only counted
            elif node.flags & FOLDED:
                found = None
        if found is None:
            scan = Scan(path, cross=bool(request.get("cross")))
            below = self.base is not None and path.startswith(self.base.tree.path.rstrip("/") + "/")
            if below and not request.get("fresh"):
                self.fine = scan
            else:
                self.base, self.fine = scan, None
        scan.stop, scan.between = False, self.between
        self._files = ("", [], True)
        self.running = scan
        self._began = time.monotonic()
        self._until = self._began + float(request["for"])
        self._estimated = self._began + _ESTIMATE
        return {"path": path}

    def do_stop(self, request: dict) -> dict:  # type: ignore[type-arg]
        """Read no further."""
        if self.running is not None:
            self._ended(self.running)
        return {}

    def do_list(self, request: dict) -> dict:  # type: ignore[type-arg]
        """What is in a folder, as far as that is known."""
        scan, node = self._known(request["path"])
        path = scan.tree.path_of(node)
        whole = True
        if self._files[0] != path or request.get("fresh"):
            try:
                self._files = (path, *files_of(path))
            except OSError:
                self._files = (path, [], True)  # the folder's own row says so
        _, files, whole = self._files
        return {**listing(scan, node, files), "whole": whole, "scan": state_of(scan)}

    def do_top(self, request: dict) -> dict:  # type: ignore[type-arg]
        """The biggest below a folder."""
        scan, node = self._known(request["path"])
        return {"rows": biggest(scan, node, int(request["most"])), "scan": state_of(scan)}

    def do_owners(self, request: dict) -> dict:  # type: ignore[type-arg]
        """Who holds how much below a folder."""
        scan, node = self._known(request["path"])
        return {"rows": owners(scan, node), "scan": state_of(scan)}

    def _known(self, path: str) -> tuple[Scan, Node]:
        found = self._find(path)
        if found is None:
            raise FileNotFoundError(2, "not read", path)
        self._estimate(found[0])
        return found

    def _estimate(self, scan: Scan) -> None:
        """What is not read may hold, as of now; not often enough to keep from reading."""
        began = time.monotonic()
        if scan is self.running and began >= self._estimated:
            scan.estimate()
            now = time.monotonic()
            self._estimated = now + max(_ESTIMATE, 10 * (now - began))

    def _find(self, path: str) -> tuple[Scan, Node] | None:
        """Where a folder is remembered; in the finer tree first."""
        for scan in (self.fine, self.base):
            node = scan.tree.find(path) if scan is not None else None
            if scan is not None and node is not None:
                return scan, node
        return None

    def _read_on(self, scan: Scan) -> None:
        now = time.monotonic()
        left = scan.run(min(self._until, now + _SLICE), self._until)
        now = time.monotonic()
        if not left or now >= self._until or scan.stop:
            self._ended(scan)
        elif now - self._told >= _TELL:
            self._told = now
            say({"event": "progress", "seconds": now - self._began, **state_of(scan)})

    def _ended(self, scan: Scan) -> None:
        self.running = None
        scan.estimate()
        say({"event": "ended", "seconds": time.monotonic() - self._began, **state_of(scan)})

    # ----------------------------------------------------------------------------------------- changing

    def do_weigh(self, request: dict) -> dict:  # type: ignore[type-arg]
        """What would go with each path."""
        found = []
        for path in request["paths"]:
            path = os.path.expanduser(path).rstrip("/") or "/"
            row: dict = {"path": path}  # type: ignore[type-arg]
            try:
                with Target(path, request["kept"]) as target:
                    weight = weigh(target, lambda files, size: tell("weighed", files, size))
                    row.update(_weight(weight), token=target.token)
            except Refusal as refusal:
                row["refused"] = str(refusal)
            except OSError as error:
                row["error"] = error.strerror or str(error)
                row["gone"] = isinstance(error, FileNotFoundError)
            found.append(row)
        return {"paths": found}

    def do_remove(self, request: dict) -> dict:  # type: ignore[type-arg]
        """Remove what was shown, if it is still that."""
        with Target(request["path"], request["kept"]) as target:
            if target.token != request["token"]:
                raise Refusal("is something else now")
            return _weight(remove(target, lambda files, size: tell("removed", files, size)))

    def do_tell(self, request: dict) -> dict:  # type: ignore[type-arg]
        """Tell people something."""
        way, text = request["way"], request["text"]
        if way == "file":
            return {"said": leave_file(request["path"], text)}
        if way == "wall":
            return {"said": write_all(text)}
        return {"said": write_to(request["user"], text)}


def _weight(weight: Weight) -> dict:  # type: ignore[type-arg]
    return {
        "bytes": weight.bytes,
        "files": weight.files,
        "folders": weight.folders,
        "newest": weight.newest,
        "owners": weight.owners,
        "problems": weight.problems[:20],
        "failed": len(weight.problems),
    }


def tell(event: str, files: int, size: int) -> None:
    """How far it is."""
    say({"event": event, "files": files, "bytes": size})


def say(line: dict) -> None:  # type: ignore[type-arg]
    """One line to whoever asked; nobody reads: the end."""
    try:
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        os._exit(0)


def main() -> None:
    """Serve; at idle priority where that is said: looking may wait for others, removing should end."""
    if "polite" in sys.argv[1:]:
        be_polite()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # one for each level of a tree
    except (OSError, ValueError):
        pass
    Server().work()
    os._exit(0)  # Python aborts where a thread still waits in `sys.stdin` when the program ends


if __name__ == "__main__":
    main()
