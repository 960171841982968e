"""`agent build job VERB`: builds that a cluster's queue runs, one job for all that an image stands on.

`make` and `follow` run on the login node, `run` on the node that the job got. They meet in a folder that the
nodes have in common, ~/.cache/berth/builds/jobs/ORDER:
    agent.pyz       this program: what the job runs
    find_keys.py    what looks for private keys in an image that becomes a file
    plan.json       what is built, in that order, and what becomes of it
    N/tree          the context of the Nth build; files that are as they were last are links to those
    N/Dockerfile, N/output, N/end      as of any build
    made            the image file and its size, once it is whole, or the keys for which there is none
    over            the job has said all
`last-IMAGE` beside them leads to the context of that image that was sent last.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional

from ..outputs.source import FailedError
from ..outputs.squash import squash
from . import api, builders, folders, keys, lock, service
from .output import Reader
from .worker import Worker

_LOOK = 0.1
_TURN = 0.5
_KEPT = 14 * 86400.0
"""Seconds that a job's folder is kept after its end."""
_AWAITED = 90 * 86400.0
"""The same of a job that never came to its end: some queues let jobs wait for weeks."""
_ORDER = re.compile(r"[0-9]{6}-[0-9]{6}-[0-9a-f]{4}")
_LABELS = ("berth.recipe", "berth.recipe.digest")
_BASES = "berth.bases"
_FINDS = 200
"""Keys that are named at most."""
_LINES = 30
"""Last lines of a build that failed, for the job's own log."""


class Part(folders.Run):
    """The folder of one build of a job."""

    def __init__(self, job: str, number: int) -> None:
        self.name = f"{os.path.basename(job)}-{number}"
        self.folder = os.path.join(job, str(number))
        self.output = os.path.join(self.folder, "output")

    def prepare(self) -> None:
        """Take the room for its end. Raises OSError where the disk has none."""
        self._write("end", b"\n" + b" " * (folders.END_ROOM - 1))
        self._write("output", b"")


def main(words: List[str], say: Callable[..., None]) -> int:
    """Do one thing; the exit status. Raises OSError, ValueError."""
    if words == ["make"]:
        return _make(json.loads(sys.stdin.readline()), say)
    if len(words) == 2 and words[0] == "follow":
        return _follow(_folder(words[1]), say)
    if len(words) == 2 and words[0] == "run":
        return Job(os.path.realpath(words[1])).run()
    return 2


def _jobs() -> str:
    folder = os.path.join(folders.top(), "jobs")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def _folder(order: str) -> str:
    if not _ORDER.fullmatch(order):
        raise ValueError(f"{order!r} is no order")
    return os.path.join(_jobs(), order)


def _make(asked: Dict[str, Any], say: Callable[..., None]) -> int:
    """The folder of a job, and for each of its images the context that was sent last."""
    _sweep()
    folder = _folder(str(asked["order"]))
    os.mkdir(folder, 0o700)
    before = []
    for number, image in enumerate(asked["images"]):
        os.makedirs(os.path.join(folder, str(number), "tree"), mode=0o700)
        link = os.path.join(_jobs(), f"last-{folders.key(str(image))}")
        tree = os.path.realpath(link)
        before.append(tree if os.path.isdir(tree) else "")
        with suppress(OSError):
            os.unlink(f"{link}.new")
        os.symlink(os.path.join(os.path.basename(folder), str(number), "tree"), f"{link}.new")
        os.replace(f"{link}.new", link)
    say(made={"folder": folder, "before": before, "rsync": shutil.which("rsync") is not None})
    return 0


def _sweep() -> None:
    """Remove the folders of jobs that are long over, and links that lead to none. Never raises."""
    now = time.time()
    for name in os.listdir(_jobs()):
        path = os.path.join(_jobs(), name)
        try:
            if os.path.islink(path):
                if not os.path.isdir(path):
                    os.unlink(path)
            elif _ORDER.fullmatch(name):
                kept = _KEPT if os.path.exists(os.path.join(path, "over")) else _AWAITED
                if os.stat(path).st_mtime < now - kept:
                    shutil.rmtree(path, True)
        except OSError:
            continue


def _follow(folder: str, say: Callable[..., None]) -> int:
    """Tell all that a job's builds say, from the first line on; after input only what is there already."""
    total = len(_object(os.path.join(folder, "plan.json")).get("builds") or ())
    number, reader, last = 0, None, False
    while True:
        over = last or os.path.exists(os.path.join(folder, "over"))
        while number < total:
            part = Part(folder, number)
            end = part.end() if os.path.exists(os.path.join(part.folder, "end")) else None
            if reader is None and os.path.exists(part.output):
                reader = Reader(part.output)
                say(n=number, begin=part.info())
            for lines in reader.read() if reader is not None else ():
                say(n=number, o=lines)
            if end is None:
                break
            if reader is not None:
                reader.close()
            say(n=number, end=end)
            number, reader = number + 1, None
        if over:
            say(over={"made": _object(os.path.join(folder, "made"))})
            return 0
        last = bool(select.select([0], [], [], _LOOK)[0])


