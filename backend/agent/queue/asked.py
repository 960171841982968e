"""A job as a person asks for it -> Jobs, checked against what there is on this machine."""

from __future__ import annotations

import os
import posixpath
import re
import shlex
import stat
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .errors import MissingError, UsageError
from .fields import Fields, is_text, shown
from .jobs import AFTER_ANY, AFTER_OK, HELD, QUEUED, Job, Request, Spec

MOST_JOBS = 100_000
"""Jobs of one submit."""
PRIORITIES = (-100, 100)
_FIELDS = "name spec request priority begin_at after retries hold array array_limit".split()
_REQUEST = "gpus gpu_ids cpus memory time_limit".split()
_LEAST_MEMORY = 6 * 1024**2
"""Bytes: engines refuse less."""
_MOST = 2**50
"""Bytes of anything."""
_LONG = 10 * 365 * 86400.0
"""Seconds that nothing takes."""
_SIGNALS = ("", *("SIGTERM SIGINT SIGHUP SIGUSR1 SIGUSR2 SIGQUIT SIGKILL".split()))
_SCRIPTS = (".sh", ".bash", ".py")
_USER = re.compile(r"(\d{1,10}(:\d{1,10})?)?\Z")
_VARIABLE = re.compile(r"[^=\0]+\Z")
_GPU = re.compile(r"[A-Za-z0-9_./:-]{1,100}\Z")


class Owner(NamedTuple):
    """Whose job it is."""

    name: str
    uid: int
    gid: int
    rootless: bool = False
    """Whether root inside containers is this person, as an engine of one's own has it."""

    @property
    def inside(self) -> str:
        """Who this is inside a container, `UID:GID`."""
        return "0:0" if self.rootless else f"{self.uid}:{self.gid}"


Resolve = Callable[[str], str]
"""An image's name to its id; raises MissingError."""


def jobs_of(bodies: Any, owner: Owner, resolve: Resolve) -> List[Job]:
    """All jobs of a submit, arrays taken apart. Numbers below zero in `after` mean jobs of the result."""
    if not isinstance(bodies, list) or not bodies:
        raise UsageError("jobs: nothing to submit.", "Allowed: a list of jobs.")
    out: List[Job] = []
    ranges: List[Tuple[int, int]] = []
    for number, body in enumerate(bodies, 1):
        what = "the job" if len(bodies) == 1 else f"job {number} of {len(bodies)}"
        made = _expanded(Fields(body, what, _FIELDS), owner, resolve, ranges, len(out))
        ranges.append((len(out), len(made)))
        out += made
        if len(out) > MOST_JOBS:
            raise UsageError(f"more than {MOST_JOBS} jobs at once.")
    return out


def _expanded(
    fields: Fields, owner: Owner, resolve: Resolve, ranges: Sequence[Tuple[int, int]], at: int
) -> List[Job]:
    """The job, or one for each index of its array; `at` jobs of this submit come before."""
    spec = spec_of(fields.data.get("spec") or {}, fields.what, owner, resolve)
    job = Job(
        0,
        owner.name,
        owner.uid,
        name_of(fields) or _default_name(spec),
        spec,
        request_of(fields.data.get("request") or {}, fields.what),
        state=HELD if fields.flag("hold") else QUEUED,
        priority=fields.whole("priority", 0, *PRIORITIES),
        begin_at=fields.number("begin_at", 0, 2.0**33),
        after=after_of(fields, ranges),
        retries=fields.whole("retries", 0, 0, 100),
    )
    indices = _indices(fields)
    limit = fields.whole("array_limit", 0, 0, MOST_JOBS)
    if not indices:
        return [job]
    return [job._replace(array=-at - 1, array_index=index, array_limit=limit) for index in indices]


def name_of(fields: Fields) -> str:
    """What the job is called."""
    return fields.text("name", longest=100, line=True).strip()


def _default_name(spec: Spec) -> str:
    words = spec.script.split() or list(spec.command[:1])
    word = posixpath.basename(words[0]) if words else spec.image_name
    return re.sub("[\x00-\x1f\x7f-\x9f]", " ", word)[:60] or "job"


