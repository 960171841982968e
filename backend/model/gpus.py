"""GPUs: what a driver says of them, how they are joined, who is on them, and their rows."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from backend.model.base import Count, Moment, Percent, Short


class Gpu(Struct, frozen=True, gc=False):
    """One GPU of section `gpus`."""

    index: Count
    """The vendor's index on its host: what `--gpus device=N` counts for NVIDIA."""
    uuid: Short
    """NVML's UUID, or `amd-<unique_id>`; unique on the host."""
    vendor: Short
    """`nvidia` or `amd`."""
    name: Short
    arch: Short = ""
    """`sm_90`, `gfx942`; empty while unknown."""
    util_percent: Percent | None = None
    """Share of the last sample window in which a kernel ran."""
    mem_used: Count | None = None
    mem_total: Count | None = None
    temp_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    idle_since: Moment | None = None
    """Memory is held but nothing has run since then, as far as this agent saw; None while busy or free."""
    numa_node: int | None = None
    bus_id: Short = ""
    error: Short = ""
    """Why this one GPU cannot be read; its values are None then."""


class GpuReport(Struct, frozen=True, gc=False):
    """Section `gpus`: all GPUs of the host."""

    gpus: tuple[Gpu, ...] = ()
    driver: Short = ""
    """Version of the NVIDIA driver; empty without one."""
    error: Short = ""
    """Why a driver that is there cannot be used (`Driver/library version mismatch`)."""
    hint: Short = ""


class GpuPlace(Struct, frozen=True, gc=False):
    """Where a GPU lies in its host."""

    gpu: Short
    """UUID of the GPU."""
    cpus: Short = ""
    """The CPUs beside it, `0-47,96-143`; empty while unknown."""


class GpuLink(Struct, frozen=True, gc=False):
    """How two GPUs reach each other."""

    a: Short
    b: Short
    """UUIDs of the two."""
    kind: Short
    """`nvlink`, `xgmi` or `pcie`."""
    count: Count = 0
    """How many NVLinks or XGMI links; 0 for PCIe."""
    level: Short = ""
    """What PCIe passes: PIX (one switch), PXB (several), PHB (host bridge), NODE, SYS (between sockets)."""


class GpuTopology(Struct, frozen=True, gc=False):
    """Section `topology`: told once, and again when there are other GPUs."""

    gpus: tuple[GpuPlace, ...] = ()
    links: tuple[GpuLink, ...] = ()


class GpuProcess(Struct, frozen=True, gc=False):
    """One entry of section `processes` (a list): a process that holds a GPU."""

    gpu: Short
    """UUID of the GPU."""
    pid: Count
    """On the host, not inside the container."""
    user: Short = ""
    command: Short = ""
    """The command line, shortened; empty where /proc does not let us read it."""
    mem_used: Count | None = None
    """Bytes of GPU memory; None where the driver does not tell (MIG)."""
    container: Short | None = None
    """Full id of its container."""
    started_at: Moment | None = None


class ProcessRow(Struct, frozen=True, kw_only=True, gc=False):
    """A process on a GPU, inside `GpuRow`."""

    pid: int
    user: str
    command: str
    mem_used: int | None
    container: str | None
    """The container's name."""
    job: str | None
    """Id of the queue's job, by the container's label `berth.job`."""
    started_at: datetime | None = None


class GpuRow(Struct, frozen=True, kw_only=True, gc=False):
    """`berth gpus`."""

    host: str
    index: int
    uuid: str
    vendor: str
    name: str
    arch: str | None
    util_percent: float | None
    mem_used: int | None
    mem_total: int | None
    temp_c: float | None
    power_w: float | None
    power_limit_w: float | None
    free: bool
    """No process on it, no running container asked for it, and it can be read."""
    idle_since: datetime | None
    processes: tuple[ProcessRow, ...] = ()
    containers: tuple[str, ...] = ()
    """Names of the running containers that were given this GPU."""
    owners: tuple[str, ...] = ()
    """Users of its processes, else owners of its containers."""
    numa_node: int | None = None
    error: str | None = None
    stale: bool = False
