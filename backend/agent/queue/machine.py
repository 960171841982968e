"""What a host has to give, and what of it is taken by things the queue did not start."""

from __future__ import annotations

from typing import NamedTuple, Tuple


class Cpu(NamedTuple):
    """A logical CPU that may be used."""

    id: int
    node: int = 0
    """NUMA node."""
    core: int = -1
    """Physical core (threads of one core share it); -1 where unknown: the CPU counts as its own core."""


class Gpu(NamedTuple):
    """A GPU."""

    id: str
    """UUID."""
    number: int = 0
    """Its index on the host."""
    node: int = -1
    """NUMA node; -1 where unknown."""
    vendor: str = "nvidia"
    """`nvidia` or `amd`: decides how a container gets it."""
    devices: Tuple[str, ...] = ()
    """Device files of an AMD GPU (`/dev/kfd`, `/dev/dri/renderD128`)."""
    busy: str = ""
    """Who holds it apart from the queue, for people: `python (pid 123) of ann`, `container x of bob`."""
    broken: str = ""
    """Why it cannot be used at all (the driver cannot read it)."""
    since: float = 0.0
    """When it came to be busy or broken, in Unix time; 0 where that is unknown, which means long ago."""


class Machine(NamedTuple):
    """One host at one moment."""

    cpus: Tuple[Cpu, ...]
    gpus: Tuple[Gpu, ...] = ()
    memory: int = 0
    """Bytes that jobs may book in all; 0 where unknown: then no job with a memory request is accepted."""
    boot_id: str = ""
    error: str = ""
    """Why its GPUs cannot be told at all (the driver does not answer). Then `gpus` may lack some: jobs for
    GPUs wait, and none of them is given up."""
