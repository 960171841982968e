"""Which GPUs a container was given: read from how it was started, resolved against the host's GPUs.

NVIDIA, in the order in which the engine and its runtime decide:

* `HostConfig.DeviceRequests` (`--gpus`): ids (index or UUID), a count (the first n), -1 for all, or CDI ids.
* CDI ids (`nvidia.com/gpu=0`, `=all`) as Podman lists them among the devices.
* `NVIDIA_VISIBLE_DEVICES`, only under the runtime `nvidia`: many images have `all` baked in and get nothing.
* device nodes `/dev/nvidia0`.

AMD: `/dev/dri/renderD*` nodes next to `/dev/kfd`; the whole `/dev/dri`, or a privileged container that
has `/dev/kfd`, means all.
"""

from __future__ import annotations

import re
from typing import Any, Iterable

_CDI = re.compile(r"(nvidia|amd)\.com/gpu=(.{1,100})\Z")
_NVIDIA_NODE = re.compile(r"/dev/nvidia(\d{1,4})\Z")
_RENDER_NODE = re.compile(r"/dev/dri/(renderD\d{1,4})\Z")

ALL = "all"


class HostGpus:
    """The host's GPUs, as far as they are known: names that a request can use -> UUIDs."""

    def __init__(self) -> None:
        self.nvidia: list[tuple[int, str, int]] = []
        """(index, UUID, minor number), ordered by index."""
        self.amd: list[tuple[int, str, str]] = []
        """(index, id, render node like `renderD128`), ordered by index."""


class Request:
    """What a container asked for. `nvidia` holds indexes, UUIDs and `all`; `count` is "the first n"."""

    __slots__ = ("amd", "any_amd", "count", "minors", "nvidia", "renders")

    def __init__(self) -> None:
        self.nvidia: list[str] = []
        self.count = 0
        self.minors: list[int] = []
        self.amd: list[str] = []
        self.renders: list[str] = []
        self.any_amd = False

    def __bool__(self) -> bool:
        return bool(self.nvidia or self.count or self.minors or self.amd or self.renders or self.any_amd)

    def resolve(self, host: HostGpus) -> list[str]:
        """UUIDs in the host's order; what names no GPU of this host is left out."""
        out: list[str] = []
        wanted = [name for name in self.nvidia if name]
        for index, uuid, minor in host.nvidia:
            if (
                ALL in wanted
                or index < self.count
                or minor in self.minors
                or any(_names_gpu(name, index, uuid) for name in wanted)
            ):
                out.append(uuid)
        # `--gpus` reaches AMD GPUs only where the engine has AMD's runtime, and no NVIDIA GPU takes it
        generic = [] if host.nvidia else wanted
        count = 0 if host.nvidia else self.count
        for index, uuid, render in host.amd:
            if (
                self.any_amd
                or ALL in self.amd
                or ALL in generic
                or index < count
                or render in self.renders
                or any(_names_gpu(name, index, uuid) for name in [*self.amd, *generic])
            ):
                out.append(uuid)
        return out


def asked(host_config: Any, env: Any) -> Request | None:
    """The request in a container's HostConfig and environment; None where there is none."""
    host = host_config if isinstance(host_config, dict) else {}
    request = Request()
    requests = [item for item in _list(host.get("DeviceRequests")) if isinstance(item, dict)]
    for item in requests:
        _device_request(request, item)
    paths = list(_device_paths(host))
    for path in paths:
        _device(request, path)
    if not requests and host.get("Runtime") == "nvidia":
        _visible_devices(request, env)
    kfd = any(path in ("/dev/kfd", "/dev") for path in [*paths, *_bind_sources(host)])
    if kfd and (host.get("Privileged") is True or "/dev/dri" in paths):
        request.any_amd = True
    if not kfd:
        request.renders = []  # a render node alone is for graphics or video
    return request if request else None


def _device_request(request: Request, item: dict[str, Any]) -> None:
    driver = item.get("Driver")
    ids = [text for text in _list(item.get("DeviceIDs")) if isinstance(text, str)]
    if driver == "cdi":
        for text in ids:
            _device(request, text)
        return
    capabilities = [name for group in _list(item.get("Capabilities")) for name in _list(group)]
    if driver not in ("nvidia", "amd") and not {"gpu", "nvidia", "amd"} & {
        str(name) for name in capabilities
    }:
        return
    target = request.amd if driver == "amd" else request.nvidia
    count = item.get("Count")
    if ids:
        target.extend(ids)
    elif count == -1:
        target.append(ALL)
    elif isinstance(count, int) and not isinstance(count, bool) and count > 0:
        request.count = max(request.count, count)


def _device(request: Request, text: str) -> None:
    cdi = _CDI.match(text)
    nvidia = _NVIDIA_NODE.match(text)
    render = _RENDER_NODE.match(text)
    if cdi:
        (request.nvidia if cdi.group(1) == "nvidia" else request.amd).append(cdi.group(2))
    elif nvidia:
        request.minors.append(int(nvidia.group(1)))
    elif render:
        request.renders.append(render.group(1))


def _visible_devices(request: Request, env: Any) -> None:
    value = ""
    for item in _list(env):
        if isinstance(item, str) and item.startswith("NVIDIA_VISIBLE_DEVICES="):
            value = item.partition("=")[2]
    if value not in ("", "none", "void"):
        for name in value.split(","):
            cdi = _CDI.match(name.strip())
            request.nvidia.append(cdi.group(2) if cdi else name.strip())


def _device_paths(host: dict[str, Any]) -> Iterable[str]:
    for item in _list(host.get("Devices")):
        path = item.get("PathOnHost") if isinstance(item, dict) else item
        if isinstance(path, str):
            yield path.rstrip("/")


def _bind_sources(host: dict[str, Any]) -> Iterable[str]:
    for item in _list(host.get("Binds")):
        if isinstance(item, str):
            yield item.partition(":")[0].rstrip("/")


def _names_gpu(name: str, index: int, uuid: str) -> bool:
    """By index, UUID, or the unique beginning of a UUID; `0:1` is a MIG slice of GPU 0."""
    if name == uuid or name.partition(":")[0] == str(index):
        return True
    return len(name) > 8 and name.startswith("GPU-") and uuid.startswith(name)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
