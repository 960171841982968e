"""What an engine says about its images -> the wire's `Image`. Pure; input may be anything."""

from __future__ import annotations

from typing import Any

from .times import from_engine, rfc3339

TEXT_LIMIT = 4096
"""The wire's limit on one text."""
MANY = 10_000
"""Images of one host; more would be an attack, not a host."""
_NAMES = 200
_LABELS = 200
_NONE = ("<none>:<none>", "<none>@<none>")
"""How Docker writes that an image has no name; Podman writes an empty list."""


def listed(data: Any, podman: bool = False) -> dict[str, Any] | None:
    """An entry of `/images/json`; None for what is none."""
    if not isinstance(data, dict) or not _text(data.get("Id")):
        return None
    created = data.get("Created")
    wire: dict[str, Any] = {
        "id": _text(data["Id"], 128),
        "tags": _names(data.get("RepoTags")),
        "digests": _names(data.get("RepoDigests")),
        "size": _count(data.get("Size")),
        # Docker says -1 where it did not count, Podman always 0
        "shared_size": None if podman else _shared(data.get("SharedSize")),
        "created_at": rfc3339(created) if isinstance(created, int) else from_engine(created),
        "labels": _labels(data.get("Labels")),
    }
    return {key: value for key, value in wire.items() if key == "id" or value or value == 0}


def wire(data: Any, podman: bool = False) -> list[dict[str, Any]]:
    """The answer of `/images/json`: its images that make sense, in the engine's order."""
    found = (listed(each, podman) for each in (data if isinstance(data, list) else [])[:MANY])
    return [each for each in found if each is not None]


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shared(value: Any) -> int | None:
    return value if _is_number(value) and 0 <= value < 2**63 else None


def _count(value: Any) -> int | None:
    return value if _is_number(value) and 0 <= value < 2**63 else None


def _names(data: Any) -> list[str]:
    names = data if isinstance(data, list) else []
    return [_text(name) for name in names[:_NAMES] if _text(name) and name not in _NONE]


def _labels(data: Any) -> dict[str, str]:
    items = list(data.items())[:_LABELS] if isinstance(data, dict) else []
    return {_text(key): _text(value) for key, value in items}


def _text(value: Any, limit: int = TEXT_LIMIT) -> str:
    return value[:limit] if isinstance(value, str) else ""
