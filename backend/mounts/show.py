"""`berth mounts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend.listoutput import Output
from backend.mounts.model import STALE, MountRow
from backend.mounts.records import rows as look
from backend.text import size, sizes

if TYPE_CHECKING:
    from backend.access import StandaloneAccess
    from backend.tables import Col

_EMPTY = "nothing is mounted: berth mount HOST[:PATH] [DIR]."


def columns() -> Sequence[Col]:
    """How people see it."""
    from backend.tables import Col

    return (
        Col("ID", lambda row: row.id),
        Col("HOST", lambda row: row.host, flex=True),
        Col("PATH", lambda row: row.path or "~", flex=True),
        Col("FOLDER", lambda row: row.folder, flex=True, least=16),
        Col("STATE", lambda row: row.state.value, _style),
        Col("USED", lambda row: sizes(row.used, row.total) if row.total else None, right=True, rank=2),
        Col("SINCE", lambda row: f"{row.since.astimezone():%Y-%m-%d %H:%M}" if row.since else None, rank=3),
        Col("MAY", lambda row: "read" if row.read_only else "read, write", rank=4),
    )


def _style(row: MountRow) -> str:
    return "bad" if row.state in STALE else "good"


async def mounts(access: StandaloneAccess, rows: Sequence[Any], *, json: bool = False) -> int:
    """Print the list; the exit code."""
    found = await look()
    Output(columns, _EMPTY, json=json, watch=False).write(found, complaints(found))
    return 0


def complaints(found: Sequence[MountRow]) -> list[str]:
    """What is to be done about those that do not answer."""
    broken = [row for row in found if row.state in STALE]
    return [
        f"{row.folder}: {row.state.value}. "
        + (
            "It comes back with the link; or end it:"
            if row.state is STALE[0]
            else "Its sshfs is gone; end it:"
        )
        + f" berth umount {row.id}"
        for row in broken
    ]


def told(row: MountRow) -> str:
    """One in a line."""
    room = f", {size(row.used)} of {size(row.total)} used" if row.total else ""
    return f"{row.id}  {row.state.value}  {row.name} on {row.folder}{room}"


def page(found: Sequence[MountRow]) -> list[str]:
    """All of them as lines."""
    return [*map(told, found), *complaints(found)] or [_EMPTY]
