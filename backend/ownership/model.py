"""What is known of a watch over ownership."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from backend.text import printable


class OwnershipRow(Struct, frozen=True, kw_only=True):
    """`berth ownership list`: some folders of a host, and who they belong to."""

    id: str
    host: str
    folders: tuple[str, ...]
    owner: str
    """Name; `keep`: nobody's business."""
    group: str
    mode: str
    """Changes of modes, as chmod writes them; empty: none."""
    state: str
    """`watching`, `sampling` (everything is looked at now and then), `ended`."""
    watched: int = 0
    """Folders that tell by themselves what happens in them."""
    changed: int = 0
    """What was set right since it began."""
    left: int = 0
    """What is not as it should be and was left so at the last look."""
    why: tuple[str, ...] = ()
    """Why, the most frequent reason first, with how often."""
    latest: tuple[str, ...] = ()
    """Paths that were set right last."""
    since: datetime | None = None
    seen_at: datetime | None = None
    """When it told last."""
    error: str | None = None
    """Why it ended."""

    @property
    def name(self) -> str:
        """Its number; with the host it names it."""
        return self.id

    @property
    def wanted(self) -> str:
        """`alice:docker g+rwX`."""
        return f"{self.owner}:{self.group} {self.mode}".strip()


def row(host: str, told: dict[str, Any]) -> OwnershipRow:
    """What a host says of a watch. Raises `KeyError`, `TypeError`, `ValueError` for what cannot be."""
    order, status = told["order"], told["status"]
    left = counted(status)
    ended = told.get("ended")
    return OwnershipRow(
        id=printable(str(told["id"]), 20),
        host=host,
        folders=tuple(printable(str(each["path"]), 400) for each in order["folders"]),
        owner=printable(str(order["owner"]), 60),
        group=printable(str(order["group"]), 60),
        mode=printable(str(order["mode"]), 60),
        state="ended" if ended else "sampling" if status.get("sampling") else "watching",
        watched=int(status["folders"]),
        changed=int(status["changed"]),
        left=sum(count for _, count in left),
        why=tuple(f"{count:,}: {why}" for why, count in left),
        latest=tuple(printable(str(each), 400) for each in status["samples"][-10:]),
        since=_time(told.get("since")),
        seen_at=_time(status.get("at")),
        error=printable(str(ended), 300) if ended else None,
    )


def counted(status: dict[str, Any]) -> list[tuple[str, int]]:
    """What was left as it is, by why, the most frequent first."""
    found = [(printable(str(why), 120), int(count)) for why, count in dict(status["left"]).items()]
    return sorted(found, key=lambda each: -each[1])


def _time(value: Any) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(float(value), UTC)
