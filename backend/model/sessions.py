"""tmux sessions: what a server says of them, and their row."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from backend.model.base import Count, Moment, Short


class TmuxPane(Struct, frozen=True, gc=False):
    """A pane of a tmux window."""

    id: Short
    """tmux's `%N`."""
    window: Count
    window_name: Short
    index: Count
    command: Short
    title: Short = ""
    path: Short = ""
    pid: Count | None = None
    active: bool = False
    dead: bool = False
    width: Count = 0
    height: Count = 0


class TmuxSession(Struct, frozen=True, gc=False):
    """One entry of section `tmux` (a list)."""

    id: Short
    """tmux's `$N`."""
    name: Short
    user: Short
    socket: Short
    attached: Count
    """How many clients look at it."""
    windows: Count
    created_at: Moment | None = None
    activity_at: Moment | None = None
    panes: tuple[TmuxPane, ...] = ()


class SessionRow(Struct, frozen=True, kw_only=True, gc=False):
    """`berth sessions`."""

    host: str
    id: str
    name: str
    user: str
    attached: int
    windows: int
    created_at: datetime | None
    activity_at: datetime | None
    commands: tuple[str, ...]
    """What runs in its panes."""
    context: str | None = None
    socket: str = ""
    panes: tuple[TmuxPane, ...] = ()
    stale: bool = False

    @property
    def running(self) -> str:
        """What runs in its panes, for a sentence."""
        return ", ".join(self.commands) or "nothing"
