"""What a job is. Plain immutable values and their JSON form, the same in the database and on the wire.

Times are seconds since the epoch (float), sizes are bytes. Python 3.8, standard library only.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple

QUEUED = "queued"
"""Waits for resources, for its turn, for another job, or for its start time."""
HELD = "held"
"""Waits until somebody releases it."""
STARTING = "starting"
"""Resources are booked; its container is being made."""
RUNNING = "running"
COMPLETED = "completed"
"""Ended with exit code 0."""
FAILED = "failed"
"""Ended with another exit code, or could not be started (`error` says why)."""
CANCELLED = "cancelled"
"""Ended because somebody asked for it, before or while it ran."""
TIMEOUT = "timeout"
"""Ended because its time limit, or its idle limit, had passed."""

WAITING = frozenset({QUEUED, HELD})
ACTIVE = frozenset({STARTING, RUNNING})
"""Holds resources."""
ENDED = frozenset({COMPLETED, FAILED, CANCELLED, TIMEOUT})
STATES = WAITING | ACTIVE | ENDED

LABEL_JOB = "berth.job"
"""The job's number, decimal."""
LABEL_ATTEMPT = "berth.attempt"
LABEL_OWNER = "berth.owner"
LABEL_QUEUE = "berth.queue"
"""The queue's own id (8 hexadecimal digits), so that jobs of a lost database are told apart."""
LABEL_JOB_JSON = "berth.job.json"
"""The job's request and booking as JSON: enough to adopt it into an empty database."""

AFTER_OK = "ok"
AFTER_ANY = "any"


class Request(NamedTuple):
    """What a job needs from the machine. All of it is booked for it alone, and enforced by the engine."""

    gpus: int = 0
    gpu_ids: Tuple[str, ...] = ()
    """These GPUs and no others (UUIDs); then `gpus` is their number."""
    cpus: int = 1
    """Logical CPUs (hardware threads)."""
    memory: int = 0
    """Bytes; 0 is neither limited nor booked."""
    time_limit: Optional[float] = None
    """Seconds it may run; None is without end."""


class Spec(NamedTuple):
    """What is run. Fixed at submit: nothing that happens later can change it."""

    image: str
    """The image's id, `sha256:...`; resolved at submit."""
    image_name: str = ""
    """As it was asked for; shown to people."""
    command: Tuple[str, ...] = ()
    """Empty is the image's own command."""
    entrypoint: Optional[Tuple[str, ...]] = None
    """None is the image's own; () clears it."""
    env: Tuple[Tuple[str, str], ...] = ()
    workdir: str = ""
    mounts: Tuple[Tuple[str, str, bool], ...] = ()
    """(source on the host, target in the container, read only)."""
    user: str = ""
    """`UID:GID` the job runs as; empty is the image's own user."""
    groups: Tuple[str, ...] = ()
    """Further group ids."""
    shm: int = 0
    """Bytes of /dev/shm; 0 is the engine's default."""
    network: str = ""
    """Empty is the engine's default."""
    tty: bool = False
    """A terminal: for interactive shells."""
    devices: Tuple[str, ...] = ()
    """Further devices, as paths on the host."""
    stop_signal: str = "SIGTERM"
    grace: float = 10.0
    """Seconds between the stop signal and SIGKILL."""
    warn_signal: str = ""
    """Sent `warn_before` seconds before the time limit; empty sends none."""
    warn_before: float = 60.0
    idle_limit: Optional[float] = None
    """Seconds without any CPU or GPU work after which it ends; for interactive shells."""
    outfile: str = ""
    """Where the job's wrapper writes its output, as a path on the host; empty: the engine keeps it."""
    project: str = ""
    """Folder of the project on the host."""
    script: str = ""
    """What people call it: `train.sh --lr 0.1`."""


