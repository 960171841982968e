"""Whose a job is: the person's own, or somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.model import JobRow


async def user_on(access: Access, host: str) -> str:
    """Who the person is on that host; empty where it cannot be told."""
    link = await access.link(host)
    done = await link.run(["id", "-un"], timeout=10.0)
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


async def is_mine(access: Access, row: JobRow) -> bool:
    """Whether the job is the person's own."""
    return bool(row.owner) and await user_on(access, row.host) == row.owner
