"""Containers in the words of `docker ps`, which people know by heart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from backend.model import Container, Port


def status(container: Container, now: datetime) -> str:
    """The state in `docker ps`'s words."""
    state = container.state
    since = container.started_at if state in ("running", "paused") else container.finished_at
    ago = human_duration((now - since).total_seconds()) if since else ""
    if state in ("running", "paused"):
        note = "Paused" if state == "paused" else container.health
        note = "health: starting" if note == "starting" else note
        return " ".join(part for part in ("Up", ago, f"({note})" if note else "") if part)
    if state in ("exited", "restarting"):
        code = f"({container.exit_code})" if container.exit_code is not None else ""
        return " ".join(part for part in (state.capitalize(), code, f"{ago} ago" if ago else "") if part)
    return "Removal In Progress" if state == "removing" else state.capitalize()


_SPANS = (
    (60, 1, "Less than a second", "second"),
    (3600, 60, "About a minute", "minute"),
    (48 * 3600, 3600, "About an hour", "hour"),
    (14 * 86400, 86400, "", "day"),
    (60 * 86400, 7 * 86400, "", "week"),
    (730 * 86400, 30 * 86400, "", "month"),
    (float("inf"), 365 * 86400, "", "year"),
)


def human_duration(seconds: float) -> str:
    """`3 hours`, `About a minute`: the words of `docker ps` (HumanDuration of go-units)."""
    if seconds < 1:
        return "Less than a second"
    for below, unit, one, name in _SPANS:
        if seconds < below:
            count = int(seconds / unit + 0.5) if name == "hour" else int(seconds // unit)
            if count == 1 and name in ("minute", "hour"):
                return one
            return f"{count} {name}{'' if count == 1 else 's'}"
    return ""


def ports(found: Sequence[Port]) -> tuple[str, ...]:
    """Ports as `docker ps` writes them, published ones first, in a stable order."""
    ordered = sorted(found, key=_order)
    return tuple(dict.fromkeys(_port(port) for port in ordered))


def _order(port: Port) -> tuple[bool, int, int, str]:
    return port.public is None, port.public or 0, port.private, port.address


def _port(port: Port) -> str:
    inside = f"{port.private}/{port.protocol}"
    if port.public is None:
        return inside
    address = f"[{port.address}]" if ":" in port.address else port.address
    return f"{address}:{port.public}->{inside}" if address else f"{port.public}->{inside}"
