"""A Submission -> sbatch's options and its script. Pure.

Nothing that a person wrote is ever part of a script but as a quoted word, and nothing of it is an option of
sbatch but behind the `=` of one.
"""

from __future__ import annotations

import base64
import math
import pkgutil
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import msgspec

from backend.errors import UsageError
from backend.queues.base import Submission
from backend.queues.slurm.meta import Meta, comment
from backend.text import printable

Kind = Literal["docker", "pyxis", "edf", "bare"]
LOGS = ".local/state/berth/jobs"
"""Of the home directory, which a cluster's nodes have in common."""
_LINE = "#berth:"
_LONGEST = 200
_MB = 1024**2
_NICE = 100
"""Slurm counts in thousands what berth counts from -100 to 100."""


def kind_of(job: Submission) -> Kind | None:
    """How it runs, as far as its words tell; None: docker, or edf if there is one of that name."""
    if job.runtime in ("docker", "pyxis", "edf"):
        return job.runtime  # type: ignore[return-value]
    if job.runtime:
        raise UsageError(f"{job.runtime!r} is no runtime.", hint="Say docker, pyxis or edf.")
    if not job.image:
        return "bare"
    if job.image.endswith(".sqsh") or "#" in job.image:
        return "pyxis"
    if job.image.endswith(".toml"):
        return "edf"
    return None if re.fullmatch(r"[A-Za-z0-9_.-]+", job.image) else "docker"


# ------------------------------------------------------------------------------------------- options


def options(job: Submission, kind: Kind, now: datetime | None = None, key: str = "") -> list[str]:
    """Of sbatch, but for where the output goes by default. `key` is noted in the job."""
    _check(job, kind)
    out = [
        f"--job-name={printable(job.name or job.script or 'berth', 100)}",
        f"--comment={comment(meta(job, kind, key))}",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={job.cpus}",
        "--no-requeue",
        "--open-mode=append",
    ]
    if job.gpus:
        out.append(f"--gres=gpu:{job.gpus}")
    if job.memory:
        out.append(f"--mem={math.ceil(job.memory / _MB)}M")
    if job.time_limit:
        out.append(f"--time={minutes(job.time_limit)}")
    if job.partition:
        out.append(f"--partition={job.partition}")
    if job.priority:
        out.append(f"--nice={nice(job.priority)}")
    if job.begin_at is not None:
        wait = (job.begin_at - (now or datetime.now(UTC))).total_seconds()
        out.append(f"--begin=now+{max(0, round(wait))}")  # its clock may have another zone
    if job.after:
        out += [f"--dependency={dependency(job.after)}", "--kill-on-invalid-dep=yes"]
    if job.hold:
        out.append("--hold")
    if job.array:
        out.append(f"--array={ranges(job.array)}" + (f"%{job.array_limit}" if job.array_limit else ""))
    if job.warn_signal:
        to = "" if kind in ("pyxis", "edf") else "B:"
        out.append(f"--signal={to}{job.warn_signal.removeprefix('SIG')}@{max(1, round(job.warn_before))}")
    if job.workdir and kind == "bare":
        out.append(f"--chdir={job.workdir}")
    if job.outfile:
        out.append("--output=" + job.outfile.replace("%", "%%"))
    return out


