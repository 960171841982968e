"""NVIDIA GPUs through NVML, NVIDIA's own library for it, by way of pynvml.

NVML calls are serialised in the driver and slow down the jobs on the GPU, so they are few: what cannot
change is read once, and process lists (milliseconds each) only when asked for. With 8 GPUs at 2 s that is
16 calls/s, and 7 more for processes each 5 s. Runs in the GPU thread: a broken driver may hang.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any, Callable

_RETRY = (2.0, 60.0)
_GPU_RETRY = 10.0
_NO_VALUE = (1 << 64) - 1
"""NVML_VALUE_NOT_AVAILABLE as an unsigned number."""

# Codes of nvml.h
_NOT_LOADED = 9
_FATAL = (1, 9, 12, 18)  # uninitialised, driver unloaded, no library, library mismatch: begin again
_NOT_THERE = (2, 3, 4, 7, 13, 21, 25)
"""Invalid, not supported, no permission, too many, no function, no data, version: one value less."""

_HINTS = {
    18: "The driver was updated while loaded: reboot, or reload the nvidia kernel modules.",
    9: "Load it: sudo modprobe nvidia (after a kernel update: reinstall the driver).",
    4: "The agent's user may not open /dev/nvidiactl: look at its mode and group.",
    15: "It fell off the bus: look at `dmesg | grep -i xid`; a reboot mostly helps.",
    16: "Reset it: sudo nvidia-smi --gpu-reset, once no process uses it.",
}
_HINT = "Look at `nvidia-smi` and `dmesg | grep -i nvrm` on the host."


class NvidiaProbe:
    """All NVIDIA GPUs. `load()` gives the pynvml module, or None where it or the library is missing."""

    def __init__(self, load: Callable[[], Any], sysfs: str = "/sys") -> None:
        self._load = load
        self._sysfs = sysfs
        self._nvml: Any = None
        self._gpus: list[_Nvidia] = []
        self._seen = False
        self._wait = _RETRY[0]
        self._next = 0.0
        self.driver = ""
        self.error = ""
        self.hint = ""

    @property
    def names(self) -> list[tuple[int, str, int]]:
        """(index, UUID, minor number) of each."""
        return [(gpu.index, gpu.uuid, gpu.minor) for gpu in self._gpus if gpu.uuid]

    def links(self) -> list[dict[str, Any]]:
        """The wire's GpuLink of each two; nothing while the driver fails."""
        from . import links

        gpus = [gpu for gpu in self._gpus if gpu.handle is not None]
        try:
            return links.nvidia(self._nvml, [(gpu.uuid, gpu.bus, gpu.handle) for gpu in gpus])
        except Exception:
            return []  # the next sample says what is wrong with the driver

    def sample(self) -> list[dict[str, Any]]:
        """The wire's Gpu of each, by index. While the driver fails: those last seen, without values."""
        if self._ready():
            try:
                return [gpu.sample(self._nvml, self._sysfs) for gpu in self._gpus]
            except Exception as error:
                self._failed(error)
        return [gpu.without_values(self.error) for gpu in self._gpus]

    def processes(self) -> list[tuple[str, int, int | None]]:
        """(UUID, pid, bytes) of each process on each GPU that can be read."""
        out = []
        for gpu in self._gpus if self._nvml is not None else ():
            try:
                out += gpu.processes(self._nvml)
            except Exception as error:
                if code(error) in _FATAL:
                    self._failed(error)
                    break
        return out

    def _ready(self) -> bool:
        if self._nvml is not None:
            return True
        now = time.monotonic()
        if now < self._next:
            return False
        try:
            nvml = self._load()
            if nvml is None:
                self._next = now + _RETRY[1]
                return False
            nvml.nvmlInit()
            self._nvml = nvml
            self.driver = text(nvml.nvmlSystemGetDriverVersion())[:100]
            count = int(nvml.nvmlDeviceGetCount())
            known = {gpu.index: gpu for gpu in self._gpus}
            self._gpus = [known.get(index) or _Nvidia(index) for index in range(count)]
            for gpu in self._gpus:
                gpu.forget()
        except Exception as error:
            self._failed(error)
            return False
        self._seen = True
        self.error = self.hint = ""
        self._wait = _RETRY[0]
        return True

    def _failed(self, error: Exception) -> None:
        """The whole driver: shut it down, say why, begin again later."""
        if self._nvml is not None:
            try:
                self._nvml.nvmlShutdown()
            except Exception:
                pass
        self._nvml = None
        self._next = time.monotonic() + self._wait
        self._wait = min(_RETRY[1], self._wait * 2)
        number = code(error)
        if number == _NOT_LOADED and not self._seen and not has_nvidia_card(self._sysfs):
            return  # only the library is installed, as in many machine images
        self.error = f"NVIDIA driver: {message(error)}"
        self.hint = _HINTS.get(number, _HINT)


