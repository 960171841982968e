"""The GPUs of a host: what their driver answers, changed at any time while tools watch.

A `Gpus` writes one folder. For NVIDIA that is the text that native/nvml.c reads and the count of its calls;
for AMD a sysfs and KFD tree. Values are the driver's: percent, bytes, degrees C, watts.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from tests.lab import amd, nvidia
from tests.lab.spec import MODELS, GpuModel, LabError, parse_gpus

DRIVER_STATES = ("ok", "not_loaded", "mismatch", "hang")
"""What the driver as a whole may do; `hang`: no call returns. AMD has only `ok` and `not_loaded`."""


@dataclass
class Gpu:
    """One GPU as its driver tells."""

    index: int
    uuid: str
    """NVML's UUID, or amdgpu's unique_id."""
    numa: int
    bus: int
    """PCI bus number."""
    util: int = 0
    mem_base: int = 0
    """Held by the driver itself."""
    mem_used: int | None = None
    """Overrides what base and processes add up to."""
    temp: int = 31
    power: float = 70.0
    error: str = ""
    """`lost` or `unknown`: it cannot be read; empty: it can."""
    failures: dict[str, int] = field(default_factory=dict)
    """Codes of the NVML calls that fail for this GPU, by name: `nvmlDeviceGetPowerUsage`."""


@dataclass
class GpuProcess:
    """A process that holds memory of a GPU."""

    gpu: int
    pid: int
    """As the lab host counts."""
    bytes: int
    kind: str = "C"
    """NVML's C (compute) or G (graphics)."""


class Gpus:
    """All GPUs of a host. Every change is written at once, in one step that no reader sees half of."""

    def __init__(self, folder: Path, spec: str, seed: str) -> None:
        self.folder = folder
        short, count = parse_gpus(spec)
        self.model: GpuModel | None = MODELS[short] if count else None
        self.gpus = [_fresh(self.model, index, count, seed) for index in range(count) if self.model]
        self.processes: list[GpuProcess] = []
        self.driver = "ok"
        self.ghosts = False
        """Show processes that do not live; for benches without a host around them."""

    @classmethod
    def load(cls, folder: Path, spec: str, seed: str) -> Gpus:
        """As they were written last; fresh ones where nothing was."""
        found = cls(folder, spec, seed)
        try:
            state = json.loads((folder / "state.json").read_text())
        except FileNotFoundError:
            return found
        found.gpus = [Gpu(**each) for each in state["gpus"]]
        found.processes = [GpuProcess(**each) for each in state["processes"]]
        found.driver, found.ghosts = state["driver"], state["ghosts"]
        return found

    def save(self) -> None:
        """Write it all; the setters do this themselves."""
        state = {
            "gpus": [asdict(gpu) for gpu in self.gpus],
            "processes": [asdict(process) for process in self.processes],
            "driver": self.driver,
            "ghosts": self.ghosts,
        }
        replace_file(self.folder / "state.json", json.dumps(state))
        if self.model:
            (nvidia if self.model.vendor == "nvidia" else amd).write(self)

    def set(self, index: int, **values: object) -> None:
        """Change fields of a `Gpu`: `set(0, util=97, power=612.5, error="lost")`."""
        if not 0 <= index < len(self.gpus):
            raise LabError(f"no GPU {index} here; there are {len(self.gpus)}")
        known = {each.name for each in fields(Gpu)}
        for key, value in values.items():
            if key not in known:
                raise LabError(f"a GPU has no {key}; it has {', '.join(sorted(known))}")
            setattr(self.gpus[index], key, value)
        self.save()

    def attach(self, index: int, pid: int, memory: int, *, kind: str = "C") -> None:
        """A process takes `memory` bytes of a GPU, until it ends or is detached."""
        if not 0 <= index < len(self.gpus):
            raise LabError(f"no GPU {index} here; there are {len(self.gpus)}")
        self.processes.append(GpuProcess(index, pid, memory, kind))
        self.save()

    def detach(self, pid: int) -> None:
        """A process lets go of all GPUs."""
        self.processes = [process for process in self.processes if process.pid != pid]
        self.save()

    def set_driver(self, state: str) -> None:
        """One of DRIVER_STATES."""
        if state not in DRIVER_STATES:
            raise LabError(f"a driver is {', '.join(DRIVER_STATES)}, not {state!r}")
        self.driver = state
        self.save()

    def used(self, gpu: Gpu) -> int:
        """Bytes of its memory in use, as if all its processes lived."""
        if gpu.mem_used is not None:
            return gpu.mem_used
        return gpu.mem_base + sum(each.bytes for each in self.processes if each.gpu == gpu.index)

    def calls(self) -> dict[str, int]:
        """How often each NVML call was made since the folder was new, by all processes together."""
        return nvidia.calls(self.folder)


def _fresh(model: GpuModel, index: int, count: int, seed: str) -> Gpu:
    digest = hashlib.sha256(f"{seed}/{index}".encode()).digest()
    name = f"GPU-{uuid.UUID(bytes=digest[:16])}" if model.vendor == "nvidia" else digest[:8].hex()
    base = (4 << 20) if model.vendor == "nvidia" else (290 << 20)
    return Gpu(
        index=index,
        uuid=name,
        numa=0 if index < (count + 1) // 2 else 1,
        bus=0x1B + index * 0x12,
        mem_base=base,
        temp=29 + index % 4,
        power=round(model.power_limit_w / 10 + index % 3, 1),
    )


def replace_file(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new one, never half of it."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.chmod(0o644)
    part.replace(path)
