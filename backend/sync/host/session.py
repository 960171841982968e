"""One side of a sync: answers requests, one after the other, until its input ends.

A request is a line of JSON, and as many bytes as its `bytes` says; an answer is the same. What is long
(names, tokens) is in the bytes: compressed, separated by NUL. A request is read whole before anything of it
is done, so that a link that is lost stops nothing half-way.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import zlib

from backend.sync.host.change import files_below, private, remove, swap, undo
from backend.sync.host.parcel import pack, unpack
from backend.sync.host.place import Lock, Trouble, home, locked, resolved, state, states
from backend.sync.host.runs import (
    about,
    drop_partials,
    listed,
    prune,
    remove_run,
    remove_tree,
    run_folder,
    size_of,
    sweep,
    write_about,
)
from backend.sync.host.walk import Look, Rule, Tree, decoded, encoded, look, token_of

PROTOCOL = 1


class Session:
    """What one berth does on one side."""

    def __init__(self) -> None:
        self.locks: list[Lock] = []
        self.place = b""
        self.run = b""
        self.begun: list[bytes] = []

    def answer(self, request: dict, payload: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """The answer to one request; `Trouble` and file errors become `{"error": ...}`."""
        try:
            return getattr(self, f"do_{request['do']}")(request, payload)  # type: ignore[no-any-return]
        except Trouble as trouble:
            return {"error": str(trouble), "kind": trouble.kind}, []
        except OSError as error:
            where = error.filename
            name = decoded(where) if isinstance(where, bytes) else str(where or "")
            return {"error": f"{name}: {error.strerror or error}.".lstrip(": "), "kind": "failed"}, []

    # ------------------------------------------------------------------------------------ looking

    def do_hello(self, request: dict, _: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """Who and where this is."""
        return {
            "protocol": PROTOCOL,
            "home": decoded(os.path.realpath(home())),
            "time": time.time(),
            "rsync": program("rsync"),
            "uid": os.getuid(),
        }, []

    def do_look(self, request: dict, payload: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """How the files of some trees are; `payload`: only these paths, where `paths` is said."""
        trees = []
        out: list[bytes] = []
        for each in request["trees"]:
            root = resolved(each["root"])
            rules = [Rule(encoded(rule["prefix"]), rule["filter"], rule["links"]) for rule in each["rules"]]
            paths = payload[each["from"] : each["to"]] if "from" in each else None
            found = look(root, Tree(rules), bool(each["source"]), paths)
            trees.append(described(root, found))
            for entry in found.entries.items():
                out.extend(entry)
        return {"trees": trees, "time": time.time()}, out

    def do_tokens(self, request: dict, payload: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """How these files are now; paths in `payload` are whole ones."""
        return {}, [token_of(path) for path in payload]

    # ------------------------------------------------------------------------------------ changing

    def do_lock(self, request: dict, _: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """Take the right to write below some folders, and clean up after those who had it and were killed."""
        targets = sorted({resolved(each) for each in request["targets"]})
        self.place = state(targets[0])
        self.locks += locked(self.place, targets, request["owner"])
        return {"swept": sweep(self.place, targets)}, []

    def do_unlock(self, request: dict, _: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """Give it back."""
        for lock in self.locks:
            lock.release()
        self.locks = []
        return {}, []

    def do_begin(self, request: dict, payload: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """Write down what is coming: whole paths and how each was seen. Answers which are not so any more."""
        self.begun = paths = payload[0::2]
        seen = payload[1::2]
        moved = changed_since(paths, seen)
        for each in request["private"]:
            private(resolved(each["folder"]), each["mode"])
        for each in request["folders"]:
            os.makedirs(encoded(each), exist_ok=True)
        self.enough_room(request)
        self.run = run_folder(self.place, request["run"])
        os.makedirs(os.path.join(self.run, b"kept") if request["keep"] else self.run, mode=0o700)
        what = {key: request[key] for key in ("run", "profile", "by", "at", "targets", "bases")}
        write_about(self.run, {**what, "state": "running", "beside": request.get("beside", [])})
        with open(os.path.join(self.run, b"way.new"), "wb") as file:
            file.write(b"\0".join(paths))
        os.rename(os.path.join(self.run, b"way.new"), os.path.join(self.run, b"way"))
        return {"kept": decoded(os.path.join(self.run, b"kept"))}, moved

    def enough_room(self, request: dict) -> None:  # type: ignore[type-arg]
        """Raise `Trouble` where what is coming has no room."""
        for each in request["folders"]:
            free = os.statvfs(encoded(each))
            if request["size"] > free.f_bavail * free.f_frsize:
                raise Trouble(f"{each} has no room for it.", "full")
            break

    def do_remove(self, request: dict, payload: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """Remove what was shown, as it was shown."""
        kept = os.path.join(self.run, b"kept", b"%d" % request["number"]) if request["keep"] else None
        wanted = list(zip(payload[0::2], payload[1::2]))
        with Undisturbed():
            stay = remove(encoded(request["base"]), kept, wanted)
        return {"stay": [why for _, why in stay]}, [path for path, _ in stay]

    def do_swap(self, request: dict, _: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """Put a folder that has arrived in its place; what was there is kept beside it, out of sight."""
        staged, target = encoded(request["staged"]), encoded(request["target"])
        with Undisturbed():
            os.makedirs(os.path.dirname(target), exist_ok=True)
            what = about(self.run)
            aside = os.path.join(os.path.dirname(target), b".berth-kept-" + os.path.basename(self.run))
            if swap(staged, target):
                if request["keep"]:
                    os.rename(staged, aside)
                    what["swapped"] = [decoded(aside), decoded(target)]
                    what["beside"] = [decoded(aside)]
                    what["aside_bytes"] = size_of(aside)
                    what["swapped_at"], what["top"] = time.time(), os.stat(target).st_mtime_ns
                    os.makedirs(os.path.join(self.run, b"kept"), exist_ok=True)
                else:
                    remove_tree(staged)
            write_about(self.run, what)
        return {}, []

    def do_finish(self, request: dict, payload: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """The end of a run: how the files are now. What was kept of it stays for a while.

        `begun`: those that `begin` was told of; else those of `payload`.
        """
        paths = self.begun if request.get("begun") else payload
        tokens = [token_of(path) for path in paths]
        what = about(self.run)
        after = {}
        bases = [encoded(str(each)) for each in request["bases"]]
        for number, base in enumerate(bases):
            kept = os.path.join(self.run, b"kept", b"%d" % number)
            for path in files_below(kept):
                after[f"{number}/{decoded(path)}"] = decoded(token_of(os.path.join(base, path)))
        self.begun = []
        if request["whole"]:
            drop_partials(paths)
        if after or what.get("swapped"):
            what["state"], what["after"] = "done", after
            write_about(self.run, what)
            _unlink(os.path.join(self.run, b"way"))
        elif request["whole"]:
            remove_run(self.run)
        prune(self.place, request["days"], request["most"], os.path.basename(self.run))
        there = os.path.isdir(self.run)
        return {
            "kept": len(after) + bool(what.get("swapped")),
            "bytes": size_of(self.run) if there else 0,
        }, tokens

    # ------------------------------------------------------------------------------------ the past

    def do_runs(self, request: dict, _: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """The runs of which something is kept."""
        place = state(resolved(request.get("target", "~")))
        found = []
        for name in sorted(listed(os.path.join(place, b"runs"))):
            what = about(os.path.join(place, b"runs", name))
            what.pop("after", None)
            found.append(what)
        return {"runs": found}, []

    def do_undo(self, request: dict, _: list[bytes]) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
        """Put back what a run replaced or removed, while nobody syncs there."""
        target = resolved(request.get("target") or "~")
        there = [place for place in states(target) if os.path.isdir(run_folder(place, request["run"]))]
        place = self.place or (there[0] if there else state(target))
        targets = about(run_folder(place, request["run"])).get("targets")
        below = {resolved(str(each)) for each in targets} if isinstance(targets, list) else set()
        locks = locked(place, sorted(below), request["owner"])
        try:
            with Undisturbed():
                back, stay = undo(place, request["run"], bool(request["force"]))
        finally:
            for lock in locks:
                lock.release()
        return {"back": back, "stay": [why for _, why in stay]}, [path for path, _ in stay]


def changed_since(paths: list[bytes], seen: list[bytes]) -> list[bytes]:
    """Those that are not as they were seen. What was not there is not, where its folder is not there yet."""
    folders: dict[bytes, bool] = {}
    moved = []
    for path, token in zip(paths, seen):
        if not token:
            parent = path.rpartition(b"/")[0]
            if parent not in folders:
                folders[parent] = os.path.lexists(parent)
            if not folders[parent]:
                continue
        if token_of(path) != token:
            moved.append(path)
    return moved


class Undisturbed:
    """A step that a lost link must not cut in two."""

    def __enter__(self) -> None:
        self.before = []
        if _in_main_thread():
            for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                self.before.append((each, signal.signal(each, signal.SIG_IGN)))

    def __exit__(self, *_: object) -> None:
        for each, handler in self.before:
            signal.signal(each, handler)


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread() and __name__ == "__main__"


def _unlink(path: bytes) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def described(root: bytes, found: Look) -> dict:  # type: ignore[type-arg]
    """What else there is to say of a tree."""
    return {
        "root": decoded(root),
        "entries": len(found.entries),
        "there": os.path.isdir(root),
        "mount": decoded(mount_of(root)),
        "problems": [[decoded(path), why] for path, why in found.problems],
        "special": found.special,
    }


def mount_of(path: bytes) -> bytes:
    """Where the file system is mounted that holds a path."""
    while not os.path.ismount(path):
        parent = os.path.dirname(path)
        if parent == path:
            break
        path = parent
    return path


def program(name: str) -> str:
    """Where a program is; empty: nowhere."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return ""