def _object(path: str) -> Dict[str, Any]:
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(1 << 24))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Job:
    """What the job does on its node."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._plan = _object(os.path.join(folder, "plan.json"))
        self._worker: Optional[Worker] = None
        self._stopped = False

    def run(self) -> int:
        """Build all; the exit status of the job."""
        if not self._plan:
            sys.stderr.write(
                f"{self._folder}/plan.json is not there: do the nodes have their homes in common?\n"
            )
            return 1
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        code = 1
        try:
            with service.engine() as engine:
                code = self._all(engine)
        except (OSError, LookupError, FailedError) as error:
            self._failed(str(error))
        finally:
            self._write("over", {"code": code})
        return code

    def _all(self, engine: service.Engine) -> int:
        for number, spec in enumerate(self._plan["builds"]):
            part = Part(self._folder, number)
            part.note(node=os.uname().nodename)
            part.prepare()
            end = self._one(engine, part, {**spec, "folder": part.folder})
            part.finish(end)
            if end["code"]:
                return 1
        if self._plan.get("into"):
            return self._squash(engine)
        return 0

    def _one(self, engine: service.Engine, part: Part, spec: Dict[str, Any]) -> Dict[str, Any]:
        image = spec["tags"][0]
        self._wait(engine.socket, image)
        try:
            bases = {name: str(api.image(engine.socket, name).get("Id") or "") for name in spec["images"]}
            found = api.image(engine.socket, image)
            if found and not spec["force"] and _fresh(found, spec, bases):
                _tell(f"{image}: nothing to do, it is what its recipe gives")
                return {"code": 0, "fresh": True, "image": str(found.get("Id") or "")}
            known = {name: identity for name, identity in bases.items() if identity}
            spec["labels"] = {**spec["labels"], _BASES: json.dumps(known, sort_keys=True)}
            with open(os.path.join(part.folder, "Dockerfile"), "w", encoding="utf-8") as file:
                file.write(spec["dockerfile"])
            builder = builders.find(engine.kind, spec["builder"], engine.socket)
            part.note(builder=builder.kind)
            _tell(f"{image}: building with {builder.kind}")
            self._worker = Worker(part, engine.socket, builder, spec)
            if self._stopped:
                self._worker.stop()
            end = self._worker.build()
        finally:
            self._worker = None
            lock.drop()
        _tell(f"{image}: {end['error'] or 'built'}")
        if end["code"]:
            _show(part.output)
        return end

    def _wait(self, socket: str, image: str) -> None:
        """For our turn to build that image with that engine."""
        said = ""
        name = lock.name_of(socket, image)
        while not self._stopped and not lock.take(name, folders.top()):
            who = lock.holder_name(name)
            if who != said:
                _tell(f"{image}: {who} builds it here: waiting")
                said = who
            time.sleep(_TURN)

    def _squash(self, engine: service.Engine) -> int:
        plan = self._plan
        image = plan["builds"][-1]["tags"][0]
        if plan.get("check"):
            _tell(f"looking for private keys in {image}")
            finds = keys.find(self._folder, engine, image)
            for each in finds:
                _tell(f"{each['kind']}: {each['path']} in layer {each['layer']}")
            bad = [each for each in finds if each["blocking"]]
            if bad:
                _tell(f"{plan['into']} is not written")
                self._write("made", {"keys": bad[:_FINDS]})
                return 1
        _tell(f"writing {plan['into']}")
        done = squash(engine.socket, image, plan["into"], plan["compression"], lambda told: None)
        self._write("made", {key: done[key] for key in ("path", "size", "files", "id", "left_out")})
        _tell(f"wrote {done['path']}")
        return 0

    def _stop(self, *_: object) -> None:
        """SIGTERM: the build ends, and what its step runs."""
        self._stopped = True
        if self._worker is not None:
            self._worker.stop()
        else:
            raise OSError("the job was cancelled")

    def _failed(self, why: str) -> None:
        """What kept it from building: the end of the first build that has none."""
        _tell(why)
        for number in range(len(self._plan.get("builds") or ())):
            part = Part(self._folder, number)
            if part.end() is None:
                with suppress(OSError):
                    part.prepare()
                    part.finish({"code": 1, "error": why[:4000], "cancelled": self._stopped})
                return
        self._write("made", {"error": why[:4000]})

    def _write(self, name: str, what: Dict[str, Any]) -> None:
        path = os.path.join(self._folder, name)
        with suppress(OSError):
            with open(f"{path}.new", "w") as file:
                json.dump(what, file)
            os.replace(f"{path}.new", path)


def _fresh(found: Dict[str, Any], spec: Dict[str, Any], bases: Dict[str, str]) -> bool:
    """Whether an image of the node is what the recipe gives, on what it stands on there."""
    had = (found.get("Config") or {}).get("Labels") or {}
    if any(had.get(name) != spec["labels"].get(name) for name in _LABELS):
        return False
    try:
        was = json.loads(had.get(_BASES) or "{}")
    except ValueError:
        return False
    return all(not bases.get(name) or bases[name] == identity for name, identity in was.items())


def _tell(line: str) -> None:
    """To the job's own log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _show(path: str) -> None:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        for line in file.read()[-16384:].splitlines()[-_LINES:]:
            _tell(f"| {line.partition(' ')[2]}")
