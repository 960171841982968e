"""Which hosts build by a job of their queue, and what that job asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.building.model import Job, Request
from backend.errors import UsageError

if TYPE_CHECKING:
    from backend.config import Config
    from backend.config.schema import HostConfig


def by_job(host: HostConfig, request: Request) -> bool:
    """Whether a host builds by its queue."""
    return host.queue == "slurm" and (host.engine == "none" or request.job is not None or bool(request.sqsh))


def wanted(
    *, partition: str, time: str | None, cpus: int | None, memory: str | None, job: bool
) -> Job | None:
    """What people say of the job; None where they say nothing. Raises `UsageError`."""
    if not (partition or time or memory or job) and cpus is None:
        return None
    from backend.queues import words

    return Job(
        partition=partition,
        time=words.span(time) if time else 0.0,
        cpus=1 if cpus is None else _cpus(cpus),
        memory=words.memory(memory) if memory else 0,
    )


def _cpus(count: int) -> int:
    if count < 1:
        raise UsageError(f"--cpus {count}: allowed is 1 or more.")
    return count


def check(config: Config, request: Request) -> None:
    """Raise `UsageError` for what only a cluster can do, and for what it cannot."""
    for name in request.hosts:
        host = config.host(name)
        if host.queue != "slurm" and (request.job is not None or request.sqsh):
            hint = (
                "Make it afterwards: berth image sqsh"
                if request.sqsh
                else "See `queue: slurm` in hosts.yaml."
            )
            raise UsageError(f"{name} is no cluster: nothing is built there by a job.", hint=hint)
        if by_job(host, request) and (request.up or request.push or (request.check and not request.sqsh)):
            said = "--up" if request.up else "--push" if request.push else "--check"
            raise UsageError(f"{said} is not for builds by a job: {name} has only what its nodes have.")
    if request.sqsh and len(request.names) != 1:
        raise UsageError("--sqsh makes a file of one image.", hint="Name one recipe.")
