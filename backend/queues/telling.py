"""Ways to tell a person of a job who looks elsewhere: their terminal, their tmux, a command of theirs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping, Sequence

from backend import child
from backend.errors import ActionFailed
from backend.model import JobRow
from backend.queues.news import facts
from backend.text import printable

_LOG = logging.getLogger("berth.notify")
_STAY = "8000"
"""Milliseconds that tmux shows a message."""
_PATIENCE = 60.0
"""Seconds that a command may take."""
_AT_ONCE = 4
_WAITING = 200
"""Commands that run at a time, and that wait for that."""
_MESSAGE = 200
"""Characters that a terminal is given."""
_OSC9 = ("xterm-kitty", "xterm-ghostty", "wezterm")
_OSC777 = ("foot", "rxvt-unicode")
"""Beginnings of $TERM."""
_OSC9_PROGRAMS = ("iTerm.app", "iTerm2", "WezTerm", "ghostty")


def terminal_codes(text: str, environment: Mapping[str, str]) -> str:
    """What to write to the terminal: a message of its own where it is known to show some, else its bell.

    OSC 9 (iTerm2, WezTerm, kitty, ghostty) and OSC 777 (foot, urxvt) hand the text to the desktop. tmux
    passes none of them on; its bell marks the window.
    """
    said = printable(text, _MESSAGE).replace(";", ",")
    term = environment.get("TERM", "")
    programs = (environment.get("TERM_PROGRAM", ""), environment.get("LC_TERMINAL", ""))
    if environment.get("TMUX") or term.startswith(("tmux", "screen")):
        return "\a"
    if term.startswith(_OSC9) or any(program in _OSC9_PROGRAMS for program in programs):
        return f"\x1b]9;{said}\x1b\\"
    if term.startswith(_OSC777):
        return f"\x1b]777;notify;berth;{said}\x1b\\"
    return "\a"


def tmux_words(text: str) -> list[str]:
    """The command that shows a text in the status line of the tmux around us.

    tmux runs what stands in `#(...)` and expands `#{...}` and `%H` in messages: none of these gets there.
    """
    said = printable(text, _MESSAGE).replace("#", "\N{FULLWIDTH NUMBER SIGN}").replace("%", "%%")
    return ["tmux", "display-message", "-d", _STAY, "--", said]


async def in_tmux(text: str) -> None:
    """Show it in the status line of the tmux around us; nothing without one."""
    if os.environ.get("TMUX"):
        with contextlib.suppress(ActionFailed):
            await _run(tmux_words(text), {}, timeout=5.0)


class Command:
    """A command of the person's, run for each job: without a shell, told by its environment."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = list(argv)
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._count = 0

    async def tell(self, row: JobRow) -> None:
        """Run it, and wait for its end. Raises `ActionFailed`."""
        if not self._argv:
            return
        if self._count >= _AT_ONCE + _WAITING:
            _LOG.warning("too many jobs at once: the command was not run for %s/%s", row.host, row.id)
            return
        self._count += 1
        try:
            async with self._gate:
                await _run(self._argv, facts(row), timeout=_PATIENCE)
        finally:
            self._count -= 1


async def _run(argv: Sequence[str], more: Mapping[str, str], *, timeout: float) -> None:
    """Run a program of this machine; nothing of it is on the terminal."""
    try:
        ended = await child.run(*argv, limit=timeout, more=more, heard=False, alone=True)
    except TimeoutError:
        raise ActionFailed(f"{argv[0]} was ended: it took more than {timeout:.0f} s.") from None
    except OSError as error:
        raise ActionFailed(f"{argv[0]} cannot be run: {error.strerror or error}.") from None
    if ended.code:
        last = printable(ended.err.decode(errors="replace").strip()[-_MESSAGE:])
        raise ActionFailed(f"{argv[0]} failed (exit {ended.code}): {last or 'it said nothing'}")
