"""What the dashboard does as tunnels open, and as contexts come up that want some."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.runs import Run
    from tui.app import BerthApp

HOLDING = frozenset({"tunnel", "tunnel-context", "tunnel-container", "tunnel-host", "open-port"})
_told: dict[str, set[str]] = {}
"""Of each run that goes on: the notes whose address was told."""
_waiting: dict[str, tuple[str, float]] = {}
"""Of each run that goes on: the last line that was told while it had no address yet, and when."""
_PAUSE = 30.0
"""Seconds between two of those: a service that starts slowly says it every few seconds, all in its output."""


def follow(app: BerthApp, run: Run) -> None:
    """Tell of addresses as they come; open the tunnels of a context that has come up."""
    if run.state != "running":
        _told.pop(run.id, None)
        _waiting.pop(run.id, None)
    elif run.action.name in HOLDING:
        if run.output and not run.notes:
            last, at = _waiting.get(run.id, ("", -math.inf))
            if run.output[-1] != last and time.monotonic() - at >= _PAUSE:
                _waiting[run.id] = (run.output[-1], time.monotonic())
                app.notify(printable(run.output[-1], 200), title="Tunnel", markup=False)
        for key, address in run.notes.items():
            told = _told.setdefault(run.id, set())
            if key.startswith("address") and key not in told:
                told.add(key)
                what = key.removeprefix("address").strip() or ", ".join(run.options.get("services") or ())
                of = f"{what} of {run.row().target}" if what else run.row().target
                app.notify(
                    f"{printable(of, 80)} is at {address}\n9 lists tunnels, b there opens the browser",
                    title="Tunnel",
                    markup=False,
                )
    if run.action.name == "up" and run.state == "done":
        _open_wanted(app, run)


def _open_wanted(app: BerthApp, run: Run) -> None:
    """What `tunnels:` of the context says, unless it is held already."""
    if app.doing is None:
        return
    context = next((each for each in app.config.contexts if each.name == run.target.name), None)
    if context is None or not context.tunnels:
        return
    for other in app.doing.runs.runs:
        if (
            other.state == "running"
            and other.action.name == "tunnel-context"
            and other.target.name == context.name
        ):
            return
    app.doing.begin("tunnel-context", {"services": context.tunnels}, run.target)
