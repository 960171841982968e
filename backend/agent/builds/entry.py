"""`agent build VERB`: see the package."""

from __future__ import annotations

import errno
import json
import os
import select
import shutil
import signal
import sys
import time
from typing import Any, Dict, List, Optional

from ..queue import place
from ..queue.people import user
from . import builders, folders, lock
from .folders import Run
from .output import Reader
from .worker import Worker

_LOOK = 0.05
"""Seconds between two looks at the output of a build."""
_TURN = 0.3
"""Seconds between two looks whether the lock is free."""
_SILENCE = 45.0
"""Seconds without a beat after which berth counts as gone, in mode `stop`."""
_LONGEST = 16 * 1024 * 1024
_USAGE = "usage: agent build run|list|follow RUN|cancel RUN"


class Gone(Exception):
    """Nobody asks any more."""


class Asked:
    """What berth sends: JSON lines on standard input, without ever waiting for them."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: List[bytes] = []
        self.ended = False
        self.heard = time.monotonic()

    def wait(self, seconds: float) -> Optional[Dict[str, Any]]:
        """The next object, None where none came. At the end of input `ended` is set."""
        deadline = time.monotonic() + seconds
        while not self._lines and not self.ended:
            ready = select.select([0], [], [], max(0.0, deadline - time.monotonic()))[0]
            if not ready:
                return None
            data = os.read(0, 1 << 16)
            self.heard = time.monotonic()
            if not data:
                self.ended = True
            lines = (self._rest + data).split(b"\n")
            self._rest = lines.pop()
            if len(self._rest) > _LONGEST:
                raise ValueError("a line is too long")
            self._lines += [line for line in lines if line.strip()]
        if not self._lines:
            time.sleep(seconds if self.ended else 0)
            return None
        found = json.loads(self._lines.pop(0))
        return found if isinstance(found, dict) else {}

    def next(self) -> Dict[str, Any]:
        """The next object. Raises Gone."""
        while True:
            found = self.wait(60.0)
            if found is not None:
                return found
            if self.ended:
                raise Gone


def main(words: List[str]) -> int:
    """Do one thing; the exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    try:
        if words == ["run"]:
            return _run(Asked())
        if words == ["list"]:
            return _list()
        if len(words) == 2 and words[0] in ("follow", "cancel"):
            return _follow(Run(words[1]), Asked(), cancel=words[0] == "cancel", mode="go-on")
        if words[:1] == ["job"]:
            from . import job

            return job.main(words[1:], _say)
    except Gone:
        return 0
    except BrokenPipeError:
        return 1
    except (OSError, ValueError, LookupError) as error:
        return _fail(error)
    sys.stderr.write(f"{_USAGE}\n")
    return 2


def _run(asked: Asked) -> int:
    folders.sweep()
    head = asked.next()
    image, digest, mode = str(head["image"]), str(head["digest"]), str(head.get("mode"))
    socket = place.engine_socket(str(head.get("socket") or ""), str(head.get("engine") or "auto"))[0]
    name = lock.name_of(socket, image)
    joined = _turn(asked, name, image, digest)
    if joined is not None:
        _say(run={"id": joined.name, "joined": True})
        return _follow(joined, asked, cancel=False, mode=mode)
    folder = folders.context(image)
    builder = builders.find(str(head["kind"]), str(head.get("builder") or "auto"), socket)
    _say(send={"folder": folder, "rsync": shutil.which("rsync") is not None, "builder": builder.kind})
    while True:
        found = asked.next()
        if "build" in found:
            break
    spec = {**found["build"], "folder": folder}
    if spec["secrets"] and not builder.secrets:
        raise LookupError("its secrets need BuildKit or Podman's command on this host")
    with open(os.path.join(folder, "Dockerfile"), "wb") as file:
        file.write(spec.pop("dockerfile").encode())
    info = {"image": image, "digest": digest, "who": str(head.get("who") or user()), "at": time.time()}
    run = Run.make({**info, "builder": builder.kind, "recipe": str(head.get("recipe") or "")})
    if Worker(run, socket, builder, spec).start():
        lock.drop()
        _say(run={"id": run.name, "joined": False})
        return _follow(run, asked, cancel=False, mode=mode)
    return 0


def _turn(asked: Asked, name: str, image: str, digest: str) -> Optional[Run]:
    """Wait for the lock on an image; a build of ours that does the same is joined instead."""
    said = ""
    while not lock.take(name, folders.top()):
        if lock.holder(name) in (os.getuid(), None):
            same = folders.running(image, digest)
            if same is not None:
                return same
        who = lock.holder_name(name)
        if who != said:
            _say(waiting=who)
            said = who
        asked.wait(_TURN)
        if asked.ended:
            raise Gone
    return None


def _follow(run: Run, asked: Asked, cancel: bool, mode: str) -> int:
    """Tell what a build says until it ends; end it if that is wished."""
    reader = Reader(run.output)
    asked.heard = time.monotonic()
    try:
        while True:
            alive = run.alive  # before the last look: what is written then is seen
            end = run.end()
            for lines in reader.read():
                _say(o=lines)
            if end is not None:
                _say(end=end)
                return 0
            if not alive:
                _say(end={"code": 1, "error": _KILLED, "cancelled": False, "image": "", "builder": ""})
                return 0
            if cancel:
                cancel = False
                _stop(run)
            found = asked.wait(_LOOK)
            cancel = bool(found and found.get("cancel"))
            if mode == "stop" and (asked.ended or time.monotonic() - asked.heard > _SILENCE):
                _stop(run)
                mode = "go-on"
            if asked.ended:
                return 0
    finally:
        reader.close()


_KILLED = "the process that built was killed"


def _stop(run: Run) -> None:
    pid = run.info().get("pid")
    if isinstance(pid, int) and pid > 1 and run.alive:
        os.kill(pid, signal.SIGTERM)


def _list() -> int:
    for run in folders.runs():
        info, end = run.info(), run.end()
        state = "ended" if end is not None else "running" if run.alive else "killed"
        _say(build={"id": run.name, "state": state, "info": info, "end": end})
    return 0


def _fail(error: Exception) -> int:
    said, number = str(error), 0
    if isinstance(error, OSError):
        number = error.errno or 0
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or said
    try:
        _say(failed={"message": said, "full": number in (errno.ENOSPC, errno.EDQUOT)})
    except OSError:
        pass
    return 1


def _say(**what: Any) -> None:
    data = json.dumps(what, separators=(",", ":")).encode("ascii", "backslashreplace") + b"\n"
    while data:
        data = data[os.write(1, data) :]
