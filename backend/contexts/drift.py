"""How far a running container is from its context: what was changed in the file after it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.imagenames import whole
from backend.text import size


@dataclass(frozen=True)
class Difference:
    """One thing that differs."""

    what: str
    """In the words of the context's file: `image`, `mounts`, `ports` ..."""
    context: str
    container: str


_LISTS = (
    ("mounts", "Binds"), ("cap_add", "CapAdd"), ("cap_drop", "CapDrop"), ("security_opt", "SecurityOpt"),
    ("group_add", "GroupAdd"),
)  # fmt: skip
_VALUES = (
    ("cpuset", "CpusetCpus"), ("cpus", "NanoCpus"), ("memory", "Memory"), ("shm_size", "ShmSize"),
    ("network", "NetworkMode"), ("runtime", "Runtime"), ("ipc", "IpcMode"), ("pid", "PidMode"),
    ("privileged", "Privileged"),
)  # fmt: skip
_UNITS: dict[str, Callable[[Any], str]] = {
    "Memory": size,
    "NanoCpus": lambda nano: f"{nano / 1e9:g}",
    "ShmSize": size,
}
"""How a value of the engine's is written for people."""
_DEFAULTS: dict[str, set[object]] = {
    "NetworkMode": {"default", "bridge"},
    "Runtime": {"runc", "io.containerd.runc.v2", "oci"},
    "IpcMode": {"private", "shareable"},
    "ShmSize": {64 * 2**20, 65536000},
    "PidMode": {"private"},
}
"""What engines write where nothing was asked for."""
_PODMAN_DROPS = {"AUDIT_WRITE", "MKNOD", "NET_RAW"}
"""Podman gives less than Docker, and says so as if it had been asked for."""
_MOUNTED = {"rw", "rprivate", "rbind", "nosuid", "nodev", ""}
"""Options of a mount that say what is so anyway; Podman writes them all."""


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[Difference]:
    """Compare a create request (see `create.request`) with the engine's inspect of the container.

    What the engine or the image adds by itself (environment, labels, default mounts) is no difference; the
    environment is compared by name and value for the names that the context sets.
    """
    asked, has = wanted["HostConfig"], found.get("HostConfig") or {}
    config = found.get("Config") or {}
    rows = [
        _image(wanted["Image"], config.get("Image") or ""),
        _value("workdir", wanted.get("WorkingDir") or config.get("WorkingDir"), config.get("WorkingDir")),
        *(
            _value(what, _plain(key, asked.get(key)), _plain(key, has.get(key)), _UNITS.get(key, str))
            for what, key in _VALUES
        ),
        *(_items(what, _words(key, asked.get(key)), _words(key, has.get(key))) for what, key in _LISTS),
        _items("ports", _ports(asked.get("PortBindings")), _ports(has.get("PortBindings"))),
        _items("gpus", _gpus(asked), _gpus(has)),
        _items("env", wanted.get("Env"), _same_names(wanted.get("Env"), config.get("Env"))),
    ]
    return [row for row in rows if row is not None]


def by_uuid(found: Mapping[str, Any], uuids: Mapping[str, str]) -> dict[str, Any]:
    """An inspect whose GPUs are named by UUID, as berth asks for them; people also give them by index."""
    host = dict(found.get("HostConfig") or {})
    host["DeviceRequests"] = [
        {**each, "DeviceIDs": [uuids.get(name, name) for name in each.get("DeviceIDs") or ()] or None}
        for each in host.get("DeviceRequests") or ()
    ]
    return {**found, "HostConfig": host}


def _plain(key: str, value: Any) -> Any:
    return None if not value or value in _DEFAULTS.get(key, set()) else value


def _words(key: str, value: Any) -> list[str]:
    words = [str(each) for each in value or ()]
    if key == "Binds":
        return [_mount(each) for each in words]
    if key.startswith("Cap"):
        words = [each.removeprefix("CAP_") for each in words]
        if key == "CapDrop" and set(words) >= _PODMAN_DROPS:
            return [each for each in words if each not in _PODMAN_DROPS]
    return words


def _mount(bind: str) -> str:
    source, _, rest = bind.partition(":")
    target, _, options = rest.partition(":")
    said = sorted(set(options.split(",")) - _MOUNTED)
    return ":".join([source, target, *([",".join(said)] if said else [])])


def _image(wanted: str, found: str) -> Difference | None:
    return None if whole(wanted) == whole(found) else Difference("image", wanted, _shown(found))


def _value(what: str, wanted: Any, found: Any, unit: Callable[[Any], str] = str) -> Difference | None:
    if (wanted or None) == (found or None):
        return None
    return Difference(what, _shown(wanted, unit), _shown(found, unit))


def _items(what: str, wanted: Any, found: Any) -> Difference | None:
    asked, has = set(wanted or ()), set(found or ())
    if asked == has:
        return None
    return Difference(what, _shown(sorted(asked - has)), _shown(sorted(has - asked)))


def _shown(value: Any, unit: Callable[[Any], str] = str) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in (None, "") else unit(value)


def _ports(bindings: Mapping[str, Any] | None) -> list[str]:
    return [
        f"{each.get('HostIp') or '0.0.0.0'}:{each.get('HostPort')}:{inside}"  # noqa: S104  # only shown
        for inside, outsides in (bindings or {}).items()
        for each in outsides or ()
    ]


def _gpus(host: Mapping[str, Any]) -> list[str]:
    requests = host.get("DeviceRequests") or ()
    nvidia = [
        gpu
        for request in requests
        for gpu in (request.get("DeviceIDs") or (["all"] if request.get("Count") == -1 else []))
    ]
    return nvidia + [each["PathOnHost"] for each in host.get("Devices") or () if "PathOnHost" in each]


def _same_names(wanted: Any, found: Any) -> list[str]:
    names = {entry.partition("=")[0] for entry in wanted or ()}
    return [entry for entry in found or () if entry.partition("=")[0] in names]
