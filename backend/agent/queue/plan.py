"""Which jobs start now, on what, and why the others wait. Pure: the same input gives the same answer."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from .jobs import Job
from .machine import Machine


class Limits(NamedTuple):
    """What the queue's people agreed on. Stored in the queue's settings."""

    paused: str = ""
    """Who paused the queue and why; empty is not paused. Nothing starts while it is."""
    draining: str = ""
    """Who drains it: running and queued jobs go on, new ones are refused."""
    max_running_per_user: int = 0
    """Jobs; 0 is no limit."""
    max_gpus_per_user: int = 0
    reserved_cpus: int = 0
    """Logical CPUs left for the system, the lowest ids first."""
    reserved_memory: int = 0
    """Bytes left for the system."""


class Start(NamedTuple):
    """A job to start now, and what it gets."""

    job: int
    gpus: Tuple[str, ...]
    cpus: Tuple[int, ...]
    memory: int


class Plan(NamedTuple):
    """The answer."""

    starts: Tuple[Start, ...]
    reasons: Dict[int, str]
    """For each job that waits."""
    expected: Dict[int, Optional[float]]
    """Expected start of each job that waits, where running jobs' limits allow to tell; None: unknown."""
    doomed: Dict[int, str]
    """Jobs that can never run (a dependency failed or is gone, the machine shrank): why."""
    wake_at: Optional[float] = None
    """When the plan has to be made again though nothing happened (a begin time, a limit)."""


def plan(jobs: Sequence[Job], machine: Machine, limits: Limits, now: float) -> Plan:
    """`jobs`: all unfinished ones and those ended ones that others wait for, in any order."""
    raise NotImplementedError


def impossible(job: Job, machine: Machine, limits: Limits) -> str:
    """Why this machine can never run it, for people (names the limit); empty if it can."""
    raise NotImplementedError
