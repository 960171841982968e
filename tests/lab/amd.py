"""AMD's side of a host's GPUs: the part of /sys that amdgpu and KFD fill, under `<folder>/sys`.

The layout is the kernel's: https://docs.kernel.org/gpu/amdgpu/driver-misc.html and
https://docs.kernel.org/gpu/amdgpu/thermal.html, KFD's as `rocminfo` reads it. As on real servers, card0 is
the board's own display chip. MI300X has `power1_input` and no edge temperature; MI250X has both of the
older names.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.gpus import Gpu, Gpus

_GFX = {"gfx942": (90402, "ip discovery", 1216), "gfx90a": (90010, "aldebaran", 440)}
"""gfx_target_version, name of the KFD node, simd_count."""
_CPU_NODES = 2


def write(gpus: Gpus) -> None:
    """Write the tree, or take it away where the driver is not loaded."""
    root = gpus.folder / "sys"
    if not (root / "class").exists():
        _skeleton(root)
    if gpus.driver != "ok":
        for part in ("class/drm", "class/kfd"):
            shutil.rmtree(root / part, ignore_errors=True)
        return
    _display(root)
    for gpu in gpus.gpus:
        _device(root, gpus, gpu)
        _node(root, gpus, gpu)
    _processes(root / "class/kfd/kfd/proc", gpus)


def kfd_id(gpu: Gpu) -> int:
    """KFD's gpu_id: a number below 65536."""
    return int(gpu.uuid[:4], 16) | 0x1000


def _put(path: Path, value: object) -> None:
    text = f"{value}\n"
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def _link(path: Path, target: str) -> None:
    if not path.is_symlink():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)


def _skeleton(root: Path) -> None:
    """What is not the GPUs' is the host's own."""
    (root / "devices").mkdir(parents=True, exist_ok=True)
    _link(root / "devices/system", "/sys/devices/system")
    _link(root / "class/net", "/sys/class/net")
    _link(root / "fs", "/sys/fs")


def _card(root: Path, bus: int, card: int, render: int | None) -> Path:
    """A PCI device with its drm nodes and their links under class/drm; returns the device's folder."""
    address = f"0000:{bus:02x}:00.0"
    device = root / "devices/pci0000:00" / address
    names = [f"card{card}", *([f"renderD{render}"] if render is not None else [])]
    _link(root / "bus/pci/devices" / address, f"../../../devices/pci0000:00/{address}")
    for name in names:
        _link(device / "drm" / name / "device", f"../../../{address}")
        _link(root / "class/drm" / name, f"../../devices/pci0000:00/{address}/drm/{name}")
    return device


def _display(root: Path) -> None:
    device = _card(root, 0x03, 0, None)
    _put(device / "vendor", "0x1a03")
    _put(device / "device", "0x2000")


def _device(root: Path, gpus: Gpus, gpu: Gpu) -> None:
    model = gpus.model
    assert model is not None
    device = _card(root, gpu.bus, gpu.index + 1, 128 + gpu.index)
    hwmon = device / f"hwmon/hwmon{gpu.index + 4}"
    instant = model.arch == "gfx942"
    values: dict[Path, object] = {
        device / "vendor": "0x1002",
        device / "device": f"0x{model.device_id:04x}",
        device / "numa_node": gpu.numa,
        device / "local_cpulist": f"{gpu.numa * 96}-{gpu.numa * 96 + 95}",
        device / "unique_id": gpu.uuid,
        device / "product_name": model.name,
        device / "gpu_busy_percent": gpu.util,
        device / "mem_busy_percent": gpu.util // 2,
        device / "mem_info_vram_total": model.mem_total,
        device / "mem_info_vram_used": gpus.used(gpu),
        hwmon / "name": "amdgpu",
        hwmon / ("power1_input" if instant else "power1_average"): round(gpu.power * 1_000_000),
        hwmon / "power1_label": "PPT",
        hwmon / "power1_cap": round(model.power_limit_w * 1_000_000),
    }
    labels = ("junction", "mem") if instant else ("edge", "junction", "mem")
    for number, label in enumerate(labels, 2 if instant else 1):
        values[hwmon / f"temp{number}_label"] = label
        values[hwmon / f"temp{number}_input"] = gpu.temp * 1000
    if gpu.error:  # a GPU that fell off the bus: its readings are gone
        shutil.rmtree(device / "hwmon", ignore_errors=True)
        for path in device.glob("*_percent"):
            path.unlink()
        for path in device.glob("mem_info_*"):
            path.unlink()
        return
    for path, value in values.items():
        _put(path, value)


def _node(root: Path, gpus: Gpus, gpu: Gpu) -> None:
    assert gpus.model is not None
    version, name, simds = _GFX[gpus.model.arch]
    topology = root / "class/kfd/kfd/topology"
    for number in range(_CPU_NODES):
        _put(topology / f"nodes/{number}/gpu_id", 0)
        _put(topology / f"nodes/{number}/name", "")
        _put(
            topology / f"nodes/{number}/properties", "cpu_cores_count 96\nsimd_count 0\ngfx_target_version 0"
        )
    node = topology / f"nodes/{_CPU_NODES + gpu.index}"
    properties = {
        "cpu_cores_count": 0,
        "simd_count": simds,
        "gfx_target_version": version,
        "vendor_id": 0x1002,
        "device_id": gpus.model.device_id,
        "location_id": gpu.bus << 8,
        "domain": 0,
        "drm_render_minor": 128 + gpu.index,
        "unique_id": int(gpu.uuid, 16),
    }
    _put(node / "gpu_id", kfd_id(gpu))
    _put(node / "name", name)
    _put(node / "properties", "\n".join(f"{key} {value}" for key, value in properties.items()))
    for number, other in enumerate(each for each in gpus.gpus if each is not gpu):
        link = f"type 11\nnode_from {_CPU_NODES + gpu.index}\nnode_to {_CPU_NODES + other.index}\nweight 15"
        _put(node / f"io_links/{number}/properties", link)
    _put(topology / "generation_id", 1)


def _processes(proc: Path, gpus: Gpus) -> None:
    """One folder per process, with a file per GPU of the machine: 0 where it holds nothing."""
    proc.mkdir(parents=True, exist_ok=True)
    held: dict[int, dict[int, int]] = {}
    for process in gpus.processes:
        held.setdefault(process.pid, {})[process.gpu] = process.bytes
    for folder in proc.iterdir():
        if int(folder.name) not in held:
            shutil.rmtree(folder)
    for pid, memory in held.items():
        for gpu in gpus.gpus:
            _put(proc / f"{pid}/vram_{kfd_id(gpu)}", memory.get(gpu.index, 0))
            _put(proc / f"{pid}/sdma_{kfd_id(gpu)}", 0)
