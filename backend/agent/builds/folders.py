"""Where builds keep what they need on a host, and how what is old or was left behind goes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional

_DAY = 86400.0
_RUNS_KEPT = 40
_RUN_AGE = 14 * _DAY
_CONTEXT_AGE = 14 * _DAY
_SECRETS = "berth-build-"
_RUN = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")
END_ROOM = 32768
"""Bytes of the file that says how a build ended."""


def top() -> str:
    """The folder of all builds of this user, made where it is missing. Raises OSError."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(cache, "berth", "builds")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.stat(folder).st_uid != os.getuid():
        raise PermissionError(13, "belongs to somebody else", folder)
    os.chmod(folder, 0o700)
    return folder


def context(image: str) -> str:
    """Folder of the context of an image, made where it is missing. Raises OSError."""
    folder = os.path.join(top(), "contexts", key(image))
    os.makedirs(os.path.join(folder, "tree"), mode=0o700, exist_ok=True)
    os.utime(folder)  # in use: not old
    return folder


def key(image: str) -> str:
    """A name of a file that is this image's alone."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", image)[:60].lstrip(".-") or "image"
    return f"{plain}-{hashlib.sha256(image.encode(errors='replace')).hexdigest()[:12]}"


class Run:
    """The folder of one build."""

    def __init__(self, name: str) -> None:
        """Raises ValueError for a name that no build has."""
        if not _RUN.fullmatch(name):
            raise ValueError(f"{name!r} is no build")
        self.name = name
        self.folder = os.path.join(top(), "runs", name)
        self.output = os.path.join(self.folder, "output")

    @classmethod
    def make(cls, info: Dict[str, Any]) -> Run:
        """A new one. Raises OSError where the disk has no room."""
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        run = cls(f"{stamp}-{os.urandom(4).hex()}")
        os.makedirs(run.folder, mode=0o700)
        try:
            run._write("info.json", json.dumps(info).encode())
            run._write("end", b"\n" + b" " * (END_ROOM - 1))
            run._write("output", b"")
        except OSError:
            shutil.rmtree(run.folder, True)
            raise
        return run

    def _write(self, name: str, data: bytes) -> None:
        descriptor = os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self) -> int:
        """A descriptor that holds the run's lock; -1 where its process lives. Raises OSError."""
        path = os.path.join(self.folder, "lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return -1
        return descriptor

    @property
    def alive(self) -> bool:
        """Whether its process lives."""
        try:
            descriptor = self.lock()
        except OSError:
            return False
        if descriptor >= 0:
            os.close(descriptor)
        return descriptor < 0

    def info(self) -> Dict[str, Any]:
        """What is built for whom; empty where it cannot be read."""
        return _object(os.path.join(self.folder, "info.json"))

    def note(self, **more: Any) -> None:
        """Add to the info; a full disk does not matter."""
        text = json.dumps({**self.info(), **more}).encode()
        try:
            self._write("info.json.new", text)
            os.replace(os.path.join(self.folder, "info.json.new"), os.path.join(self.folder, "info.json"))
        except OSError:
            pass

    def end(self) -> Optional[Dict[str, Any]]:
        """How it ended; None while it has not."""
        return _object(os.path.join(self.folder, "end")) or None

    def finish(self, end: Dict[str, Any]) -> None:
        """Write down how it ended, into the room that was taken for it."""
        data = json.dumps(end).encode()[: END_ROOM - 1]
        descriptor = os.open(os.path.join(self.folder, "end"), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, data, 1)
            os.pwrite(descriptor, b" ", 0)  # only now it is whole
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _object(path: str) -> Dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(1 << 20)
        found = {} if data.startswith(b"\n") else json.loads(data)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def runs() -> List[Run]:
    """All builds that are remembered, newest first."""
    try:
        names = sorted(os.listdir(os.path.join(top(), "runs")), reverse=True)
    except OSError:
        return []
    return [Run(name) for name in names if _RUN.fullmatch(name)]


def running(image: str, digest: str) -> Optional[Run]:
    """A build of this very content that runs already, for this user."""
    for run in runs()[:_RUNS_KEPT]:
        info = run.info()
        if info.get("image") == image and info.get("digest") == digest and run.end() is None and run.alive:
            return run
    return None


def secrets_folder(run: Run) -> str:
    """A new folder for secrets, in memory where there is a file system for that. Raises OSError."""
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm", run.folder):  # noqa: S108  # mkdtemp
        if base and os.path.isdir(base) and os.access(base, os.W_OK):
            return tempfile.mkdtemp(prefix=f"{_SECRETS}{run.name}-", dir=base)
    raise FileNotFoundError(2, "no folder for secrets")


def sweep(forget: Callable[[str], None] = lambda image: None) -> None:
    """Remove what ended processes left behind, and what is old. Never raises.

    `forget` removes an image that a failed build got to, where nobody needs it.
    """
    now = time.time()
    for number, run in enumerate(runs()):
        _sweep_secrets(run.folder)  # where a host has no file system in memory
        try:
            if (number >= _RUNS_KEPT or os.stat(run.folder).st_mtime < now - _RUN_AGE) and not run.alive:
                shutil.rmtree(run.folder, True)
        except OSError:
            continue
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm"):  # noqa: S108
        _sweep_secrets(base)
    try:
        contexts = os.path.join(top(), "contexts")
        for name in os.listdir(contexts):
            folder = os.path.join(contexts, name)
            if os.stat(folder).st_mtime < now - _CONTEXT_AGE:
                for image in leftovers(folder):
                    forget(image)
                shutil.rmtree(folder, True)
    except OSError:
        pass


def leftovers(folder: str) -> List[str]:
    """Images that failed builds of a context got to: the next one goes on from there."""
    try:
        with open(os.path.join(folder, "leftover"), "rb") as file:
            found = file.read(65536).decode("ascii", "replace").split()
    except OSError:
        return []
    return sorted({image for image in found if re.fullmatch(r"[0-9a-f]{12,64}", image)})


def keep_leftover(folder: str, image: str) -> None:
    """Note what a failed build got to; a full disk does not matter."""
    with suppress(OSError), open(os.path.join(folder, "leftover"), "a") as file:
        file.write(f"{image}\n")


def _sweep_secrets(base: str) -> None:
    try:
        names = [name for name in os.listdir(base or "/nowhere") if name.startswith(_SECRETS)]
    except OSError:
        return
    for name in names:
        folder = os.path.join(base, name)
        try:
            ours = os.lstat(folder).st_uid == os.getuid()
            if ours and not Run(name[len(_SECRETS) :].rpartition("-")[0]).alive:
                shutil.rmtree(folder, True)
        except (OSError, ValueError):
            continue
