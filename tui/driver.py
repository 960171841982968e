"""Textual's driver for terminals, without the thread that reads keys: the app's own loop does.

A thread has to wait for Python's lock, which a busy loop hands out late: keys were seen 20 to 100 ms after
they were typed while numbers of many hosts came in. And Textual's looks at its end only ten times a second,
so that every shell opened from the dashboard, and every exit, would begin with a pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from codecs import getincrementaldecoder

from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

_TICK = 0.1
"""Seconds after which a lone Escape is a key and not the beginning of a sequence."""
_CHUNK = 4096
TURN = 0.0001
"""Seconds after which Python gives another of its threads a turn, instead of 5 ms.

The thread that writes frames needs several turns for one, and a loop that is busy with many small things wins
the lock back each time: a finished frame was seen 20 to 50 ms later.
"""


class Keys:
    """What is typed on a terminal, from a loop that tells when there is something."""

    def __init__(self, driver: PromptDriver, loop: asyncio.AbstractEventLoop) -> None:
        self._driver, self._loop = driver, loop
        self._parser = XTermParser(driver._debug)
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        self._later: asyncio.TimerHandle | None = None
        loop.add_reader(driver.fileno, self._read)

    def stop(self) -> None:
        """The next byte belongs to whoever has the terminal then."""
        self._loop.remove_reader(self._driver.fileno)
        if self._later is not None:
            self._later.cancel()
        with contextlib.suppress(EOFError, ParseError):
            self._feed("")

    def _read(self) -> None:
        try:
            data = os.read(self._driver.fileno, _CHUNK)
        except BlockingIOError:  # another program has it set so, and was quicker
            return
        except OSError:  # the terminal is gone: it would be ready to say so for ever
            data = b""
        if not data:  # there will be no more
            self._loop.remove_reader(self._driver.fileno)
        elif text := self._decode(data):
            self._feed(text)
            self._look_again()

    def _feed(self, text: str) -> None:
        for event in self._parser.feed(text):
            self._driver.process_message(event)

    def _look_again(self) -> None:
        """What was typed may be the beginning of more, or, after a moment, all of it."""
        if self._later is not None:
            self._later.cancel()
        unfinished = self._parser._timeout_time is not None
        self._later = self._loop.call_later(_TICK, self._tick) if unfinished else None

    def _tick(self) -> None:
        for event in self._parser.tick():
            self._driver.process_message(event)
        self._look_again()


class PromptDriver(LinuxDriver):
    """Reads in the app's loop, and hands a frame to the thread that writes in one piece."""

    _keys: Keys | None = None
    _frame: tuple[str, ...] = ()
    """What of a frame has come until its end comes."""

    def write(self, data: str) -> None:
        """Write it; with the other pieces where it belongs to a frame."""
        if data == SYNC_START or self._frame:
            self._frame += (data,)
            if data != SYNC_END:
                return
            data, self._frame = "".join(self._frame), ()
        super().write(data)

    def start_application_mode(self) -> None:
        """Take the terminal."""
        sys.setswitchinterval(TURN)
        before = self._key_thread
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._key_thread is not before:  # else we are in the background, and shall be called again
            self._keys = Keys(self, self._loop)

    def disable_input(self) -> None:
        """Stop reading."""
        if self._keys is not None:
            self._keys.stop()
            self._keys = None
        super().disable_input()

    def run_input_thread(self) -> None:
        """There is nothing for it to do."""


def prompt(found: type[Driver]) -> type[Driver]:
    """`PromptDriver` where Textual would take its own for terminals."""
    return PromptDriver if found is LinuxDriver else found
