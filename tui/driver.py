"""Textual's driver for terminals, with an input thread that ends when it is told to.

The original looks at its end only ten times a second and then waits for one more tenth, so that every shell
opened from the dashboard, and every exit, would begin with a pause of 0.1 to 0.2 s.
"""

from __future__ import annotations

import contextlib
import os
import selectors
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
TURN = 0.0005
"""Seconds after which Python gives another of its threads a turn, instead of 5 ms.

One thread reads keys and one writes frames. Each waits for several turns, and while numbers of many hosts
come in, every one of them took the whole time: a finished frame was seen 20 to 50 ms later.
"""


class PromptDriver(LinuxDriver):
    """Stops reading the terminal at once: the next byte belongs to whoever has it then.

    A frame goes to the thread that writes in one piece.
    """

    _wake: int | None = None
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
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def disable_input(self) -> None:
        """Stop the input thread."""
        if self._wake is not None and not self.exit_event.is_set():
            os.write(self._wake, b"x")
        super().disable_input()

    def run_input_thread(self) -> None:
        """Read keys until `disable_input` wakes us."""
        woken, self._wake = os.pipe()
        selector = selectors.DefaultSelector()
        try:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            self._read_keys(selector, woken)
        finally:
            selector.close()
            wake, self._wake = self._wake, None
            os.close(woken)
            os.close(wake)

    def _read_keys(self, selector: selectors.BaseSelector, woken: int) -> None:
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        try:
            while not self.exit_event.is_set():
                ready = {key.fd for key, _ in selector.select(_TICK)}
                if woken in ready:
                    break
                if self.fileno in ready:
                    data = os.read(self.fileno, _CHUNK)
                    if not data:  # there will be no more
                        selector.unregister(self.fileno)
                    elif text := decode(data):
                        for event in parser.feed(text):
                            self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
        finally:
            with contextlib.suppress(EOFError, ParseError):
                for event in parser.feed(""):
                    self.process_message(event)


def prompt(found: type[Driver]) -> type[Driver]:
    """`PromptDriver` where Textual would take its own for terminals."""
    return PromptDriver if found is LinuxDriver else found
