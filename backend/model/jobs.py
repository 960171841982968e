"""Jobs: what a host's own queue and the login node of a cluster say of them, and the row of any."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from backend.model.base import Count, Short


class JobRequest(Struct, frozen=True, gc=False):
    """What a job asks for. See `backend/agent/queue/jobs.py`; sizes in bytes, times in seconds."""

    gpus: Count = 0
    gpu_ids: tuple[Short, ...] = ()
    cpus: Count = 1
    memory: Count = 0
    time_limit: float | None = None


class JobSpec(Struct, frozen=True, gc=False):
    """What a job runs, as far as it is shown."""

    image: Short = ""
    """The image's id."""
    image_name: Short = ""
    command: tuple[Annotated[str, Meta(max_length=131072)], ...] = ()
    workdir: Short = ""
    tty: bool = False
    idle_limit: float | None = None
    outfile: Short = ""
    project: Short = ""
    script: Short = ""


class Job(Struct, frozen=True, gc=False):
    """One job of a host's queue. See `backend/agent/queue/jobs.py`; times are seconds since the epoch."""

    id: Count
    owner: Short
    name: Short
    spec: JobSpec
    request: JobRequest
    uid: int = -1
    state: Short = "queued"
    """queued, held, starting, running, completed, failed, cancelled, timeout."""
    priority: int = 0
    position: float = 0.0
    submitted_at: float = 0.0
    begin_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    after: tuple[tuple[Count, Short], ...] = ()
    retries: Count = 0
    attempt: Count = 0
    array: Count = 0
    array_index: Count = 0
    array_limit: Count = 0
    reason: Short = ""
    expected_start: float | None = None
    gpus: tuple[Short, ...] = ()
    cpus: tuple[Count, ...] = ()
    memory: Count = 0
    container: Short = ""
    exit_code: int | None = None
    error: Short = ""
    cancel_by: Short = ""
    log: Short = ""


class QueueReport(Struct, frozen=True, gc=False):
    """Section `jobs`: the queue of the host."""

    jobs: tuple[Job, ...] = ()
    """All that hold resources, the first of those that wait, the latest of those that ended."""
    waiting: Count = 0
    """How many wait in all."""
    active: Count = 0
    keeper: bool = False
    """Whether somebody keeps the queue moving. False is right while nothing waits or runs."""
    paused: Short = ""
    """Who paused it and why."""
    draining: Short = ""
    folder: Short = ""
    notice: Short = ""
    """What people should know: a database that was set aside."""
    error: Short = ""
    """Why the queue cannot be used."""
    hint: Short = ""


class JobRow(Struct, frozen=True, kw_only=True, gc=False):
    """A job of any engine: a host's own queue, or a cluster's Slurm."""

    host: str
    """The host, or the cluster's login node."""
    engine: str
    """`docker` or `slurm`."""
    id: str
    """Its number; with `_INDEX` for one of a Slurm array."""
    name: str
    owner: str
    state: str
    """queued, held, starting, running, completed, failed, cancelled, timeout."""
    reason: str = ""
    """Why it waits, or what ended it."""
    priority: int = 0
    place: int | None = None
    """Its place among those that wait: 1 is next."""
    gpus: int = 0
    """Asked for."""
    gpu_uuids: tuple[str, ...] = ()
    """Given."""
    cpus: int | None = None
    memory: int | None = None
    """Bytes."""
    time_limit: float | None = None
    """Seconds."""
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expected_start: datetime | None = None
    exit_code: int | None = None
    image: str = ""
    image_id: str = ""
    """What it runs even if that name is another image's by now; empty where the engine has no ids."""
    command: str = ""
    project: str = ""
    container: str = ""
    node: str = ""
    """Node of a cluster it runs on."""
    partition: str = ""
    array: str = ""
    attempt: int = 0
    retries: int = 0
    after: tuple[str, ...] = ()
    util_percent: float | None = None
    """Mean of its GPUs, measured."""
    gpu_mem_used: int | None = None
    idle_since: datetime | None = None
    """Since when none of its GPUs worked: what it holds is wasted."""
    interactive: bool = False
    log: str = ""
    stale: bool = False
    """What is shown is old: the host is not up now."""


class ClusterNode(Struct, frozen=True, kw_only=True, gc=False):
    """A node of a cluster."""

    host: str
    """The login node's name in the configuration."""
    name: str
    state: str
    """As Slurm writes it, lower case: idle, mixed, allocated, drained, down ..."""
    partitions: tuple[str, ...] = ()
    gpu_type: str = ""
    gpus: int = 0
    gpus_used: int = 0
    cpus: int = 0
    cpus_used: int = 0
    memory: int = 0
    """Bytes."""
    memory_used: int = 0
    """Bytes that are given to jobs."""
    reason: str = ""
    """Why it takes no jobs."""


class ClusterPartition(Struct, frozen=True, kw_only=True, gc=False):
    """A partition of a cluster."""

    host: str
    name: str
    state: str
    default: bool = False
    time_limit: float | None = None
    """Seconds; None is without limit."""
    nodes: int = 0
    gpus: int = 0
    gpus_free: int = 0
    """On nodes that take jobs."""


class ClusterReport(Struct, frozen=True, kw_only=True):
    """What a cluster's login node tells: one poll, shared by all who look."""

    name: str = ""
    version: str = ""
    jobs: tuple[JobRow, ...] = ()
    nodes: tuple[ClusterNode, ...] = ()
    partitions: tuple[ClusterPartition, ...] = ()
    history: bool = False
    """Whether there is a database that remembers ended jobs."""
    error: str = ""
    """Why it could not be asked; what is shown is older then."""
    hint: str = ""
