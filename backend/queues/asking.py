"""What a person says of a job -> Submissions. Pure but for the environment that `--env NAME` reads."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from backend.errors import UsageError
from backend.queues import sweeps, words
from backend.queues.base import Submission

if TYPE_CHECKING:
    from backend.projects import Defaults, Ready

IDLE_LIMIT = "30m"
"""Of interactive shells: nobody's forgotten one keeps a GPU for longer."""
_LEAST_IDLE = 10
"""Seconds: whoever reads what a command printed does nothing either."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of `berth run` and `berth shell`, as they were written."""

    command: tuple[str, ...] = ()
    script: str = ""
    """rp's spelling of the command: one text, split as a shell does."""
    called: str = ""
    """What is shown instead of the command."""
    image: str = ""
    gpus: str | None = None
    cpus: int | None = None
    mem: str | None = None
    shm: str | None = None
    time: str | None = None
    priority: int = 0
    after: tuple[str, ...] = ()
    begin: str | None = None
    retries: int = 0
    name: str = ""
    hold: bool = False
    array: str | None = None
    sweep: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    mount: tuple[str, ...] = ()
    workdir: str = ""
    user: str | None = None
    network: str = ""
    warn: str | None = None
    idle: str | None = None
    partition: str = ""
    runtime: str = ""
    outfile_name: str | None = None


def read(asked: Asked, defaults: Defaults | None, *, interactive: bool = False) -> Submission:
    """One job, without what its project adds. Raises `UsageError`."""
    line = asked.command or (tuple(_split(asked.script)) if asked.script else ())
    if asked.command and asked.script:
        raise UsageError("the command is given twice: behind -- and by --script.")
    gpus, gpu_ids = (
        words.gpus(asked.gpus) if asked.gpus is not None else (defaults.gpus if defaults else 0, ())
    )
    indices, limit = words.array(asked.array) if asked.array else ((), 0)
    if asked.array and asked.sweep:
        raise UsageError("--array and --sweep exclude each other: a sweep is an array already.")
    if asked.sweep:
        sweeps.check(sweeps.sweep(asked.sweep), line)
    signal, before = _warning(asked.warn)
    return Submission(
        command=line,
        script=asked.called or asked.script or shlex.join(line),
        name=asked.name or _name(line),
        image=asked.image,
        gpus=gpus,
        gpu_ids=gpu_ids,
        cpus=_count(asked.cpus, "cpus", 1, 4096) or (defaults.cpus if defaults else 0) or 1,
        memory=words.memory(asked.mem) if asked.mem else (defaults.memory if defaults else 0),
        shm=words.memory(asked.shm, "shm") if asked.shm else (defaults.shm if defaults else 0),
        time_limit=words.span(asked.time) if asked.time else None,
        priority=_count(asked.priority, "priority", -100, 100) or 0,
        after=words.after(asked.after),
        begin_at=_begin(asked.begin) if asked.begin else None,
        retries=_count(asked.retries, "retries", 0, 100) or 0,
        hold=asked.hold,
        array=indices,
        array_limit=limit,
        env=words.pairs(asked.env),
        mounts=tuple(words.mount(each) for each in asked.mount),
        workdir=asked.workdir,
        user=asked.user,
        network=asked.network,
        warn_signal=signal,
        warn_before=before,
        tty=interactive,
        idle_limit=_idle(asked.idle) if interactive else None,
        partition=asked.partition,
        runtime=asked.runtime,
    )


def in_project(job: Submission, ready: Ready) -> Submission:
    """The job with its project's image, mounts and folder."""
    _collisions([*ready.mounts, *job.mounts])
    return replace(
        job,
        image=job.image or ready.image,
        command=ready.command(job.command),
        mounts=(*ready.mounts, *job.mounts),
        env={**ready.env, **job.env},
        workdir=job.workdir or ready.workdir,
        user=ready.user if job.user is None else job.user,
        groups=ready.groups,
        project=ready.folder,
    )


def swept(job: Submission, asked: Asked) -> list[Submission]:
    """The job, or one for each point of its sweep."""
    if not asked.sweep:
        return [job]
    out = []
    points = sweeps.sweep(asked.sweep)
    for point in points:
        command = point.fill(job.command)
        out.append(
            replace(
                job,
                command=command,
                script=" ".join(point.fill([job.script])),
                name=f"{job.name}:{point.label}"[:100],
                env={**job.env, **dict(point.values)},
            )
        )
    return out


def _split(script: str) -> list[str]:
    try:
        return shlex.split(script)
    except ValueError as error:
        raise UsageError(f"--script {script!r}: {error}.") from None


def _name(command: tuple[str, ...]) -> str:
    return PurePosixPath(command[0]).name[:60] if command else ""


def _count(value: int | None, what: str, low: int, high: int) -> int | None:
    if value is not None and not low <= value <= high:
        raise UsageError(f"--{what} {value} is out of range.", hint=f"Allowed: {low} to {high}.")
    return value


def _warning(text: str | None) -> tuple[str, float]:
    """`SIGUSR1`, or `SIGUSR1@120s`: before the time limit."""
    if not text:
        return "", 60.0
    signal, _, before = text.partition("@")
    name = signal.upper() if signal.upper().startswith("SIG") else f"SIG{signal.upper()}"
    if name not in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"):
        raise UsageError(f"--warn {text!r}: no such signal.", hint="Write SIGUSR1, or SIGUSR1@2m.")
    return name, words.span(before, "warn") if before else 60.0


def _idle(text: str | None) -> float | None:
    if text == "0":
        return None
    seconds = words.span(text or IDLE_LIMIT, "idle")
    if seconds < _LEAST_IDLE:
        raise UsageError(f"--idle {text} is too short.", hint=f"At least {_LEAST_IDLE} s, or 0: never.")
    return seconds


def _begin(text: str) -> datetime:
    """A moment to come: in `2h`, at `22:00`, or a date."""
    now = datetime.now(UTC)
    try:
        if text[-1:].lower() in "smhdw":
            return now + timedelta(seconds=words.span(text, "begin"))
        if len(text) <= 8 and ":" in text:
            hour, minute = (int(part) for part in text.split(":", 1))
            here = now.astimezone()
            at = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return (at if at > here else at + timedelta(days=1)).astimezone(UTC)
        begin = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"begin {text!r} is no time.", hint="Write 2h, 22:00 or 2026-01-31T22:00.") from None
    if begin <= now:
        raise UsageError(
            f"begin {text} is over already: here it is {now.astimezone():%Y-%m-%d %H:%M}.",
            hint="Leave --begin out to let it start at once.",
        )
    return begin


def _collisions(mounts: list[tuple[str, str, bool]]) -> None:
    seen: dict[str, str] = {}
    for source, target, _ in mounts:
        if target in seen and seen[target] != source:
            raise UsageError(f"{seen[target]} and {source} would both be mounted at {target}.")
        seen[target] = source
