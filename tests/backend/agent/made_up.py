"""Trees and drivers that are made up, where the real ones cannot be had on every machine."""

from __future__ import annotations

import types

ID = "cd" * 32
"""Of a container."""


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class NvmlError(Exception):
    """As pynvml's NVMLError: `value` is the code of nvml.h."""

    def __init__(self, value):
        super().__init__(f"code {value}")
        self.value = value


class Nvml:
    """The part of pynvml that the probe uses. `fail[call]` or `fail[call, index]` is a code."""

    def __init__(self, count=2):
        self.count = count
        self.fail = {}
        self.util = 0
        self.calls = []

    def __getattr__(self, name):
        if not name.startswith("nvml"):
            raise AttributeError(name)

        def call(handle=None, *args):
            self.calls.append(name)
            for key in (name, (name, handle)):
                if key in self.fail:
                    raise NvmlError(self.fail[key])
            return self.answer(name, handle)

        return call

    def answer(self, name, handle):
        space = types.SimpleNamespace
        return {
            "nvmlDeviceGetCount": self.count,
            "nvmlSystemGetDriverVersion": b"550.1",
            "nvmlDeviceGetHandleByIndex": handle,
            "nvmlDeviceGetUUID": f"GPU-{handle}",
            "nvmlDeviceGetName": "Card",
            "nvmlDeviceGetMinorNumber": handle,
            "nvmlDeviceGetCudaComputeCapability": (9, 0),
            "nvmlDeviceGetPciInfo": space(busId=b"00000000:1B:00.0"),
            "nvmlDeviceGetEnforcedPowerLimit": 700000,
            "nvmlDeviceGetMemoryAffinity": [0, 2],
            "nvmlDeviceGetMemoryInfo": space(used=5, total=10),
            "nvmlDeviceGetUtilizationRates": space(gpu=self.util),
            "nvmlDeviceGetPowerUsage": 70500,
            "nvmlDeviceGetTemperature": 40,
            "nvmlDeviceGetComputeRunningProcesses": [
                space(pid=1, usedGpuMemory=7),
                space(pid=2, usedGpuMemory=None),
            ],
            "nvmlDeviceGetGraphicsRunningProcesses": [
                space(pid=1, usedGpuMemory=9),
                space(pid=3, usedGpuMemory=2**64 - 1),
            ],
        }.get(name)
