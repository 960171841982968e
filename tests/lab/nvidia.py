"""NVIDIA's side of a host's GPUs: what native/nvml.c reads."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.machine import built, cache, command

if TYPE_CHECKING:
    from tests.lab.gpus import Gpus

DRIVER = "550.127.08"
_STATES = {"ok": 0, "not_loaded": 9, "mismatch": 18, "hang": 0}
_ERRORS = {"": 0, "lost": 15, "unknown": 999}
"""NVML's codes."""
_RECORD = struct.Struct("56sQ")


def stand_in() -> Path:
    """The stand-in for libnvidia-ml.so.1, compiled."""
    flags = ["-shared", "-fPIC", "-pthread", "-Wno-unused-parameter", "-Wl,-soname,libnvidia-ml.so.1"]
    return built("nvml.c", *flags)


def library_folder() -> Path:
    """A folder for LD_LIBRARY_PATH with the library under its own name."""
    folder = cache() / f"{stand_in().name}.d"
    folder.mkdir(exist_ok=True)
    link = folder / "libnvidia-ml.so.1"
    if not link.is_symlink():
        link.symlink_to(stand_in())
    return folder


def environment(folder: Path) -> dict[str, str]:
    """What makes a program on this very machine see the GPUs of a folder: for benches of other tools."""
    return {"LD_LIBRARY_PATH": str(library_folder()), "FAKE_NVML_DIR": str(folder)}


def loader_folder() -> str:
    """Where a host's loader finds libraries, below its root: `usr/lib/x86_64-linux-gnu`."""
    multiarch = command(["gcc", "-print-multiarch"]).stdout.strip()
    return f"usr/lib/{multiarch}" if multiarch else "usr/lib64"


def cdi(count: int) -> str:
    """The description of the GPUs by which Podman knows `--device nvidia.com/gpu=0`."""

    def device(name: str, numbers: Sequence[int]) -> dict[str, object]:
        nodes = [{"path": f"/dev/nvidia{number}"} for number in numbers]
        return {"name": name, "containerEdits": {"deviceNodes": nodes}}

    devices = [device(str(number), [number]) for number in range(count)]
    common = {"deviceNodes": [{"path": "/dev/nvidiactl"}], "env": ["NVIDIA_VISIBLE_DEVICES=void"]}
    return json.dumps(
        {
            "cdiVersion": "0.5.0",
            "kind": "nvidia.com/gpu",
            "containerEdits": common,
            "devices": [*devices, device("all", range(count))],
        },
        indent=1,
    )


def write(gpus: Gpus) -> None:
    """Write nvml.conf; see native/nvml.c for its lines."""
    from tests.lab.gpus import replace_file

    assert gpus.model is not None
    model = gpus.model
    major, _, minor = model.arch.partition(".")
    lines = [
        f"driver {DRIVER}",
        f"nvml 12.{DRIVER}",
        "cuda 12040",
        f"state {_STATES[gpus.driver]}",
        f"hang {int(gpus.driver == 'hang')}",
        f"ghosts {int(gpus.ghosts)}",
    ]
    for gpu in gpus.gpus:
        values = {
            "name": model.name,
            "uuid": gpu.uuid,
            "error": _ERRORS[gpu.error],
            "util": gpu.util,
            "mem_util": gpu.util // 2,
            "mem_total": model.mem_total,
            "mem_base": gpu.mem_base,
            "mem_used": -1 if gpu.mem_used is None else gpu.mem_used,
            "temp": gpu.temp,
            "power_mw": round(gpu.power * 1000),
            "limit_mw": round(model.power_limit_w * 1000),
            "bus": gpu.bus,
            "device_id": model.device_id,
            "numa": gpu.numa,
            "major": major,
            "minor": minor,
            "sm_clock": 1980 if gpu.util else 345,
            "mem_clock": 2619,
        }
        lines += [f"gpu {gpu.index} {key} {value}" for key, value in values.items()]
        lines += [f"fail {gpu.index} {call} {code}" for call, code in gpu.failures.items()]
    lines += [f"proc {each.gpu} {each.pid} {each.kind} {each.bytes}" for each in gpus.processes]
    counts = gpus.folder / "nvml.calls"
    if not counts.exists():
        counts.touch()
        counts.chmod(0o666)  # whoever calls the driver counts
    replace_file(gpus.folder / "nvml.conf", "\n".join(lines) + "\n")


def calls(folder: Path) -> dict[str, int]:
    """The counts in nvml.calls, by call."""
    counts: dict[str, int] = {}
    for name, number in _RECORD.iter_unpack((folder / "nvml.calls").read_bytes()):
        if number:
            counts[name.rstrip(b"\0").decode()] = number
    return counts
