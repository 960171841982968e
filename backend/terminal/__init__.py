"""Give the user's terminal to a program on a host, byte for byte, and take it back whatever happens.

code = await run_terminal(terminal, access)
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from backend.errors import BerthError
from backend.terminal.process import Size, TerminalProcess
from backend.text import printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backend.actions.context import Access, Terminal


async def run_terminal(terminal: Terminal, access: Access) -> int:
    """Run what an action answered in the terminal of this process; its exit code.

    Shows `terminal.before`, connects, hands over, restores the terminal. 128 + n where signal n ended it, 3
    where the link was lost (that is said, with the way back). Raises `HostError` where the host cannot be
    reached, and `UsageError` where this process has no terminal.
    """
    from backend.terminal.session import take_over

    ended = await take_over(terminal, access)
    if terminal.after is not None and ended.lost is None:
        await _say_after(terminal.after, access)
    return ended.code


async def _say_after(after: Callable[[Access], Awaitable[str]], access: Access) -> None:
    """On a line of its own: what was left may have left the cursor anywhere."""
    with contextlib.suppress(BerthError):
        if said := await after(access):
            print(f"\nberth: {printable(said)}", file=sys.stderr, flush=True)


__all__ = ["Size", "TerminalProcess", "run_terminal"]