class Job(NamedTuple):
    """A job with everything known of it."""

    id: int
    owner: str
    """Unix user."""
    uid: int
    name: str
    spec: Spec
    request: Request
    state: str = QUEUED
    priority: int = 0
    """-100 to 100; higher goes first."""
    position: float = 0.0
    """Order among equals: smaller goes first. Its number at submit; `move` changes it."""
    submitted_at: float = 0.0
    begin_at: Optional[float] = None
    """Not before this time."""
    started_at: Optional[float] = None
    ended_at: Optional[float] = None
    after: Tuple[Tuple[int, str], ...] = ()
    """(job, AFTER_OK or AFTER_ANY): what has to end first."""
    retries: int = 0
    """How often it is queued again after it failed."""
    attempt: int = 0
    """Counts starts; the first is 1."""
    array: int = 0
    """Number of the array's first job; 0 is no array."""
    array_index: int = 0
    array_limit: int = 0
    """How many of the array may run at once; 0 is any number."""
    reason: str = ""
    """Why it waits, for people."""
    expected_start: Optional[float] = None
    gpus: Tuple[str, ...] = ()
    """UUIDs booked for it."""
    cpus: Tuple[int, ...] = ()
    """Logical CPUs booked for it."""
    memory: int = 0
    """Bytes booked for it."""
    container: str = ""
    """Full id; empty before it exists and after it was removed (then `log` has its output)."""
    exit_code: Optional[int] = None
    error: str = ""
    """Why it could not run, or what ended it, for people."""
    cancel_by: str = ""
    """Who asked for its end; the keeper acts on it."""
    log: str = ""
    """File on the host with its output, once it has ended."""

    @property
    def ends_at(self) -> Optional[float]:
        """When it has to be over at the latest; None is never."""
        if self.started_at is None or self.request.time_limit is None:
            return None
        return self.started_at + self.request.time_limit


def request_json(request: Request) -> Dict[str, Any]:
    """The fields that differ from their defaults."""
    return _sparse(request, Request())


def spec_json(spec: Spec) -> Dict[str, Any]:
    """The fields that differ from their defaults, and the image."""
    return _sparse(spec, Spec(""))


def job_json(job: Job) -> Dict[str, Any]:
    """A flat object but for `spec` and `request`; fields at their default are left out."""
    out = _sparse(job._replace(spec=_NO_SPEC, request=_NO_REQUEST), _NO_JOB)
    out["id"] = job.id
    out["spec"] = spec_json(job.spec)
    out["request"] = request_json(job.request)
    return out


def request_from(data: Dict[str, Any]) -> Request:
    """The reverse of `request_json`. Unknown fields are left out. Raises TypeError, ValueError."""
    known = _known(data, Request)
    if "gpu_ids" in known:
        known["gpu_ids"] = tuple(str(one) for one in known["gpu_ids"])
    return Request(**known)


def spec_from(data: Dict[str, Any]) -> Spec:
    """The reverse of `spec_json`. Raises TypeError, ValueError."""
    known = _known(data, Spec)
    for key in ("command", "groups", "devices"):
        if key in known:
            known[key] = tuple(str(one) for one in known[key])
    if known.get("entrypoint") is not None:
        known["entrypoint"] = tuple(str(one) for one in known["entrypoint"])
    if "env" in known:
        known["env"] = tuple((str(key), str(value)) for key, value in known["env"])
    if "mounts" in known:
        known["mounts"] = tuple((str(s), str(t), bool(ro)) for s, t, ro in known["mounts"])
    return Spec(**known)


def job_from(data: Dict[str, Any]) -> Job:
    """The reverse of `job_json`. Raises TypeError, ValueError, KeyError."""
    known = _known(data, Job)
    known["spec"] = spec_from(known["spec"])
    known["request"] = request_from(known["request"])
    for key in ("gpus", "cpus"):
        if key in known:
            known[key] = tuple(known[key])
    if "after" in known:
        known["after"] = tuple((int(one), str(kind)) for one, kind in known["after"])
    for key, default in (("owner", ""), ("uid", -1), ("name", "")):
        known.setdefault(key, default)
    return Job(**known)


_NO_SPEC = Spec("")
_NO_REQUEST = Request()
_NO_JOB = Job(0, "", -1, "", _NO_SPEC, _NO_REQUEST)


def _sparse(value: Any, default: Any) -> Dict[str, Any]:
    pairs = zip(value._fields, value, default)
    return {key: mine for key, mine, usual in pairs if mine != usual and key not in ("spec", "request")}


def _known(data: Dict[str, Any], kind: Any) -> Dict[str, Any]:
    if not isinstance(data, dict):
        raise TypeError("not an object")
    return {key: data[key] for key in kind._fields if key in data}
