"""Textual's driver for pages, which can lend its place in the page to a shell or an editor.

Textual's own cannot be suspended. This one has a terminal to give away (`tui.web.channel`), and ends for
certain: when the page is gone, when the server is gone, and also when the dashboard would not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import webbrowser
from codecs import getincrementaldecoder
from typing import Any

from textual import events, messages
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers._byte_stream import ByteStream
from textual.drivers.web_driver import WebDriver
from textual.geometry import Size

from tui.web import channel
from tui.web.links import PageBrowser

_TICK = 0.1
"""Seconds after which a lone Escape is a key and not the beginning of a sequence."""
_GRACE = 5.0
"""Seconds for what is being done to be cancelled in order, once the page is gone."""
_ENTER = "\x1b[?1049h\x1b[?1000h\x1b[?1003h\x1b[?1015h\x1b[?1006h\x1b[?2004h\x1b[?25l"
_LEAVE = "\x1b[?2004l\x1b[?1006l\x1b[?1015l\x1b[?1003l\x1b[?1000l\x1b[?1049l\x1b[?25h"
"""The other screen, mouse, bracketed paste, no cursor; and all of it back."""


class TabDriver(WebDriver):
    """Draws in a page."""

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        assert channel.current is not None
        self._channel = channel.current
        super().__init__(app, debug=debug, mouse=mouse, size=size or self._channel.size)
        self._input_reader.close()
        self._write = self._channel.send_raw  # type: ignore[assignment]
        self._key_thread = threading.Thread(target=self.run_input_thread, name="input", daemon=True)
        self._leaving = False
        webbrowser.register("page", None, PageBrowser(self.open_url), preferred=True)

    @property
    def can_suspend(self) -> bool:
        """The page's terminal can be lent."""
        return True

    def write(self, data: str) -> None:
        """Draw; not over what has the page meanwhile."""
        if not self._channel.lent:
            super().write(data)

    # -------------------------------------------------------------------------------------- begin and end

    def start_application_mode(self) -> None:
        """Begin to draw, and to read keys."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._leave)
        self._enter()
        self._key_thread.start()

    def stop_application_mode(self) -> None:
        """Draw no more; what is printed from now on (why it ended) is seen in the page."""
        self.exit_event.set()
        self._channel.stop_receiving()
        self.write(_LEAVE)
        self._channel.lend()

    def suspend_application_mode(self) -> None:
        """Give the page away."""
        self.write(_LEAVE)
        self._channel.lend()

    def resume_application_mode(self) -> None:
        """Have it again, as large as it is now."""
        self._channel.take_back()
        self._enter()

    def close(self) -> None:
        """Nothing is left open."""

    def _enter(self) -> None:
        self._channel.lent = False
        self.write(_ENTER)
        self._request_terminal_sync_mode_support()
        self._resized()

    def _resized(self) -> None:
        self._size = self._channel.size
        size = Size(*self._channel.size)
        self.send_message(events.Resize(size, size))

    # ---------------------------------------------------------------------------------------- what comes

    def run_input_thread(self) -> None:
        """Keys and news of the page, until it is gone."""
        packets = ByteStream()
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        with contextlib.suppress(RuntimeError):  # the dashboard ended while something came
            while not self.exit_event.is_set():
                data = self._channel.receive(_TICK)
                if data == b"":
                    break
                for kind, payload in packets.feed(data) if data else ():
                    if kind != "D":
                        self._on_meta(kind, payload)
                    elif self._channel.lent:
                        self._channel.type(payload)
                    else:
                        for event in parser.feed(decode(payload)):
                            self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
            with contextlib.suppress(EOFError, ParseError):
                for event in parser.feed(""):
                    self.process_message(event)
        if not self.exit_event.is_set():
            self._leave()

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """News of the page."""
        if packet_type == "quit":
            self._leave()
        elif packet_type == "resize":
            width, height = payload["width"], payload["height"]
            assert isinstance(width, int) and isinstance(height, int)
            self._channel.resize(width, height)
            if not self._channel.lent:
                self._resized()
        else:
            super().on_meta(packet_type, payload)

    def _leave(self) -> None:
        """The page is gone: end in order, and without order when that takes too long."""
        if self._leaving:
            return
        self._leaving = True
        last = threading.Timer(_GRACE, os._exit, (1,))
        last.daemon = True
        last.start()
        if self._channel.lent:  # as when the window of a terminal is closed
            os.kill(os.getpid(), signal.SIGHUP)
        with contextlib.suppress(RuntimeError):
            self.send_message(messages.ExitApp())