class _Nvidia:
    """One GPU: its handle and what never changes."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.uuid = ""
        self.minor = -1
        self._handle: Any = None
        self._static: dict[str, Any] = {}
        self._retry_at = 0.0
        self._error = ""

    @property
    def handle(self) -> Any:
        """NVML's, None while it cannot be opened."""
        return self._handle

    @property
    def bus(self) -> str:
        """Its PCI address."""
        return str(self._static.get("bus_id", ""))

    def forget(self) -> None:
        """The handle is void after NVML was shut down."""
        self._handle = None
        self._retry_at = 0.0

    def sample(self, nvml: Any, sysfs: str) -> dict[str, Any]:
        """The wire's Gpu. Raises what concerns the whole driver."""
        if time.monotonic() >= self._retry_at:
            try:
                if self._handle is None:
                    self._open(nvml, sysfs)
                values = self._values(nvml)
                self._error = ""
                return {**self._static, **values}
            except Exception as error:
                if code(error) in _FATAL:
                    raise
                self._handle = None
                self._retry_at = time.monotonic() + _GPU_RETRY
                hint = _HINTS.get(code(error), "")
                self._error = f"{message(error)}. {hint}".strip()
        return self.without_values(self._error)

    def without_values(self, error: str) -> dict[str, Any]:
        """The wire's Gpu when it cannot be read."""
        unknown = {
            "index": self.index,
            "uuid": f"nvidia-{self.index}",
            "vendor": "nvidia",
            "name": "NVIDIA GPU",
        }
        return {**unknown, **self._static, "error": error}

    def processes(self, nvml: Any) -> list[tuple[str, int, int | None]]:
        """Compute and graphics processes; one that is both appears once."""
        if self._handle is None:
            return []
        found: dict[int, int | None] = {}
        for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
            for process in maybe(partial(ask, self._handle)) or ():
                used = process.usedGpuMemory
                used = used if isinstance(used, int) and 0 <= used < _NO_VALUE else None
                found[int(process.pid)] = max(used or 0, found.get(int(process.pid)) or 0) if used else used
        return [(self.uuid, pid, used) for pid, used in found.items()]

    def _open(self, nvml: Any, sysfs: str) -> None:
        handle = nvml.nvmlDeviceGetHandleByIndex(self.index)
        uuid = text(nvml.nvmlDeviceGetUUID(handle))
        if uuid != self.uuid or not self._static:
            self.uuid = uuid
            self._static = _static(nvml, handle, self.index, uuid, sysfs)
            minor = maybe(lambda: nvml.nvmlDeviceGetMinorNumber(handle))
            self.minor = minor if isinstance(minor, int) else self.index
        self._handle = handle

    def _values(self, nvml: Any) -> dict[str, Any]:
        handle = self._handle
        memory = maybe(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        util = maybe(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
        watts = maybe(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        temperature = maybe(lambda: nvml.nvmlDeviceGetTemperature(handle, 0))
        return {
            "util_percent": percent(util.gpu) if util is not None else None,
            "mem_used": count(memory.used) if memory is not None else None,
            "mem_total": count(memory.total) if memory is not None else None,
            "temp_c": temperature,
            "power_w": round(watts / 1000, 1) if watts is not None else None,
        }


def _static(nvml: Any, handle: Any, index: int, uuid: str, sysfs: str) -> dict[str, Any]:
    """What never changes while a driver is loaded (the power limit nearly never)."""
    capability = maybe(lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
    pci = maybe(lambda: nvml.nvmlDeviceGetPciInfo(handle))
    limit = maybe(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
    bus = text(pci.busId).lower() if pci is not None else ""
    return {
        "index": index,
        "uuid": uuid[:200] or f"nvidia-{index}",
        "vendor": "nvidia",
        "name": (text(nvml.nvmlDeviceGetName(handle)) or "NVIDIA GPU")[:200],
        "arch": "sm_{}{}".format(*capability) if capability else "",
        "power_limit_w": round(limit / 1000, 1) if limit else None,
        "numa_node": numa_node(nvml, handle, bus, sysfs),
        "bus_id": bus[:64],
    }


def numa_node(nvml: Any, handle: Any, bus: str, sysfs: str) -> int | None:
    """The node whose CPUs and memory are near: by PCI address in sysfs, else the driver's own answer.

    NVML writes the PCI domain with eight digits, sysfs with four.
    """
    domain, _, rest = bus.partition(":")
    found = read(f"{sysfs}/bus/pci/devices/{domain[-4:]}:{rest}/numa_node")
    if found.isdigit():
        return int(found)
    affinity = getattr(nvml, "nvmlDeviceGetMemoryAffinity", None)  # since driver 450
    words = maybe(partial(affinity, handle, 4, 0)) if affinity and not found else None
    for place, word in enumerate(words or ()):
        if isinstance(word, int) and word > 0:
            return place * 64 + (word & -word).bit_length() - 1
    return None


def has_nvidia_card(sysfs: str) -> bool:
    """Whether a GPU of NVIDIA (PCI vendor 10de, class display) is plugged in."""
    folder = f"{sysfs}/bus/pci/devices"
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(
        read(f"{folder}/{name}/vendor") == b"0x10de" and read(f"{folder}/{name}/class").startswith(b"0x03")
        for name in names
    )


def read(path: str) -> bytes:
    """A small file's text; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(64).strip()
    except OSError:
        return b""


def maybe(call: Callable[[], Any]) -> Any:
    """The value, or None where this GPU does not have it (not supported, no permission, unknown symbol)."""
    try:
        return call()
    except Exception as error:
        if code(error) in _NOT_THERE:
            return None
        raise


def code(error: Exception) -> int:
    """NVML's return code of an exception; 0 for any other exception."""
    value = getattr(error, "value", 0)
    return value if isinstance(value, int) else 0


def message(error: Exception) -> str:
    """What NVML says."""
    return (str(error) or type(error).__name__)[:300]


def text(value: Any) -> str:
    """pynvml gives bytes or str, depending on its version."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def percent(value: Any) -> float | None:
    """Drivers sometimes report nonsense far above 100."""
    return float(value) if isinstance(value, int) and 0 <= value <= 100 else None


def count(value: Any) -> int | None:
    """A number of bytes, or None for NVML's "not available"."""
    return int(value) if isinstance(value, int) and 0 <= value < _NO_VALUE else None
