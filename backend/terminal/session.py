"""One visit of another terminal, from the lines before it to the way back after a lost link."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from backend.terminal.handover import Ended, hand_over, obey
from backend.terminal.tty import Tty
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access, Terminal

_PUSH_TITLE = "\x1b[22;0t\x1b]2;%s\x07"
_POP_TITLE = b"\x1b[23;0t"
_OURS = b"berth: "
"""What our own script on a host says starts with this."""


async def take_over(terminal: Terminal, access: Access) -> Ended:
    """Run it in our terminal. Raises `UsageError` without one, and `HostError` where nothing began."""
    tty = Tty()
    try:
        link = await access.link(terminal.host)
        from backend.link.terminal import environment, open_terminal

        process = await open_terminal(
            link,
            terminal.argv,
            term=os.environ.get("TERM") or "xterm-256color",
            size=tty.size(),
            env=environment(),
        )
        try:
            tty.write_now(_greeting(terminal))
            try:
                ended = await hand_over(process, tty)
            finally:
                tty.write_now(_POP_TITLE)
            if ended.lost is not None:
                tty.write_now(_farewell(terminal, str(ended.lost)))
        finally:
            await process.close()
    finally:
        tty.close()
    obey(ended)
    return ended


def _greeting(terminal: Terminal) -> bytes:
    lines = "".join(f"{printable(line)}\r\n" for line in terminal.before)
    return (lines + _PUSH_TITLE % printable(terminal.title, 80)).encode()


def _farewell(terminal: Terminal, why: str) -> bytes:
    lines = [f"The link to {terminal.host} was lost: {why}", terminal.lost]
    return b"".join(b"berth: " + printable(line).encode() + b"\r\n" for line in lines if line)


def last_words(ended: Ended) -> str:
    """What our script on the host said at the end, for whoever hides the screen it was said on."""
    lines = [line for line in ended.tail.splitlines() if line.startswith(_OURS)]
    return printable(lines[-1][len(_OURS) :].decode(errors="replace")) if lines else ""
