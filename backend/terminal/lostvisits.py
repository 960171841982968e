"""Visits whose link was lost, so that entering again goes back to the same shell.

A host learns late, if ever, that a link is gone: to its tmux somebody still looks at the session. So each
session is marked with the visit that looked at it last, and lost visits are remembered here.
"""

from __future__ import annotations

import contextlib
import os

from backend import atomic
from backend.config.paths import state_dir

_FILE = "lost-visits"
_KEPT = 16


def new_visit() -> str:
    """A word that no other visit has."""
    return os.urandom(8).hex()


def lost_visits() -> list[str]:
    """The last that were lost, of all berths of this user on this machine."""
    try:
        return (state_dir() / _FILE).read_text(encoding="ascii").split()[-_KEPT:]
    except (OSError, UnicodeDecodeError):
        return []


def lose(visit: str) -> None:
    """Remember that its link was lost. A file that cannot be written costs the way back, no more."""
    with contextlib.suppress(OSError):
        atomic.write(state_dir() / _FILE, "\n".join([*lost_visits()[1 - _KEPT :], visit]), durable=False)
