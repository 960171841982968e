"""What a lab is made of, as plain values: hosts and their GPUs."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

GIB = 1 << 30


class LabError(Exception):
    """The lab could not do what it was asked; the message holds what the failing program said."""


@dataclass(frozen=True)
class GpuModel:
    """What is printed on the card."""

    vendor: str
    name: str
    arch: str
    mem_total: int
    """Bytes."""
    power_limit_w: float
    device_id: int
    """PCI device id."""


MODELS = {
    "H100": GpuModel("nvidia", "NVIDIA H100 80GB HBM3", "9.0", 85520809984, 700.0, 0x2330),
    "A100": GpuModel("nvidia", "NVIDIA A100-SXM4-40GB", "8.0", 42949672960, 400.0, 0x20B0),
    "MI300X": GpuModel("amd", "AMD Instinct MI300X", "gfx942", 206141652992, 750.0, 0x74A1),
    "MI250X": GpuModel("amd", "AMD Instinct MI250X", "gfx90a", 68702699520, 560.0, 0x7408),
}
"""By the short name that `parse_gpus` takes."""

DEFAULT_MODEL = {"nvidia": "H100", "amd": "MI300X"}


def parse_gpus(text: str) -> tuple[str, int]:
    """`nvidia:8`, `amd:4`, `nvidia:4:A100` or `none` as (short name of the model, how many)."""
    if text in ("", "none"):
        return "", 0
    vendor, _, rest = text.partition(":")
    count, _, model = rest.partition(":")
    model = model or DEFAULT_MODEL.get(vendor, "")
    if (
        model not in MODELS
        or MODELS[model].vendor != vendor
        or not count.isdigit()
        or not 0 < int(count) <= 16
    ):
        raise LabError(f"GPUs are nvidia:N, amd:N (1 to 16 of them, or nvidia:N:MODEL) or none, not {text!r}")
    return model, int(count)


@dataclass(frozen=True)
class HostSpec:
    """One host to bring up."""

    name: str
    gpus: str = "none"
    """`nvidia:8`, `amd:4`, `nvidia:4:A100` or `none`."""
    engine: str = "docker"
    """`docker`, `podman` or `none`."""
    python: bool = True
    """False: no python3 on it."""
    sshd: bool = True
    """False: it has an address, but refuses on port 22."""
    disk: int = 64 * GIB
    """Size of its disk in bytes. The file behind it is sparse."""
    live_restore: bool = False
    """Docker only: containers go on while their engine is stopped."""
    images: tuple[str, ...] = ("busybox:latest",)
    """Tags in its engine, all of one tiny busybox image."""
    type: str = ""
    """For hosts.yaml: the kind of machine."""
    comment: str = ""
    tags: tuple[str, ...] = ()
    slurm: str = ""
    """Name of the host that controls the cluster it belongs to, its own for the controller."""
    slurm_history: bool = False
    """Of a controller: a database has the ended jobs, and Slurm itself forgets them after seconds."""

    def __post_init__(self) -> None:
        parse_gpus(self.gpus)
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", self.name):
            raise LabError(f"a host's name is letters, digits and dashes, not {self.name!r}")
        if self.engine not in ("docker", "podman", "none"):
            raise LabError(f"the engine of {self.name} is docker, podman or none, not {self.engine!r}")

    def to_json(self) -> dict[str, Any]:
        """As kept in lab.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> HostSpec:
        """Back from `to_json`."""
        spec = cls(**data)
        return replace(spec, images=tuple(spec.images), tags=tuple(spec.tags))
