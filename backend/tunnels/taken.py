"""Why a port of this machine is not to be had, and what to do about it."""

from __future__ import annotations

import errno
import os

from backend.errors import ActionFailed
from backend.tunnels import book
from backend.tunnels.listener import ADDRESS

_OTHER = "Name another one, or none: then a free one is chosen."


def refusal(port: int, error: OSError) -> ActionFailed:
    """What to say where nobody can listen on the port that was asked for."""
    if error.errno == errno.EADDRINUSE:
        for _, entry in book.entries():
            for row in entry.tunnels:
                if row.address == f"{ADDRESS}:{port}":
                    leads = f"{row.service} on {row.host}"
                    return ActionFailed(
                        f"port {port} of this machine is that of tunnel {row.id}, to {leads}.",
                        hint=f"{_OTHER} To end that one: berth tunnel stop {row.id}",
                    )
        return ActionFailed(
            f"port {port} of this machine is taken.",
            hint=f"{_OTHER} Who has it, says: lsof -i :{port}",
        )
    if error.errno == errno.EACCES:
        return ActionFailed(f"port {port} of this machine is for root only.", hint=_OTHER)
    why = os.strerror(error.errno) if error.errno else str(error)
    return ActionFailed(f"port {port} of this machine cannot be used: {why}.", hint=_OTHER)
