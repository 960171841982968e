"""A terminal from inside the dashboard: in its place, or beside it in the tmux it runs in."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import ActionFailed, UsageError
from backend.text import printable
from backend.tmux import argument, session_stem

if TYPE_CHECKING:
    from textual.app import App

    from backend.actions import Access, Terminal
    from backend.config import Config
    from tui.ahead import Ahead

_PLACES = {
    "window": ("new-window",),
    "pane": ("split-window", "-h"),
    "popup": ("display-popup", "-E", "-w", "90%", "-h", "90%"),
}
_PLACES_SAID = ("BERTH_STATE_DIR", "BERTH_CACHE_DIR")
"""What moves berth's own places, beside its configuration."""


async def hand_over_in(
    app: App[Any], terminal: Terminal, access: Access, config: Config, ahead: Ahead | None = None
) -> int:
    """Run what an action answered where `settings.terminal` says; its exit code, 0 where it opened beside.

    What was typed `ahead` goes to what takes the dashboard's place.
    Returns when the dashboard is back as it was. Raises `ActionFailed` for what the user could not read
    because the dashboard came back over it (the container does not run, the link was lost), and `HostError`
    where the host cannot be reached.
    """
    place = config.settings.terminal
    inside_tmux = bool(os.environ.get("TMUX"))
    if place == "auto":
        place = "window" if inside_tmux and terminal.verb else "here"
    if place == "here":
        return await _here(app, terminal, access, ahead)
    if not inside_tmux:
        raise UsageError(
            f"a {place} needs tmux, and berth does not run in it.",
            hint="Set `terminal: auto` in settings.yaml, or start berth inside tmux.",
        )
    await _beside(_PLACES[place], terminal, config.directory)
    return 0


async def _here(app: App[Any], terminal: Terminal, access: Access, ahead: Ahead | None) -> int:
    """In the place of the dashboard, which sleeps meanwhile: it goes on following the fleet."""
    from textual.app import SuspendNotSupported

    from backend.terminal.handover import obey
    from backend.terminal.session import Visit

    failed: BaseException | None = None
    async with Visit(terminal, access) as visit:  # what cannot be reached is said without a flicker
        try:
            # No frame may be drawn meanwhile: they would pile up before the writer, which is stopped.
            with app.suspend(), app.batch_update():
                try:
                    if ahead is not None:
                        await visit.type_ahead(await ahead.take())
                    obey(await visit.take_over())
                except BaseException as error:
                    failed = error  # raised inside `suspend`, it would leave the dashboard asleep for good
        except SuspendNotSupported:
            raise UsageError(
                "shells cannot be opened in a browser.", hint=f"In a terminal: {shlex.join(terminal.verb)}"
            ) from None
        app.refresh(layout=True)
    if failed is not None:
        raise failed
    ended = visit.ended
    if ended.lost is not None:
        raise ActionFailed(f"the link to {terminal.host} was lost: {ended.lost}", hint=terminal.lost)
    if ended.code and (said := ended.last_words):
        raise ActionFailed(f"{terminal.title}: {said}")
    return ended.code


async def _beside(command: Sequence[str], terminal: Terminal, directory: Path) -> None:
    """`berth enter ...` in a new window of the tmux around us."""
    # The tmux server has an environment of its own: what berth needs of ours is said.
    places = [f"{name}={os.environ[name]}" for name in _PLACES_SAID if name in os.environ]
    program = ["env", f"BERTH_CONFIG_DIR={directory}", *places, sys.executable, "-P", "-m", "tui"]
    words = [argument(word) for word in (*program, *terminal.verb[1:])]
    name = [] if command[0] == "display-popup" else ["-n", session_stem(terminal.title)]
    if command[0] == "split-window":
        name = []
    child = await asyncio.create_subprocess_exec(
        "tmux",
        *command,
        *name,
        "--",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    said = (await child.communicate())[1].decode(errors="replace").strip()
    if child.returncode:
        raise ActionFailed(f"tmux: {printable(said, 200)}", hint="Set `terminal: here` in settings.yaml.")
