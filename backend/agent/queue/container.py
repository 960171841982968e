"""The container of a job: how the engine is asked for it, and what the engine says of it.

What was booked is enforced: GPUs by UUID, CPUs by number, memory without swap. Memory is not pinned to a NUMA
node: the kernel takes the nearest by itself, and pinned jobs that share a node would be killed for want of
memory while another node has plenty.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..times import seconds_from_engine
from . import jobs
from .jobs import Job
from .machine import Gpu

_TO_FILE = 'exec "$@" >>"$0" 2>&1'
_NVIDIA = "NVIDIA_VISIBLE_DEVICES"


class SpecError(Exception):
    """The job cannot be run as it was asked for; the message is for people."""


def name(queue_id: str, job: Job) -> str:
    """Its name: the engine refuses a second one for the same attempt."""
    return f"berth-{queue_id}-{job.id}-{job.attempt}"


def body(
    job: Job, queue_id: str, gpus: Sequence[Gpu] = (), image: Optional[Dict[str, Any]] = None
) -> Dict[str, Any]:
    """The body of `POST /containers/create`.

    `gpus` are those booked for it; `image` is the image's `Config`, needed where the job has an `outfile`.
    Raises SpecError.
    """
    spec = job.spec
    out: Dict[str, Any] = {
        "Image": spec.image,
        "User": spec.user,
        "WorkingDir": spec.workdir,
        "Tty": spec.tty,
        "OpenStdin": spec.tty,
        "AttachStdin": False,
        "StopSignal": spec.stop_signal,
        "StopTimeout": max(1, round(spec.grace)),
        "Env": environment(job, gpus),
        "Labels": labels(job, queue_id),
        "HostConfig": _host_config(job, gpus),
    }
    if spec.command:
        out["Cmd"] = list(spec.command)
    if spec.entrypoint is not None:
        out["Entrypoint"] = list(spec.entrypoint) or [""]
    if spec.outfile and not spec.tty:
        out["Entrypoint"], out["Cmd"] = _wrapped(job, image or {})
    return out


def labels(job: Job, queue_id: str) -> Dict[str, str]:
    """What makes it known as this job's, even to a queue whose database is lost."""
    return {
        jobs.LABEL_JOB: str(job.id),
        jobs.LABEL_ATTEMPT: str(job.attempt),
        jobs.LABEL_OWNER: job.owner,
        jobs.LABEL_QUEUE: queue_id,
        jobs.LABEL_JOB_JSON: json.dumps(jobs.job_json(job), separators=(",", ":")),
    }


def environment(job: Job, gpus: Sequence[Gpu]) -> List[str]:
    """Its own variables, and those that tell the job who it is.

    A job without GPUs says so to NVIDIA's runtime, which else gives all of them to images that have
    `NVIDIA_VISIBLE_DEVICES=all` baked in, wherever it is the engine's default runtime.
    """
    ours = {
        "BERTH_JOB_ID": str(job.id),
        "BERTH_JOB_NAME": job.name,
        "BERTH_JOB_ATTEMPT": str(job.attempt),
        _NVIDIA: ",".join(gpu.id for gpu in gpus if gpu.vendor == "nvidia") or "void",
    }
    if job.array:
        ours["BERTH_ARRAY_ID"] = str(job.array)
        ours["BERTH_ARRAY_INDEX"] = str(job.array_index)
    env = {**dict(job.spec.env), **ours}
    return [f"{key}={value}" for key, value in env.items()]