def packed(parts: list[bytes]) -> bytes:
    """Names and tokens as bytes."""
    return zlib.compress(b"\0".join(parts), 1) if parts else b""


def unpacked(data: bytes) -> list[bytes]:
    """The same, back."""
    return zlib.decompress(data).split(b"\0") if data else []


def _tell(done: int) -> None:
    sys.stdout.write(f"{done}\n")
    sys.stdout.flush()


def serve() -> None:
    """Serve until the input ends."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    session = Session()
    while True:
        line = source.readline()
        if not line.endswith(b"\n"):
            return
        request = json.loads(line)
        data = source.read(request["bytes"])
        if len(data) < request["bytes"]:
            return  # the link was lost on the way: nothing of it is done
        answer, parts = session.answer(request, unpacked(data))
        data = packed(parts)
        answer["bytes"] = len(data)
        try:
            target.write(json.dumps(answer).encode("ascii") + b"\n" + data)
            target.flush()
        except OSError:
            return


def main() -> None:
    """Serve, or carry files: `pack BASE FOLLOW` with names as input, `unpack BASE KEPT MODE` with a tar."""
    if sys.argv[1:2] == ["pack"]:
        size = int(sys.stdin.buffer.readline())
        pack(
            encoded(sys.argv[2]), unpacked(sys.stdin.buffer.read(size)), sys.stdout.buffer, sys.argv[3] == "1"
        )
    elif sys.argv[1:2] == ["unpack"]:
        unpack(encoded(sys.argv[2]), encoded(sys.argv[3]), sys.stdin.buffer, int(sys.argv[4]), _tell)
    else:
        serve()


if __name__ == "__main__":
    main()