def request_of(data: Any, what: str) -> Request:
    """What it needs, in itself; whether the machine has that is asked later."""
    fields = Fields(data, what, _REQUEST)
    ids = fields.texts("gpu_ids", 100, 1024)
    if len(set(ids)) != len(ids) or not all(map(_GPU.match, ids)):
        raise fields.wrong("gpu_ids", "ids of GPUs, each once")
    gpus = fields.whole("gpus", len(ids), 0, 1024)
    if ids and gpus not in (0, len(ids)):
        raise UsageError(f"{what}: gpus is {gpus}, but gpu_ids names {len(ids)}.", "Leave one of them out.")
    memory = fields.whole("memory", 0, 0, _MOST)
    if 0 < memory < _LEAST_MEMORY:
        raise fields.wrong("memory", "bytes; 0 for no limit, else at least 6 MiB")
    return Request(
        len(ids) or gpus,
        ids,
        fields.whole("cpus", 1, 1, 65536),
        memory,
        fields.number("time_limit", 1, _LONG),
    )


def after_of(fields: Fields, ranges: Sequence[Tuple[int, int]] = ()) -> Tuple[Tuple[int, str], ...]:
    """What has to end first. -1 is the first of this submit: all of its jobs where that is an array."""
    value = fields.data.get("after")
    out: Dict[int, str] = {}
    for one in value if isinstance(value, list) else [] if value is None else [value]:
        pair = one if isinstance(one, list) else [one, AFTER_OK]
        if len(pair) != 2 or not isinstance(pair[0], int) or isinstance(pair[0], bool) or not pair[0]:
            raise fields.wrong("after", "a list of [job, ok or any]")
        number, kind = pair
        if kind not in (AFTER_OK, AFTER_ANY) or abs(number) >= 2**53:
            raise fields.wrong("after", "a list of [job, ok or any]")
        if number < 0:
            if -number > len(ranges):
                raise UsageError(f"{fields.what}: after {number}: only jobs before it can be meant so.")
            begin, count = ranges[-number - 1]
            numbers = [-begin - 1 - each for each in range(count)]
        else:
            numbers = [number]
        for each in numbers:
            if each in out:
                raise UsageError(f"{fields.what}: after names job {number} twice.")
            out[each] = str(kind)
    return tuple(out.items())


def _indices(fields: Fields) -> List[int]:
    value = fields.data.get("array")
    if value is None:
        return []
    good = isinstance(value, list) and len(value) <= MOST_JOBS
    if not good or not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in value):
        raise fields.wrong("array", f"a list of at most {MOST_JOBS} indices")
    if len(set(value)) != len(value):
        raise UsageError(f"{fields.what}: array names an index twice.")
    return list(value)


def spec_of(data: Any, what: str, owner: Owner, resolve: Resolve) -> Spec:
    """What is run: everything that it names has to be there."""
    fields = Fields(data, what, Spec._fields)
    name = fields.text("image", longest=1000, line=True).strip()
    if not name:
        raise UsageError(f"{what}: no image is named.", "Say --image IMAGE, or submit from a project.")
    user = owner.inside if not fields.has("user") else fields.text("user", longest=64)
    if not _USER.match(user):
        raise fields.wrong("user", "UID or UID:GID")
    groups = fields.texts("groups", 20, 256)
    if not all(one.isdecimal() for one in groups):
        raise fields.wrong("groups", "a list of ids of groups")
    warn_before = fields.number("warn_before", 1, 86400)
    grace = fields.number("grace", 0, 3600)
    spec = Spec(
        image=name,
        image_name=fields.text("image_name", longest=1000, line=True) or name,
        command=fields.texts("command"),
        entrypoint=fields.texts("entrypoint") if fields.has("entrypoint") else None,
        env=_env(fields),
        workdir=fields.path("workdir"),
        mounts=_mounts(fields),
        user=user,
        groups=groups,
        shm=fields.whole("shm", 0, 0, _MOST),
        network=fields.text("network", longest=200, line=True),
        tty=fields.flag("tty"),
        devices=_devices(fields),
        stop_signal=fields.word("stop_signal", _SIGNALS[1:], "SIGTERM"),
        grace=10.0 if grace is None else grace,
        warn_signal=fields.word("warn_signal", _SIGNALS),
        warn_before=60.0 if warn_before is None else warn_before,
        idle_limit=fields.number("idle_limit", 10, _LONG),
        outfile=_outfile(fields),
        project=_project(fields),
        script=fields.text("script", longest=4096),
    )
    _script_there(spec, what)
    return spec._replace(image=resolve(name))