def _check(job: Submission, kind: Kind) -> None:
    if job.gpu_ids:
        raise UsageError("Slurm chooses the GPUs of a cluster itself.", hint="Say how many: --gpus 2")
    if kind != "docker" and (job.shm or job.network or job.devices or job.entrypoint or job.groups):
        raise UsageError("shm, network, devices, groups and entrypoint are of docker's containers alone.")
    if kind in ("pyxis", "edf") and any(set(":,") & set(source + target) for source, target, _ in job.mounts):
        raise UsageError("a mount's path with a comma or a colon cannot be told to pyxis.")
    if kind == "edf" and job.mounts:
        raise UsageError("an EDF has its own mounts.", hint="Write them into the EDF: mounts = [...]")
    if kind == "bare" and not job.command and not job.tty:
        raise UsageError("nothing to run is named.")
    if kind in ("pyxis", "edf") and not job.command and not job.tty:
        raise UsageError(f"{job.image}: nothing to run is named.", hint="Write it behind --.")
    if job.idle_limit and kind != "docker" and not job.time_limit:
        raise UsageError(
            "a shell outside of docker has no idle limit here: it needs a time limit.", hint="--time 2h"
        )
    for word in (*job.command, *job.env.values(), job.image, job.workdir, job.outfile, job.partition):
        if "\0" in word:
            raise UsageError("a job's words have no NUL in them.")


def meta(job: Submission, kind: Kind, key: str = "") -> Meta:
    """What lists show of it."""
    return Meta(
        kind=kind,
        image=printable(job.image, _LONGEST),
        command=printable(job.script or shlex.join(job.command), _LONGEST),
        project=printable(job.project, _LONGEST),
        tty=job.tty,
        retries=job.retries,
        gpus=job.gpus,
        key=key,
        outfile=printable(job.outfile, _LONGEST),
    )


def minutes(seconds: float) -> int:
    """Slurm's limits are whole minutes."""
    return max(1, math.ceil(seconds / 60))


def nice(priority: int) -> int:
    """Higher goes first here, last there."""
    return -priority * _NICE


def dependency(after: Iterable[tuple[str, str]]) -> str:
    """`afterok:12:13,afterany:14`."""
    found: dict[str, list[str]] = {}
    for job, kind in after:
        found.setdefault("afterok" if kind == "ok" else "afterany", []).append(job)
    return ",".join(":".join([kind, *jobs]) for kind, jobs in found.items())


def ranges(indices: Sequence[int]) -> str:
    """`1-20,25` of all of them."""
    out: list[list[int]] = []
    for index in sorted(set(indices)):
        if out and index == out[-1][1] + 1:
            out[-1][1] = index
        else:
            out.append([index, index])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in out)


# -------------------------------------------------------------------------------------------- script


