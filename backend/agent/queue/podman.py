"""The container of a job in Podman's own words.

Podman's copy of Docker's API knows no GPUs: it passes over `DeviceRequests`, and takes no CDI names as
devices. Its own API (`SpecGenerator` in github.com/containers/podman, pkg/specgen) does.
"""

from __future__ import annotations

import signal
from typing import Any, Dict, Sequence

from .machine import Gpu

CREATE = "/v4.0.0/libpod/containers/create"
_NETWORKS = ("host", "none", "bridge", "slirp4netns", "pasta", "private")


def body(name: str, wanted: Dict[str, Any], gpus: Sequence[Gpu]) -> Dict[str, Any]:
    """The body for `CREATE` that means the same as `wanted`, which is Docker's."""
    host = wanted["HostConfig"]
    out: Dict[str, Any] = {
        "name": name,
        "image": wanted["Image"],
        "user": wanted["User"],
        "groups": host["GroupAdd"],
        "work_dir": wanted["WorkingDir"],
        "terminal": wanted["Tty"],
        "stdin": wanted["OpenStdin"],
        "env": dict(line.split("=", 1) for line in wanted["Env"]),
        "labels": wanted["Labels"],
        "stop_signal": int(getattr(signal, wanted["StopSignal"], signal.SIGTERM)),
        "stop_timeout": wanted["StopTimeout"],
        "init": host["Init"],
        "restart_policy": "no",
        "mounts": [_bind(mount) for mount in host["Mounts"] if mount["Type"] == "bind"],
        "volumes": [_volume(mount) for mount in host["Mounts"] if mount["Type"] == "volume"],
        "devices": [{"path": device["PathOnHost"]} for device in host["Devices"]]
        + [{"path": f"nvidia.com/gpu={gpu.number}"} for gpu in gpus if gpu.vendor == "nvidia"],
        "resource_limits": _limits(host),
    }
    for theirs, ours in (("Cmd", "command"), ("Entrypoint", "entrypoint")):
        if theirs in wanted:
            out[ours] = wanted[theirs]
    if host.get("ShmSize"):
        out["shm_size"] = host["ShmSize"]
    network = host["NetworkMode"]
    if network in _NETWORKS:
        out["netns"] = {"nsmode": network}
    elif network != "default":
        out["netns"], out["Networks"] = {"nsmode": "bridge"}, {network: {}}
    return {key: value for key, value in out.items() if value not in ("", [], {}, None)}


def _limits(host: Dict[str, Any]) -> Dict[str, Any]:
    out: Dict[str, Any] = {}
    if "CpusetCpus" in host:
        out["cpu"] = {"cpus": host["CpusetCpus"]}
    if "Memory" in host:
        out["memory"] = {"limit": host["Memory"], "swap": host["MemorySwap"]}
    return out


def _bind(mount: Dict[str, Any]) -> Dict[str, Any]:
    options = ["rbind", "ro" if mount["ReadOnly"] else "rw"]
    return {"type": "bind", "source": mount["Source"], "destination": mount["Target"], "options": options}


def _volume(mount: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "Name": mount["Source"],
        "Dest": mount["Target"],
        "Options": ["ro"] if mount["ReadOnly"] else [],
    }
