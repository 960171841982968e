"""What a host's lines add up to: pure functions from sections to the next snapshot."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

from msgspec.structs import replace

from backend import text
from backend.config import HostConfig
from backend.errors import BerthError, HostKeyUnknown
from backend.model import (
    Disk,
    Engine,
    EngineState,
    GpuReport,
    HostSnapshot,
    HostState,
    Problem,
    Usage,
)
from backend.wire import Fault, Section

_FIELDS = {
    "hello": "hello",
    "host": "stats",
    "disk": "disks",
    "engine": "engine",
    "gpus": "gpu_report",
    "topology": "topology",
    "processes": "processes",
    "containers": "containers",
    "tmux": "sessions",
    "jobs": "queue",
    "images": "images",
}
"""Section to the field of the snapshot that it replaces."""
AGAIN = "It is tried again by itself."
"""The hint for what is over without anybody doing anything; true for as long as somebody watches."""
_LOW_DISK = 1024**3
"""Bytes free below which a disk counts as full..."""
_BIG_DISK = 20 * 1024**3
"""... if it is at least this large; a small one may be meant to be small."""

_ENGINE_TITLES = {
    EngineState.HUNG: "Engine hangs",
    EngineState.DENIED: "Engine denied",
    EngineState.DOWN: "Engine down",
    EngineState.MISSING: "No engine",
}
_ENGINE_HINTS = {
    EngineState.HUNG: "Look at its log there (journalctl -u docker), restart it if it stays so.",
    EngineState.DENIED: "Join its socket's group there: sudo usermod -aG docker $USER, then log in again.",
    EngineState.DOWN: "Start it there: sudo systemctl start docker.",
    EngineState.MISSING: "Install Docker or Podman there, or set `engine: none` for this host.",
}

_ROLES = {"engine": "the engine's data", "home": "your home", "root": "the system"}
_DISK_HINTS = {
    "engine": "`berth disk {0}` shows what holds it, `berth disk prune {0}` removes what nothing uses.",
    "": "`berth disk top {0} --path {1}` shows what holds it.",
}


def blank(host: HostConfig) -> HostSnapshot:
    """A host before anything is known of it."""
    return HostSnapshot(
        name=host.name,
        address="local" if host.local else host.host,
        state=HostState.SKIPPED if host.skip else HostState.CONNECTING,
        tags=host.tags,
        comment=host.comment,
        type=host.type,
        read_only=host.read_only,
    )


def moment(unix: float | None = None) -> datetime:
    """Now, or `unix`, as an aware datetime in UTC."""
    return datetime.fromtimestamp(time.time() if unix is None else unix, UTC)


def add(snapshot: HostSnapshot, section: Section) -> HostSnapshot:
    """The snapshot with the section's data in it. Its state, revision and warnings are the caller's."""
    if section.data is None:
        return snapshot
    if section.name not in snapshot.told:
        snapshot = replace(snapshot, told=snapshot.told | {section.name})
    if section.name == "usage":
        usage = {each.id: each for each in cast("tuple[Usage, ...]", section.data)}
        return replace(snapshot, usage=usage)
    field = _FIELDS.get(section.name)
    if field is None:
        return snapshot
    changes: dict[str, Any] = {field: section.data}
    return replace(snapshot, **changes)


def warnings(host: HostConfig, snapshot: HostSnapshot, extra: Iterable[Problem]) -> tuple[Problem, ...]:
    """What is not well on a host that is up: from its data, then `extra` of whoever watches it."""
    found: list[Problem] = []
    if snapshot.engine is not None and (problem := engine_problem(host, snapshot.engine)):
        found.append(problem)
    if snapshot.gpu_report is not None and (problem := gpu_problem(host, snapshot.gpu_report)):
        found.append(problem)
    found.extend(disk_problems(host, snapshot.disks))
    found.extend(extra)
    return tuple(found)


def engine_problem(host: HostConfig, engine: Engine) -> Problem | None:
    """Why the engine is not of use, or None. No engine at all is no problem on this machine."""
    title = _ENGINE_TITLES.get(engine.state)
    if title is None or (host.local and engine.state is EngineState.MISSING and host.engine == "auto"):
        return None
    if engine.kind and engine.state is EngineState.MISSING:
        title = _ENGINE_TITLES[EngineState.DOWN]  # it was there before
    name = engine.kind or "the engine"
    plain = {
        EngineState.HUNG: f"{name} on {host.name} does not answer.",
        EngineState.DENIED: f"{name} on {host.name} does not let us use its socket {engine.socket}.",
        EngineState.DOWN: f"{name} on {host.name} is not running.",
        EngineState.MISSING: f"{host.name} has neither Docker nor Podman.",
    }[engine.state]
    return Problem(title, engine.error or plain, engine.hint or _ENGINE_HINTS[engine.state])


def gpu_problem(host: HostConfig, report: GpuReport) -> Problem | None:
    """What is wrong with the driver or with single GPUs, or None."""
    if report.error:
        return Problem("GPU driver", f"{host.name}: {report.error}", report.hint)
    broken = [gpu for gpu in report.gpus if gpu.error]
    if not broken:
        return None
    which = ", ".join(f"GPU {gpu.index}: {gpu.error}" for gpu in broken[:4])
    more = f" and {len(broken) - 4} more" if len(broken) > 4 else ""
    return Problem(
        "GPU fails", f"{host.name}: {which}{more}", "Look at dmesg there (Xid); a reset or a reboot may help."
    )


def disk_problems(host: HostConfig, disks: Iterable[Disk]) -> list[Problem]:
    """One problem for each file system that is full or nearly so: `disk_full` of hosts.yaml says when."""
    found: dict[str, Problem] = {}
    for disk in disks:
        usable = disk.used + disk.free
        full = usable > 0 and disk.free * 100 <= usable * (100 - host.disk_full)
        if not full and not (disk.free < _LOW_DISK and disk.total >= _BIG_DISK):
            continue
        what = _ROLES.get(disk.role, disk.role)
        left = f"{text.size(disk.free)} left of {text.size(disk.total)}"
        message = f"{disk.mount} on {host.name} ({what}) has {left}."
        hint = _DISK_HINTS.get(disk.role, _DISK_HINTS[""]).format(host.name, disk.mount)
        found.setdefault(disk.mount, Problem("Disk full", message, hint))
    return list(found.values())


def fault_problem(host: HostConfig, fault: Fault) -> Problem:
    """A probe of the agent that failed."""
    return Problem(
        "Probe failed",
        f"{fault.where} on {host.name}: {fault.message}",
        "The rest of the host is shown; this part comes back by itself once it can be read.",
    )


def unwatched(snapshot: HostSnapshot) -> Problem | None:
    """Why nothing but the containers of a host is known, or None."""
    if snapshot.state is not HostState.UP or snapshot.hello is not None:
        return None
    from backend.shipping import NoPython  # what is known from last time is shown before it is needed

    return next((each for each in snapshot.warnings if each.title == NoPython.title), None)


def problem(error: BerthError) -> Problem:
    """An error as it stands in a snapshot."""
    if isinstance(error, HostKeyUnknown):
        return Problem(error.title, error.message, error.hint, error.fingerprint, error.key)
    return Problem(error.title, error.message, error.hint)