def script(job: Submission, kind: Kind) -> bytes:
    """What sbatch takes on its standard input."""
    command = job.command
    if kind == "docker" and job.entrypoint:
        command = (*job.entrypoint[1:], *command)
    if kind == "edf" and job.workdir and command:  # there is no option for that
        command = ("sh", "-c", 'cd "$0" && exec "$@"', job.workdir, *command)
    values = {
        "kind": kind,
        "image": job.image,
        "image_file": job.image_file,
        "gpus": str(job.gpus),
        "tty": "1" if job.tty else "",
        "as_me": "1" if job.user is None else "",
        "warn_signal": job.warn_signal,
        "idle_limit": str(round(job.idle_limit)) if job.idle_limit and job.tty else "",
        "attempts": str(1 if job.tty else job.retries + 1),
    }
    chosen = _CHOSEN[kind](job) if kind in _CHOSEN else []
    lines = ["#!/bin/bash", _LINE + _packed(job), "set -u"]
    lines += [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    lines += [_array("command", command), _array("options", chosen)]
    lines.append(_array("environment", _environment(job, kind)))
    lines += _exports(job, kind)
    body = pkgutil.get_data(__name__, "job.sh")
    assert body is not None
    return "\n".join(lines).encode() + b"\n" + body


def _array(name: str, words: Iterable[str]) -> str:
    return f"{name}=({' '.join(map(shlex.quote, words))})"


def _docker(job: Submission) -> list[str]:
    """Options of `docker run` that do not depend on the node."""
    out: list[str] = []
    if job.user:
        out += ["--user", job.user]
    for group in job.groups:
        out += ["--group-add", group]
    if job.workdir:
        out += ["--workdir", job.workdir]
    if job.shm:
        out += ["--shm-size", str(job.shm)]
    if job.network:
        out += ["--network", job.network]
    for device in job.devices:
        out += ["--device", device]
    for source, target, read_only in job.mounts:
        fields = ["type=bind", f"source={source}", f"target={target}", *(["readonly"] if read_only else [])]
        out += ["--mount", ",".join('"' + field.replace('"', '""') + '"' for field in fields)]
    if job.entrypoint is not None:
        out += ["--entrypoint", job.entrypoint[0] if job.entrypoint else ""]
    for name, _ in _whole(job):
        out += ["-e", name]
    return out


def pyxis(job: Submission) -> list[str]:
    """Options of srun with the pyxis plugin (https://github.com/NVIDIA/pyxis)."""
    out = [f"--container-image={_enroot(job.image)}"]
    if job.mounts:
        mounts = (f"{source}:{target}" + (":ro" if only else "") for source, target, only in job.mounts)
        out.append("--container-mounts=" + ",".join(mounts))
    if job.workdir:
        out.append(f"--container-workdir={job.workdir}")
    if job.env:
        out.append("--container-env=" + ",".join(job.env))
    if job.user in ("0", "0:0", "root"):
        out.append("--container-remap-root")
    return out


def _enroot(image: str) -> str:
    """As pyxis takes it: a file begins with `/` or `.`, a registry ends with `#`."""
    if image.endswith(".sqsh"):
        return _path(image)
    first, slash, rest = image.partition("/")
    registry = slash and "#" not in image and (set(".:") & set(first) or first == "localhost")
    return f"{first}#{rest}" if registry and first.strip(".") else image


def _path(path: str) -> str:
    return path if path.startswith(("/", "./", "../")) else f"./{path}"


def edf(job: Submission) -> list[str]:
    """Options of srun with the container engine of CSCS: an EDF by its name or path.

    See https://docs.cscs.ch/software/container-engine/run: a relative path has to begin with a dot.
    """
    return [f"--environment={_path(job.image) if job.image.endswith('.toml') else job.image}"]


_CHOSEN = {"docker": _docker, "pyxis": pyxis, "edf": edf}
_OURS = re.compile(r"(?:PATH|HOME|IFS|BASH\w*|ENV|LD_\w+|DOCKER_\w+|SLURM_\w+|SHELLOPTS|PWD)\Z")


def _environment(job: Submission, kind: Kind) -> list[str]:
    """`NAME=VALUE`; for docker those of one line, which a file takes."""
    for name in job.env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII) and (
            kind != "docker" or not re.fullmatch(r"[^\s=#][^\s=]*", name)
        ):
            raise UsageError(f"env {name!r} is no name of a variable.")
    whole = dict(_whole(job)) if kind == "docker" else {}
    return [f"{name}={value}" for name, value in job.env.items() if name not in whole]


def _whole(job: Submission) -> list[tuple[str, str]]:
    """Variables whose value has several lines: docker takes these from its own environment alone."""
    return [(name, value) for name, value in job.env.items() if "\n" in value or "\r" in value]


def _exports(job: Submission, kind: Kind) -> list[str]:
    if kind != "docker":
        return []
    for name, _ in _whole(job):
        if _OURS.match(name) or not name.isidentifier():
            raise UsageError(f"env {name}: a value of several lines cannot be passed under this name.")
    return [f"export {name}={shlex.quote(value)}" for name, value in _whole(job)]


def _packed(job: Submission) -> str:
    return base64.b64encode(msgspec.json.encode(replace(job, after=(), begin_at=None, hold=False))).decode()


def unpacked(text: str) -> Submission | None:
    """The job that a script of ours was made of; None for other people's."""
    for line in text.splitlines()[:3]:
        if line.startswith(_LINE):
            try:
                return msgspec.json.decode(
                    base64.b64decode(line.removeprefix(_LINE), validate=True), type=Submission
                )
            except (ValueError, msgspec.MsgspecError):
                return None
    return None
