"""The user's part on a host: keeps a worker, and tells of it.

A watch is a process that belongs to nobody's login, a locked file that says it lives, and a file that says
how it goes, in a folder that only its user may enter. When it ends, both files go; when it is killed, the
lock is free, its worker's input ends, and whoever looks next takes the files away.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import stat
import subprocess
import time

from backend.ownership.host.starting import START, Trouble, answer_of, pipes, started

_END = 10.0
"""Seconds that a watch has to end."""


def place() -> str:
    """A folder of ours that nobody else may enter, made where it is missing. Raises `Trouble`."""
    for folder in places():
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            if ours(folder):
                return folder
        except OSError:
            continue
    raise Trouble("there is no place to write down what is watched: neither in your home nor in /var/tmp.")


def places() -> list[str]:
    """Where it may be: in the home, or where that cannot be written to, beside it."""
    other = "/var/tmp/berth-ownership-%d" % os.getuid()  # noqa: S108  # looked at before it is believed
    return [os.path.join(os.path.expanduser("~"), ".cache/berth/ownership"), other]


def ours(folder: str) -> bool:
    """Whether nobody else can have put something into a folder. Raises `OSError`."""
    status = os.lstat(folder)
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return mine and not status.st_mode & 0o022 and os.access(folder, os.W_OK)


def here() -> str:
    """How the names of this machine's files end: some homes are shared between machines."""
    return "@%s.lock" % os.uname().nodename


def bases() -> list[str]:
    """The watches of this machine that are written down anywhere, each without its ending."""
    found = []
    for folder in places():
        try:
            if ours(folder):
                names = sorted(name[:-5] for name in os.listdir(folder) if name.endswith(here()))
                found += [os.path.join(folder, name) for name in names]
        except OSError:
            continue
    return found


def watches() -> list[dict]:  # type: ignore[type-arg]
    """All of ours that live, and those that ended by themselves a while ago; what was killed is swept up."""
    found = []
    for base in bases():
        alive = locked(base + ".lock")
        try:
            with open(base + ".json", encoding="utf-8") as file:
                what = json.load(file)
        except (OSError, ValueError):
            what = {}
        if what and (alive or what.get("ended")):
            found.append({**what, "base": base})
        elif not alive:
            sweep(base)
    return found


def locked(path: str) -> bool:
    """Whether somebody holds the lock."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def sweep(base: str) -> None:
    """Take the files of a watch away."""
    for ending in (".json", ".json.new", ".lock", ".new"):
        try:
            os.unlink(base + ending)
        except OSError:
            pass
    try:
        os.rmdir(os.path.dirname(base))
    except OSError:
        pass  # there are others


def stop(wanted: list[str]) -> list[dict]:  # type: ignore[type-arg]
    """End watches by id or folder, all where none is named; those that were ended. Raises `Trouble`."""
    found = []
    for what in watches():
        paths = [each["path"] for each in what["order"]["folders"]]
        names = {what["id"], *paths, *(os.path.basename(path) for path in paths)}
        if wanted and not names.intersection(wanted):
            continue
        base = what["base"]
        if locked(base + ".lock"):
            os.kill(int(what["pid"]), signal.SIGTERM)
            end = time.monotonic() + _END
            while locked(base + ".lock"):
                if time.monotonic() > end:
                    raise Trouble("%s does not end." % what["id"])
                time.sleep(0.02)
        sweep(base)
        found.append(what)
    return found


def watch(order: dict, code: bytes) -> dict:  # type: ignore[type-arg]
    """Begin a watch that outlives us; what it says first. Raises `Trouble`."""
    for other in watches():
        for theirs in other["order"]["folders"] if not other.get("ended") else ():
            for mine in order["folders"]:
                if within(mine["path"], theirs["path"]) or within(theirs["path"], mine["path"]):
                    raise Trouble("%s is watched already, by %s." % (theirs["path"], other["id"]), "watched")
    base = os.path.join(place(), order["id"] + here()[:-5])
    lock = os.open(base + ".new", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(base + ".new", base + ".lock")  # nobody ever finds it without its lock
    hear, tell = os.pipe()
    if os.fork() == 0:
        os.close(hear)
        detach(base, lock, tell, order, code)
    os.close(tell)
    os.close(lock)
    with os.fdopen(hear, "rb") as file:
        said = file.read()  # until it is detached, or has failed
    os.wait()
    if not said:
        sweep(base)
        raise Trouble("it does not start.")
    found: dict = json.loads(said)  # type: ignore[type-arg]
    if "error" in found:
        sweep(base)
        raise Trouble(found["error"], found.get("kind", ""))
    return found


def within(path: str, folder: str) -> bool:
    """Whether a path is a folder, or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def detach(base: str, lock: int, tell: int, order: dict, code: bytes) -> None:  # type: ignore[type-arg]
    """Become a process that belongs to nobody; never returns."""
    os.setsid()
    if os.fork():
        os._exit(0)
    try:
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        process = started(order, code)
        first = answer_of(process, START)
        what = {"id": order["id"], "pid": os.getpid(), "since": time.time(), "order": order, "status": first}
        write(base, what)
        os.write(tell, json.dumps(what).encode("ascii"))
        os.close(tell)
    except Exception as error:
        kind = error.kind if isinstance(error, Trouble) else ""
        os.write(tell, json.dumps({"error": str(error), "kind": kind}).encode("ascii"))
        os._exit(1)
    try:
        keep(base, process, what)
    finally:
        os._exit(0)


def keep(base: str, process: subprocess.Popen, what: dict) -> None:  # type: ignore[type-arg]
    """Write down what the worker says, until it ends or somebody ends us."""
    source, out = pipes(process)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    rest, ended = b"", ""
    stopping = False
    while True:
        ready = select.select([out.fileno(), wake], [], [])[0]
        if wake in ready:
            stopping = signal.SIGTERM in os.read(wake, 64) or stopping
            if stopping and not source.closed:
                source.close()  # which ends it
        if out.fileno() in ready:
            piece = os.read(out.fileno(), 1 << 16)
            if not piece:
                break
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines[-1:]:
                what["status"] = json.loads(line)
                ended = what["status"].get("ended", "")
                write(base, what)
    process.wait()
    if stopping:
        sweep(base)
        return
    what["ended"] = ended or "it was ended by somebody else"
    write(base, what)


def write(base: str, what: dict) -> None:  # type: ignore[type-arg]
    """Put down how it goes, at once or not at all. A disk that is full loses that alone."""
    try:
        fd = os.open(base + ".json.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            json.dump(what, file)
        os.rename(base + ".json.new", base + ".json")
    except OSError:
        pass
