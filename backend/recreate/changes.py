"""What is to be different in a container that is made again, applied to its create request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.errors import UsageError
from backend.recreate.request import target_of

_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_OPTIONS = re.compile(r"[A-Za-z]+(,[A-Za-z]+)*", re.ASCII)
_ENV_NAME = re.compile(r"[^=\0]+")
_VISIBLE = ("NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")
"""Variables that would hide GPUs which a container is given anew."""


@dataclass(frozen=True)
class Changes:
    """What is to be different. Empty: nothing of that kind."""

    image: str | None = None
    mounts: Sequence[str] = ()
    """`source:target[:options]`; one that has the same target is replaced."""
    unmount: Sequence[str] = ()
    """Targets."""
    publish: Sequence[str] = ()
    """`[address:]outside:inside[/protocol]`."""
    unpublish: Sequence[str] = ()
    """`inside[/protocol]`."""
    env: Sequence[str] = ()
    """`NAME=VALUE`."""
    unset: Sequence[str] = ()
    """Names."""


def apply(body: dict[str, Any], changes: Changes, home: str) -> None:
    """Change a request in place. `home` is what `~` means on the host. Raises `UsageError`."""
    host = body["HostConfig"]
    if changes.image:
        body["Image"] = changes.image
    for target in changes.unmount:
        if not _unmount(body, target):
            raise UsageError(f"nothing is mounted at {target}.", hint="See: berth inspect")
    for mount in changes.mounts:
        source, target, options = _mount(mount)
        _unmount(body, target)
        if source == "~" or source.startswith("~/"):
            source = home + source[1:]
        host["Binds"].append(":".join(part for part in (source, target, options) if part))
    bindings = dict(host.get("PortBindings") or {})
    for spec in changes.unpublish:
        if bindings.pop(_inside(spec), None) is None:
            raise UsageError(f"port {spec} is not published.", hint="Name the port inside: 8888 or 8888/udp.")
    for spec in changes.publish:
        inside, binding = port(spec)
        bindings[inside] = [*bindings.get(inside, ()), binding]
        body.setdefault("ExposedPorts", {})[inside] = {}
    host["PortBindings"] = bindings
    _environment(body, changes)


def _environment(body: dict[str, Any], changes: Changes) -> None:
    """NAME=VALUE pairs are set; a name alone takes the variable away, also the image's."""
    pairs = {pair.partition("=")[0]: pair for pair in body.get("Env") or ()}
    for name in changes.unset:
        pairs[name] = name
    for pair in changes.env:
        name, equals, _ = pair.partition("=")
        if not equals or not _ENV_NAME.fullmatch(name):
            raise UsageError(f"{pair!r} is not NAME=VALUE.")
        pairs[name] = pair
    body["Env"] = list(pairs.values())


def give_gpus(body: dict[str, Any], host_config: Mapping[str, Any]) -> None:
    """Replace the GPUs of a request by those of another one's HostConfig; an empty one takes them away."""
    host = body["HostConfig"]
    host["DeviceRequests"] = [item for item in host.get("DeviceRequests") or () if not _is_gpu(item)] + list(
        host_config.get("DeviceRequests") or ()
    )
    host["Devices"] = [device for device in host.get("Devices") or () if not _is_gpu_device(device)] + list(
        host_config.get("Devices") or ()
    )
    for key in ("GroupAdd", "CapAdd", "SecurityOpt"):
        if host_config.get(key):
            host[key] = list(dict.fromkeys([*(host.get(key) or ()), *host_config[key]]))
    body["Env"] = [pair for pair in body.get("Env") or () if pair.partition("=")[0] not in _VISIBLE]


def _is_gpu(item: Mapping[str, Any]) -> bool:
    words = {word for group in item.get("Capabilities") or () for word in group}
    return "gpu" in words or item.get("Driver") in ("nvidia", "cdi", "amd")


def _is_gpu_device(device: Mapping[str, Any]) -> bool:
    path = str(device.get("PathOnHost", ""))
    return path.startswith(("/dev/kfd", "/dev/dri", "/dev/nvidia"))


def _mount(spec: str) -> tuple[str, str, str]:
    source, _, rest = spec.partition(":")
    target, colon, options = rest.partition(":")
    if (
        not (_VOLUME.fullmatch(source) or source.startswith("/") or source == "~" or source.startswith("~/"))
        or not target.startswith("/")
        or (colon and not _OPTIONS.fullmatch(options))
        or "\0" in spec
    ):
        raise UsageError(
            f"{spec!r} is not a mount.",
            hint="Write /path/on/host:/path/inside or volume:/path/inside, and :ro for read-only.",
        )
    return source, target, options


def _unmount(body: dict[str, Any], target: str) -> bool:
    """Take away whatever is mounted at a target; whether something was."""
    host = body["HostConfig"]
    target = target.rstrip("/") or "/"

    def other(where: Any) -> bool:
        return (str(where).rstrip("/") or "/") != target

    before = sum(len(host.get(key) or ()) for key in ("Binds", "Mounts", "Tmpfs"))
    host["Binds"] = [bind for bind in host.get("Binds") or () if other(target_of(bind))]
    if host.get("Mounts"):
        host["Mounts"] = [mount for mount in host["Mounts"] if other(mount.get("Target"))]
    if host.get("Tmpfs"):
        host["Tmpfs"] = {where: how for where, how in host["Tmpfs"].items() if other(where)}
    return before != sum(len(host.get(key) or ()) for key in ("Binds", "Mounts", "Tmpfs"))


def port(spec: str) -> tuple[str, dict[str, str]]:
    """`[address:]outside:inside[/protocol]` as the engine wants it. Without an address: 127.0.0.1.

    One number alone is the port on both sides, as in a context.
    """
    from ipaddress import ip_address

    ports, _, protocol = spec.partition("/")
    address, found, rest = ports.rpartition("]:")
    if found:
        address, ports = address.removeprefix("["), rest
    elif ports.count(":") == 2:
        address, _, ports = ports.partition(":")
    outside, _, inside = ports.partition(":")
    try:
        ip_address(address or "127.0.0.1")
        words = (outside, inside or outside)
        numbers = [int(word) if word.isascii() and word.isdigit() else 0 for word in words]
        if not all(0 < number < 65536 for number in numbers) or protocol not in ("", "tcp", "udp", "sctp"):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{spec!r} is not a port mapping.",
            hint="Write 8888, 8888:80, 0.0.0.0:8888:80 or 8888:80/udp; ports are 1-65535.",
        ) from None
    return f"{numbers[1]}/{protocol or 'tcp'}", {
        "HostIp": address or "127.0.0.1",
        "HostPort": str(numbers[0]),
    }


def _inside(spec: str) -> str:
    return spec if "/" in spec else f"{spec}/tcp"