def _env(fields: Fields) -> Tuple[Tuple[str, str], ...]:
    value = fields.data.get("env")
    out: Dict[str, str] = {}
    for pair in value if isinstance(value, list) else [] if value is None else [value]:
        good = isinstance(pair, list) and len(pair) == 2 and all(is_text(one, 131072) for one in pair)
        if not good or not _VARIABLE.match(pair[0]):
            raise UsageError(f"{fields.what}: env has {shown(pair)}.", "Allowed: pairs of a name and a text.")
        out[pair[0]] = pair[1]
    return tuple(out.items())


def _mounts(fields: Fields) -> Tuple[Tuple[str, str, bool], ...]:
    value = fields.data.get("mounts")
    out: List[Tuple[str, str, bool]] = []
    by_target: Dict[str, str] = {}
    for one in value if isinstance(value, list) else [] if value is None else [value]:
        good = isinstance(one, list) and len(one) == 3 and all(is_text(each, 4096) for each in one[:2])
        if not good or not isinstance(one[2], bool) or not all(each.startswith("/") for each in one[:2]):
            raise UsageError(
                f"{fields.what}: mounts has {shown(one)}.",
                "Allowed: [path on the host, path in the container, whether it is read-only].",
            )
        source, target = (posixpath.normpath(each) for each in one[:2])
        target = "/" + target.lstrip("/")
        if target == "/":
            raise UsageError(f"{fields.what}: {source} cannot be mounted over the container's root.")
        if target in by_target:
            raise UsageError(
                f"{fields.what}: {by_target[target]} and {source} would both be mounted at {target}.",
                "Mount one of them elsewhere.",
            )
        if not os.path.lexists(source) and not _hidden(source):
            raise MissingError(f"{fields.what}: {source}, to be mounted at {target}, does not exist.")
        by_target[target] = source
        out.append((source, target, one[2]))
    return tuple(out)


def _hidden(path: str) -> bool:
    """Whether we may not look where it is: the engine may."""
    try:
        os.lstat(path)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _devices(fields: Fields) -> Tuple[str, ...]:
    devices = fields.texts("devices", 4096, 256)
    for path in devices:
        if not path.startswith("/dev/"):
            raise fields.wrong("devices", "paths of devices on the host")
        if not os.path.exists(path):
            raise MissingError(f"{fields.what}: this host has no device {path}.")
    return devices


def _outfile(fields: Fields) -> str:
    path = fields.path("outfile")
    folder = os.path.dirname(path)
    if path and not os.path.isdir(folder) and not _hidden(folder):
        raise MissingError(f"{fields.what}: the folder {folder} for its output does not exist.")
    if path and os.path.isdir(path):
        raise fields.wrong("outfile", "the path of a file")
    return path


def _project(fields: Fields) -> str:
    path = fields.path("project")
    if path and not _hidden(path):
        try:
            found: Optional[os.stat_result] = os.stat(path)
        except OSError:
            found = None
        if found is None or not stat.S_ISDIR(found.st_mode):
            raise MissingError(f"{fields.what}: there is no project folder {path} on this host.")
    return path


def _script_there(spec: Spec, what: str) -> None:
    """Raise MissingError for a script that its project lacks. Only where the job would look for it there."""
    try:
        words = shlex.split(spec.script)
    except ValueError:
        return
    if not spec.project or not words or not words[0].endswith(_SCRIPTS) or words[0].startswith("/"):
        return
    for source, target, _ in spec.mounts:
        inside = posixpath.relpath(spec.workdir or "/", target)
        if source == posixpath.normpath(spec.project) and not inside.startswith(".."):
            folder = posixpath.normpath(posixpath.join(source, inside))
            path = posixpath.join(folder, words[0])
            if not os.path.exists(path) and not _hidden(path):
                raise MissingError(f"{what}: there is no script {words[0]} in {folder}.")
