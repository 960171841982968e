"""What the last fleet saw, kept on disk: a dashboard shows it at once, called stale, while it connects."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from backend import atomic
from backend.config import HostConfig, state_dir
from backend.model import FleetState, HostSnapshot, HostState
from backend.picture import blank

VERSION = 1
"""Of the file's format; another one is ignored."""
SAVE_EVERY = 30.0
"""Seconds between two saves."""
MAX_BYTES = 32 * 1024 * 1024
"""A larger file is neither written nor read."""


class _Saved(Struct, frozen=True):
    version: int
    hosts: dict[str, HostSnapshot]


def path() -> Path:
    """The file, in berth's state directory."""
    return state_dir() / "fleet.msgpack"


def save(state: FleetState) -> None:
    """Write what hosts showed, atomically and for our eyes only. A disk that refuses is no error."""
    hosts = {
        name: replace(
            host,
            error=None,
            warnings=(),
            retry_at=None,
            usage=dict(host.usage),
            images=None,  # they are many, and asked for anew where somebody wants to see them
            told=host.told - {"images"},
        )
        for name, host in state.hosts.items()
        if host.seen_at is not None
    }
    data = msgspec.msgpack.encode(_Saved(VERSION, hosts))
    if not hosts or len(data) > MAX_BYTES:
        return
    with contextlib.suppress(OSError):
        atomic.write(path(), data, durable=False)


def load() -> dict[str, HostSnapshot]:
    """The snapshots of last time by name; nothing from a file that is missing, older or damaged."""
    try:
        if path().stat().st_size > MAX_BYTES:
            return {}
        saved = msgspec.msgpack.decode(path().read_bytes(), type=_Saved)
    except (OSError, msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return {}
    return saved.hosts if saved.version == VERSION else {}


def start(host: HostConfig, known: dict[str, HostSnapshot]) -> HostSnapshot:
    """What a host shows until it is connected: the data of last time, if it is still the same machine."""
    fresh = blank(host)
    old = known.get(host.name)
    if old is None or old.address != fresh.address or old.name != fresh.name:
        return fresh
    return replace(
        old,
        state=HostState.SKIPPED if host.skip else HostState.CONNECTING,
        tags=fresh.tags,
        comment=fresh.comment,
        type=fresh.type,
        read_only=fresh.read_only,
        latency_ms=None,
        revision=0,
    )
