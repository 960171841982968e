"""What an engine holds: images, what containers wrote, volumes, build cache.

The engine counts, which may take it long. Its last answer is kept on this machine, to be shown with its age
while it counts again.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from backend import atomic
from backend.config.paths import cache_dir
from backend.disk.model import EngineUse, Sum, Used
from backend.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from backend.engine import EngineClient

LONGEST = 900.0
"""Seconds that an engine may count."""
_BUSY = "already running"
"""Docker counts for one at a time, and says so to the others."""
_AGAIN = 2.0
_LABELS = ("berth.owner", "owner", "user")
_HOME = re.compile(r"/home/([^/]{1,64})(?:/|\Z)")
_ENDED = ("exited", "dead", "created", "configured", "stopped", "initialized")
KINDS = ("image", "container", "volume", "cache")


async def ask(engine: EngineClient) -> EngineUse:
    """What the engine holds now. Raises `EngineError`, `HostError`; a cancel returns at once."""
    began = time.monotonic()
    while True:
        try:
            found = await engine.call("count what it holds", lambda lane: lane.df(), timeout=LONGEST)
            break
        except EngineError as error:
            if _BUSY not in str(error) or time.monotonic() - began > LONGEST:
                raise
            await asyncio.sleep(_AGAIN)
    use = read(engine.host, engine.kind, found, seconds=time.monotonic() - began)
    if engine.kind == "podman":  # which says nothing of labels and mounts here
        use = owned(use, await engine.containers())
    keep(use)
    return use


def owned(use: EngineUse, containers: Iterable[Any]) -> EngineUse:
    """The same with the owners that an engine's list of containers tells."""
    about = {_bare(each.get("Id")): each for each in containers if isinstance(each, dict)}
    items = []
    for each in use.items:
        found = about.get(each.id) if each.kind == "container" and each.owner is None else None
        if found is not None:
            each = replace(each, owner=_owner(_dict(found.get("Labels")), _list(found.get("Mounts"))))
        items.append(each)
    return replace(use, items=tuple(items))


def read(host: str, kind: str, found: Any, *, seconds: float = 0.0, now: datetime | None = None) -> EngineUse:
    """An engine's answer. What is not understood of it is left out: it is a host's text."""
    answer = found if isinstance(found, dict) else {}
    items: list[Used] = []
    for key, one in (("Images", _image), ("Containers", _container), ("Volumes", _volume)):
        items += [item for each in _list(answer.get(key)) if (item := one(each)) is not None]
    items += [item for each in _list(answer.get("BuildCache")) if (item := _cache(each)) is not None]
    layers = _count(answer.get("LayersSize"))
    if not layers:  # Podman does not say: what is not shared, and what is shared at least once
        images = [each for each in items if each.kind == "image"]
        layers = sum(each.size - (each.shared or 0) for each in images)
        layers += max((each.shared or 0 for each in images), default=0)
    return EngineUse(
        host=host,
        engine=kind,
        at=now or datetime.now(UTC),
        seconds=seconds,
        layers=layers,
        items=tuple(items),
    )


def sums(use: EngineUse) -> tuple[Sum, ...]:
    """All of each kind, with what could be had back."""
    found = []
    for kind in KINDS:
        items = [each for each in use.items if each.kind == kind]
        size = sum(each.size for each in items)
        back = sum(each.size - (each.shared or 0) for each in items if not each.in_use and not each.keep)
        if kind == "image":
            size = use.layers
        found.append(
            Sum(
                kind=kind,
                count=len(items),
                size=size,
                active=sum(each.in_use for each in items),
                reclaimable=min(back, size),
            )
        )
    return tuple(found)


def by_owner(items: Iterable[Used], owners: Mapping[str, str] | None = None) -> dict[str, tuple[int, int]]:
    """Bytes that containers wrote and how many containers there are, by owner; `""`: nobody knows whose."""
    found: dict[str, tuple[int, int]] = {}
    for each in items:
        if each.kind == "container":
            owner = (owners or {}).get(each.id) or each.owner or ""
            size, count = found.get(owner, (0, 0))
            found[owner] = (size + each.size, count + 1)
    return found


# ------------------------------------------------------------------------------------------------ reading