def _host_config(job: Job, gpus: Sequence[Gpu]) -> Dict[str, Any]:
    spec = job.spec
    devices = [*spec.devices]
    groups = [*spec.groups]
    for gpu in gpus:
        for path in gpu.devices:
            if path not in devices:
                devices.append(path)
                groups += _group_of(path)
    out: Dict[str, Any] = {
        "Init": True,
        "RestartPolicy": {"Name": "no"},
        "Mounts": [_mount(*mount) for mount in spec.mounts],
        "Devices": [
            {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"} for path in devices
        ],
        "GroupAdd": list(dict.fromkeys(groups)),
        "NetworkMode": spec.network or "default",
    }
    nvidia = [gpu.id for gpu in gpus if gpu.vendor == "nvidia"]
    if nvidia:
        out["DeviceRequests"] = [{"DeviceIDs": nvidia, "Capabilities": [["gpu"]]}]
    if job.cpus:
        out["CpusetCpus"] = ",".join(map(str, job.cpus))
    if job.memory:
        out["Memory"] = out["MemorySwap"] = job.memory
    if spec.shm:
        out["ShmSize"] = spec.shm
    return out


def _mount(source: str, target: str, read_only: bool) -> Dict[str, Any]:
    """A folder or file that has to be there: unlike with `Binds`, the engine makes none of its own."""
    kind = "bind" if source.startswith("/") else "volume"
    return {"Type": kind, "Source": source, "Target": target, "ReadOnly": read_only}


def _group_of(path: str) -> List[str]:
    """Who may open a device (`video`, `render`), as the number that holds in every container."""
    try:
        gid = os.stat(path).st_gid
    except OSError:
        return []
    return [str(gid)] if gid else []


def _wrapped(job: Job, image: Dict[str, Any]) -> Tuple[List[str], List[str]]:
    """Entrypoint and command that write to the job's file. No word of the job is ever read as shell."""
    spec = job.spec
    if spec.entrypoint is not None:
        entry, usual = list(spec.entrypoint), []
    else:
        entry, usual = _strings(image.get("Entrypoint")), _strings(image.get("Cmd"))
    command = entry + (list(spec.command) or usual)
    if not command:
        raise SpecError("neither the job nor its image says what to run")
    return ["/bin/sh", "-c", _TO_FILE, inside(spec.outfile, spec.mounts)], command


def inside(path: str, mounts: Sequence[Tuple[str, str, bool]]) -> str:
    """Where a file of the host is in the container. Raises SpecError if it is not there to be written."""
    best = ("", "", True)
    for source, target, read_only in mounts:
        folder = source.rstrip("/") or "/"
        if (path + "/").startswith(folder.rstrip("/") + "/") and len(folder) > len(best[0]):
            best = (folder, target, read_only)
    folder, target, read_only = best
    if not folder or read_only:
        raise SpecError(f"its output file {path} is in no folder that the job may write to")
    return target.rstrip("/") + path[len(folder.rstrip("/")) :]


class Found(NamedTuple):
    """What the engine says of a container of a queue."""

    id: str
    queue: str
    job: int
    attempt: int
    state: str
    """`created`, `running`, `paused`, `exited`, `dead` ..."""
    exit_code: Optional[int] = None
    """Of one that ended; only `proper` tells whether the engine saw it."""
    oom: bool = False
    error: str = ""
    """The engine's words, where it could not start."""
    pid: int = 0
    created_at: Optional[float] = None
    started_at: Optional[float] = None
    finished_at: Optional[float] = None
    has_init: bool = False
    """Whether it was asked for with Docker's init for containers."""
    labels: Dict[str, str] = {}  # noqa: RUF012 - a NamedTuple's default; never changed

    @property
    def running(self) -> bool:
        """Whether it has processes, or is about to have some again."""
        return self.state in ("running", "paused", "restarting")

    @property
    def ended(self) -> bool:
        """Whether it ran, or was tried to be run, and is over; or is removed just now."""
        return self.state in ("exited", "dead", "stopped", "removing")

    @property
    def proper(self) -> bool:
        """Whether its record has a start and an end that fit each other and its making."""
        made, start, end = self.created_at or 0.0, self.started_at, self.finished_at
        return start is not None and end is not None and made <= start <= end


def listed(data: Any) -> Optional[Found]:
    """An entry of `/containers/json`; None for what is no queue's container."""
    if not isinstance(data, dict) or not isinstance(data.get("Id"), str):
        return None
    return _found(data["Id"], data.get("Labels"), data.get("State"))


def inspected(data: Any) -> Optional[Found]:
    """The answer of `/containers/ID/json`; None for what is no queue's container."""
    if not isinstance(data, dict) or not isinstance(data.get("Id"), str):
        return None
    config, state = data.get("Config"), data.get("State")
    if not isinstance(config, dict) or not isinstance(state, dict):
        return None
    found = _found(data["Id"], config.get("Labels"), state.get("Status"))
    if found is None:
        return None
    code, pid = state.get("ExitCode"), state.get("Pid")
    host = data.get("HostConfig")
    return found._replace(
        exit_code=code if found.ended and isinstance(code, int) else None,
        oom=state.get("OOMKilled") is True,
        error=" ".join(str(state.get("Error") or "").split())[:500],
        pid=pid if isinstance(pid, int) else 0,
        created_at=seconds_from_engine(data.get("Created")),
        started_at=seconds_from_engine(state.get("StartedAt")),
        finished_at=seconds_from_engine(state.get("FinishedAt")),
        has_init=isinstance(host, dict) and host.get("Init") is True,
    )


def _found(key: str, its_labels: Any, state: Any) -> Optional[Found]:
    if not isinstance(its_labels, dict) or not its_labels.get(jobs.LABEL_QUEUE):
        return None
    number, attempt = numbers(its_labels)
    if not number:
        return None
    known = {"stopped": "exited", "initialized": "created", "configured": "created"}
    text = str(state or "").lower()
    queue = str(its_labels[jobs.LABEL_QUEUE])
    return Found(key, queue, number, attempt, known.get(text, text), labels=its_labels)


def numbers(its_labels: Dict[str, Any]) -> Tuple[int, int]:
    """Job and attempt; zeros where the labels make no sense."""
    try:
        return int(its_labels[jobs.LABEL_JOB]), int(its_labels[jobs.LABEL_ATTEMPT])
    except (KeyError, ValueError, TypeError):
        return 0, 0


def _strings(value: Any) -> List[str]:
    if isinstance(value, str):
        return [value]
    return [str(one) for one in value] if isinstance(value, list) else []
