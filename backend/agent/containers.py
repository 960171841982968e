"""What an engine says about a container -> the wire's `Container`. Pure; input may be anything."""

from __future__ import annotations

from typing import Any

from . import grants
from .times import from_engine, rfc3339

TEXT_LIMIT = 4096
"""The wire's limit on one text."""
_COMMAND_LIMIT = 1000
_MANY = 1000
"""Ports, mounts, labels of one container; more would be an attack, not a container."""
_PERIOD = 100_000
"""The kernel's default CFS period in microseconds."""


class Entry:
    """A container: its wire form, and what the agent itself needs to watch it."""

    __slots__ = ("grant", "host_network", "pid", "wire")

    def __init__(self, wire: dict[str, Any], grant: grants.Request | None, host_network: bool) -> None:
        self.wire = wire
        self.grant = grant
        """Which GPUs it asked for; resolved to UUIDs whenever the host's GPUs are known."""
        self.host_network = host_network
        self.pid: int = wire.get("pid") or 0

    @property
    def running(self) -> bool:
        """Whether it has processes (paused ones too)."""
        return self.wire["state"] in ("running", "paused")


def listed(data: Any) -> Entry | None:
    """An entry of `/containers/json`: enough for a first row."""
    if not isinstance(data, dict) or not _text(data.get("Id")):
        return None
    names = _list(data.get("Names"))
    created = data.get("Created")
    wire = {
        "id": _text(data["Id"], 128),
        "name": _text(names[0] if names else "").lstrip("/"),
        "image": _text(data.get("Image")),
        "state": _state(data.get("State")),
        "image_id": _text(data.get("ImageID")),
        "command": _text(data.get("Command"), _COMMAND_LIMIT),
        "created_at": rfc3339(created) if isinstance(created, int) else from_engine(created),
        "ports": [port for port in map(_listed_port, _list(data.get("Ports"))) if port],
        "labels": _labels(data.get("Labels")),
        "networks": _names(_dict(data.get("NetworkSettings")).get("Networks")),
        "complete": False,
    }
    return Entry(wire, None, _dict(data.get("HostConfig")).get("NetworkMode") == "host")


def inspected(data: Any) -> Entry | None:
    """The answer of `/containers/ID/json`, without GPUs and owner, which depend on the host."""
    if not isinstance(data, dict) or not _text(data.get("Id")):
        return None
    state, config, host = (_dict(data.get(key)) for key in ("State", "Config", "HostConfig"))
    network = _dict(data.get("NetworkSettings"))
    status = _state(state.get("Status"))
    running = status in ("running", "paused", "restarting")
    ended = status in ("exited", "dead", "stopped")
    args = [data.get("Path"), *_list(data.get("Args"))]
    wire = {
        "id": _text(data["Id"], 128),
        "name": _text(data.get("Name")).lstrip("/"),
        "image": _text(config.get("Image")) or _text(data.get("ImageName")) or _text(data.get("Image")),
        "state": status,
        "image_id": _text(data.get("Image")),
        "command": " ".join(_text(arg, _COMMAND_LIMIT) for arg in args[:_MANY])[:_COMMAND_LIMIT],
        "user": _text(config.get("User")),
        "pid": _count(state.get("Pid")) or None,
        "created_at": from_engine(data.get("Created")),
        "started_at": from_engine(state.get("StartedAt")),
        "finished_at": None if running else from_engine(state.get("FinishedAt")),
        "exit_code": _int(state.get("ExitCode")) if ended else None,
        "health": _health(state),
        "oom_killed": state.get("OOMKilled") is True,
        "restarts": _count(data.get("RestartCount")),
        "ports": _ports(network.get("Ports")),
        "mounts": _mounts(data.get("Mounts"), host.get("Tmpfs")),
        "labels": _labels(config.get("Labels")),
        "networks": _names(network.get("Networks")),
        "cpu_limit": _cpu_limit(host),
        "cpuset": _text(host.get("CpusetCpus")),
    }
    return Entry(wire, grants.asked(host, config.get("Env")), host.get("NetworkMode") == "host")


def _state(value: Any) -> str:
    """Podman says `stopped` and `initialized` where Docker says exited and created."""
    text = _text(value, 32).lower()
    return {"stopped": "exited", "initialized": "created", "configured": "created"}.get(
        text, text
    ) or "created"


def _health(state: dict[str, Any]) -> str:
    health = _dict(state.get("Health") or state.get("Healthcheck"))
    status = _text(health.get("Status"), 32)
    return status if status in ("healthy", "unhealthy", "starting") else ""


def _cpu_limit(host: dict[str, Any]) -> float | None:
    nano, quota = _count(host.get("NanoCpus")), _count(host.get("CpuQuota"))
    if nano:
        return nano / 1e9
    return quota / (_count(host.get("CpuPeriod")) or _PERIOD) if quota else None


def _listed_port(data: Any) -> dict[str, Any] | None:
    port = _dict(data)
    private, public = _port(port.get("PrivatePort")), _port(port.get("PublicPort"))
    if private is None:
        return None
    return {
        "private": private,
        "protocol": _text(port.get("Type"), 16) or "tcp",
        "public": public or None,
        "address": _text(port.get("IP"), 64),
    }


def _ports(data: Any) -> list[dict[str, Any]]:
    """`{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": null}`."""
    out: list[dict[str, Any]] = []
    for key, bindings in _dict(data).items():
        number, _, protocol = str(key).partition("/")
        private = _port(number)
        if private is None:
            continue
        for binding in _list(bindings) or [{}]:
            one = _dict(binding)
            out.append(
                {
                    "private": private,
                    "protocol": _text(protocol, 16) or "tcp",
                    "public": _port(one.get("HostPort")) or None,
                    "address": _text(one.get("HostIp"), 64),
                }
            )
            if len(out) >= _MANY:
                return out
    return out


def _mounts(data: Any, tmpfs: Any) -> list[dict[str, Any]]:
    out = []
    for item in _list(data)[:_MANY]:
        mount = _dict(item)
        kind = _text(mount.get("Type"), 32) or "bind"
        source = _text(mount.get("Name")) if kind == "volume" else ""
        out.append(
            {
                "source": source or _text(mount.get("Source")),
                "target": _text(mount.get("Destination")),
                "kind": kind,
                "writable": mount.get("RW") is not False,
            }
        )
    for target in list(_dict(tmpfs))[:_MANY]:
        out.append({"source": "", "target": _text(target), "kind": "tmpfs", "writable": True})
    return out


def _labels(data: Any) -> dict[str, str]:
    return {_text(key): _text(value) for key, value in list(_dict(data).items())[:_MANY]}


def _names(data: Any) -> list[str]:
    return sorted(_text(key) for key in list(_dict(data))[:_MANY])


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any, limit: int = TEXT_LIMIT) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _count(value: Any) -> int:
    return max(0, _int(value) or 0)


def _port(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:
        value = int(value)
    number = _int(value)
    return number if number is not None and 0 <= number <= 65535 else None
