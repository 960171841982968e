"""Copy bytes between our terminal and a program on a pty until one of them ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from backend.errors import HostError
from backend.terminal.modes import Modes
from backend.terminal.process import TerminalProcess
from backend.terminal.tty import Gone, Tty
from backend.text import printable

_TAIL = 4096
_OURS = "berth: "
"""What our own script on a host says starts with this."""
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ended:
    """How a terminal that was handed over came back."""

    code: int
    """Exit code; 128 + n where signal n ended it."""
    lost: HostError | None = None
    """The link was lost, and why."""
    tail: bytes = b""
    """The last few KB it printed."""
    signal: signal.Signals | None = None
    """This process was told to end meanwhile."""

    @property
    def last_words(self) -> str:
        """What our script on the host said at the end, for whoever hides the screen it was said on."""
        lines = map(printable, self.tail.decode(errors="replace").splitlines())
        return next((line[len(_OURS) :] for line in reversed([*lines]) if line.startswith(_OURS)), "")


async def hand_over(process: TerminalProcess, tty: Tty) -> Ended:
    """Give our terminal to `process`; it is as it was when this returns or raises.

    Nothing is held back, read ahead or interpreted: the terminal is read while the program reads, the program
    while the terminal shows.
    """
    modes = Modes()
    broken = True
    try:
        tty.raw()
        ended = await _attend(process, tty, modes)
        broken = ended.lost is not None or ended.signal is not None
        return ended
    finally:
        tty.write_now(modes.undo(broken=broken))
        tty.restore(flush=broken)


async def _attend(process: TerminalProcess, tty: Tty, modes: Modes) -> Ended:
    """Copy both ways, follow the window's size, mind signals."""
    tail = bytearray()
    told: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
    shown = asyncio.create_task(_show(process, tty, modes, tail))
    typed = asyncio.create_task(_type(process, tty))
    handlers: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGWINCH: lambda: process.resize(tty.size()),
        # Whoever stopped us with SIGSTOP gave the terminal to a shell, which made it its own.
        signal.SIGCONT: tty.raw,
    }
    for each in _ENDINGS:
        handlers[each] = lambda each=each: None if told.done() else told.set_result(each)  # type: ignore[misc]
    try:
        with _handling(handlers):
            process.resize(tty.size())
            ends: set[asyncio.Future[Any]] = {shown, typed, told}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                return Ended(128 + told.result(), tail=bytes(tail), signal=told.result())
            if not shown.done():  # our own terminal is gone
                return Ended(128 + signal.SIGHUP, tail=bytes(tail))
            try:
                shown.result()
                return Ended(await process.wait(), tail=bytes(tail))
            except Gone:
                return Ended(128 + signal.SIGHUP, tail=bytes(tail))
            except HostError as lost:
                return Ended(lost.exit_code, lost=lost, tail=bytes(tail))
    finally:
        for task in (shown, typed):
            task.cancel()
        await asyncio.gather(shown, typed, return_exceptions=True)


async def _show(process: TerminalProcess, tty: Tty, modes: Modes, tail: bytearray) -> None:
    while data := await process.read():
        modes.feed(data)
        await tty.write(data)
        tail += data[-_TAIL:]
        del tail[:-_TAIL]


async def _type(process: TerminalProcess, tty: Tty) -> None:
    with contextlib.suppress(Gone):
        while True:
            await process.write(await tty.read())


@contextlib.contextmanager
def _handling(handlers: dict[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Have these called on the event loop; whoever handled the signals before does so afterwards."""
    loop = asyncio.get_running_loop()
    before = {each: signal.getsignal(each) for each in handlers}
    try:
        for each, handler in handlers.items():
            with contextlib.suppress(RuntimeError, ValueError):  # not in the main thread: they go without
                loop.add_signal_handler(each, handler)
        yield
    finally:
        for each, old in before.items():
            with contextlib.suppress(RuntimeError, ValueError):
                loop.remove_signal_handler(each)
                signal.signal(each, signal.SIG_DFL if old is None else old)


def obey(ended: Ended) -> None:
    """Do what a signal that came meanwhile asked of this process, now that the terminal is in order."""
    if ended.signal is not None:
        os.kill(os.getpid(), ended.signal)
