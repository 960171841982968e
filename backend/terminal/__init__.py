"""Give the user's terminal to a program on a host, byte for byte, and take it back whatever happens.

code = await run_terminal(terminal, access)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.terminal.process import Size, TerminalProcess

if TYPE_CHECKING:
    from backend.actions.context import Access, Terminal


async def run_terminal(terminal: Terminal, access: Access) -> int:
    """Run what an action answered in the terminal of this process; its exit code.

    Shows `terminal.before`, connects, hands over, restores the terminal. 128 + n where signal n ended it, 3
    where the link was lost (that is said, with the way back). Raises `HostError` where the host cannot be
    reached, and `UsageError` where this process has no terminal.
    """
    from backend.terminal.session import take_over

    return (await take_over(terminal, access)).code


__all__ = ["Size", "TerminalProcess", "run_terminal"]
