"""One visit of another terminal, from the lines before it to the way back after a lost link."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from backend.terminal.handover import Ended, hand_over, obey
from backend.terminal.lostvisits import lose
from backend.terminal.tty import Tty
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access, Terminal
    from backend.terminal.process import TerminalProcess

_TITLE = "\x1b[22;0t\x1b]2;%s\x07"
_POP_TITLE = b"\x1b[23;0t"


class Visit:
    """`async with Visit(terminal, access) as visit: await visit.take_over()`.

    Entering starts the program on its host, where it gets ready while a dashboard makes room for it. Raises
    `UsageError` where this process has no terminal, and `HostError` where the host cannot be reached.
    """

    def __init__(self, terminal: Terminal, access: Access) -> None:
        self._terminal = terminal
        self._access = access
        self._tty = Tty()
        self._process: TerminalProcess | None = None
        self.ended = Ended(1)
        """How it came back, after `take_over`."""

    async def __aenter__(self) -> Self:
        try:
            link = await self._access.link(self._terminal.host)
            from backend.link.terminal import environment, open_terminal

            self._process = await open_terminal(
                link,
                self._terminal.argv,
                term=os.environ.get("TERM") or "xterm-256color",
                size=self._tty.size(),
                env=environment(),
            )
        except BaseException:
            self._tty.close()
            raise
        return self

    async def type_ahead(self, data: bytes) -> None:
        """Type something for whoever sits before our terminal: it was typed ahead."""
        assert self._process is not None
        if data:
            await self._process.write(data)

    async def take_over(self) -> Ended:
        """Give our terminal to it, until one of them ends."""
        assert self._process is not None
        tty, terminal = self._tty, self._terminal
        tty.write_now(_greeting(terminal))
        try:
            self.ended = await hand_over(self._process, tty)
        finally:
            tty.write_now(_POP_TITLE)
        if self.ended.lost is not None:
            if terminal.visit:
                lose(terminal.visit)
            tty.write_now(_farewell(terminal, self.ended.lost.message))
        return self.ended

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            assert self._process is not None
            await self._process.close()
        finally:
            self._tty.close()


async def take_over(terminal: Terminal, access: Access) -> Ended:
    """Run it in our terminal."""
    async with Visit(terminal, access) as visit:
        ended = await visit.take_over()
    obey(ended)
    return ended


def _greeting(terminal: Terminal) -> bytes:
    lines = "".join(f"{printable(line)}\r\n" for line in terminal.before)
    return (lines + _TITLE % printable(terminal.title, 80)).encode()


def _farewell(terminal: Terminal, why: str) -> bytes:
    lines = [f"The link to {terminal.host} was lost: {why}", terminal.lost]
    return b"".join(b"berth: " + printable(line).encode() + b"\n" for line in lines if line)