def _image(found: dict[str, Any]) -> Used | None:
    name = ", ".join(each for each in _texts(found.get("RepoTags")) if each != "<none>:<none>")
    if not name and isinstance(found.get("Repository"), str) and found["Repository"] not in ("", "<none>"):
        name = f"{found['Repository']}:{found.get('Tag', '')}".rstrip(":")
    shared = found.get("SharedSize")
    size = _count(found.get("Size"))
    return Used(
        kind="image",
        id=_bare(found.get("Id") or found.get("ImageID")),
        name=name or "<none>",
        size=size,
        shared=min(size, shared) if isinstance(shared, int) and shared >= 0 else None,
        in_use=_count(found.get("Containers")) > 0,
        created_at=_when(found.get("Created")),
    )


def _container(found: dict[str, Any]) -> Used | None:
    state = str(found.get("State") or "").lower()
    labels = _dict(found.get("Labels"))
    names = _texts(found.get("Names")) or [str(found.get("Names") or "")]
    return Used(
        kind="container",
        id=_bare(found.get("Id") or found.get("ContainerID")),
        name=names[0].lstrip("/"),
        size=_count(found.get("SizeRw")),
        in_use=state not in _ENDED,
        state=state,
        owner=_owner(labels, _list(found.get("Mounts"))),
        created_at=_when(found.get("Created")),
    )


def _volume(found: dict[str, Any]) -> Used | None:
    name = str(found.get("Name") or found.get("VolumeName") or "")
    usage = _dict(found.get("UsageData"))
    references = usage.get("RefCount", found.get("Links"))
    labels = _dict(found.get("Labels"))
    return Used(
        kind="volume",
        id=name,
        name=name,
        size=_count(usage.get("Size", found.get("Size"))),
        in_use=not isinstance(references, int) or references != 0,
        owner=_owner(labels, []),
        created_at=_when(found.get("CreatedAt")),
        anonymous="com.docker.volume.anonymous" in labels or bool(re.fullmatch("[0-9a-f]{64}", name)),
    )


def _cache(found: dict[str, Any]) -> Used | None:
    kind = str(found.get("Type") or "")
    parents = _texts(found.get("Parents")) or [
        each for each in [found.get("Parent")] if isinstance(each, str)
    ]
    return Used(
        kind="cache",
        id=str(found.get("ID") or ""),
        name=str(found.get("Description") or kind)[:200],
        size=_count(found.get("Size")),
        in_use=bool(found.get("InUse")),
        state=kind,
        created_at=_when(found.get("CreatedAt")),
        used_at=_when(found.get("LastUsedAt")),
        parents=tuple(each for each in parents if each),
        keep=bool(found.get("Shared")) or kind in ("internal", "frontend"),
    )


def _owner(labels: dict[str, Any], mounts: list[dict[str, Any]]) -> str | None:
    """As the agent finds it, by what the engine alone says: a label, or whose home is mounted."""
    for key in _LABELS:
        value = labels.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()[:64]
    folders = [labels.get("com.docker.compose.project.working_dir")]
    folders += [each.get("Source") for each in mounts if each.get("Type") == "bind"]
    for folder in folders:
        if isinstance(folder, str) and (match := _HOME.match(folder)):
            return match.group(1)
    return None


def _list(found: Any) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _texts(found: Any) -> list[str]:
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _count(found: Any) -> int:
    return max(0, found) if isinstance(found, int) else 0


def _bare(found: Any) -> str:
    return str(found or "").removeprefix("sha256:")


def _when(found: Any) -> datetime | None:
    from backend.agent.times import seconds_from_engine

    if isinstance(found, int | float) and found > 0:
        try:
            return datetime.fromtimestamp(found, UTC)
        except (OverflowError, OSError, ValueError):
            return None
    unix = seconds_from_engine(found)
    return datetime.fromtimestamp(unix, UTC) if unix else None


# ------------------------------------------------------------------------------------------------- kept


def _place(host: str) -> Path:
    return cache_dir() / "disk" / f"{host}.json"


def keep(use: EngineUse) -> None:
    """Remember an answer. Where that cannot be, nothing is remembered."""
    try:
        atomic.write(_place(use.host), msgspec.json.encode(use), durable=False)
    except (OSError, UnicodeEncodeError):
        return


def forget(host: str) -> None:
    """What was kept is not so any more."""
    with suppress(OSError):
        _place(host).unlink(missing_ok=True)


def kept(host: str) -> EngineUse | None:
    """The last answer of an engine, or None."""
    try:
        return msgspec.json.decode(_place(host).read_bytes(), type=EngineUse)
    except (OSError, msgspec.DecodeError, ValueError):
        return None
