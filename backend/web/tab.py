"""One browser tab: a dashboard of its own as a child process, and what goes between the two.

textual-serve knows how a Textual app's screen, keys, links and files travel. Ours is what it leaves open: no
shell in between, nothing of the server's terminal in the environment, and an end that always comes.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

GRACE = 8.0
"""Seconds a dashboard has to leave after its tab was closed. It gives itself fewer, see `tui.web.driver`."""
LARGEST = 1000
"""Columns or rows of a page at most."""
_NOT_OURS = ("TMUX", "TMUX_PANE", "STY", "COLUMNS", "LINES", "TERM_PROGRAM", "TERM_PROGRAM_VERSION")
"""What tells of the terminal that the server was started in."""


class Tab(AppService):
    """A dashboard for one websocket: `start`, `attend` until the page is gone, `stop`."""

    def __init__(
        self, program: Sequence[str], websocket: web.WebSocketResponse, downloads: DownloadManager
    ) -> None:
        super().__init__(
            program[0],
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=self._close,
            download_manager=downloads,
        )
        self._program = program
        self._websocket = websocket
        self._ending = False

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        # A session of its own: Ctrl+C before the server is not for it, and it can have a terminal.
        self._process = process = await asyncio.create_subprocess_exec(
            *self._program,
            "--size",
            f"{cells(width)}x{cells(height)}",
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            start_new_session=True,
        )
        self._stdin = process.stdin
        return process

    async def _close(self) -> None:
        await self._websocket.close()

    async def attend(self) -> None:
        """Hand on what the page says until it is gone, or the dashboard ended and the page knows."""
        async for message in self._websocket:
            if message.type is not WSMsgType.TEXT:
                continue
            match _decoded(message):
                case ["stdin", str(text)]:
                    await self.send_bytes(text.encode("utf-8", "replace"))
                case ["resize", {"width": int(width), "height": int(height)}]:
                    await self.set_terminal_size(cells(width), cells(height))
                case ["ping", str(said)]:
                    await self._websocket.send_json(["pong", said[:40]])
                case ["focus"]:
                    await self.focus()
                case ["blur"]:
                    await self.blur()

    async def run(self) -> None:
        """Hand on what the dashboard draws. However it ends, the page learns of it."""
        try:
            await super().run()
        finally:
            with suppress(ConnectionError, RuntimeError):
                await self.remote_close()

    async def on_data(self, payload: bytes) -> None:
        """Draw. A page that is gone is drawn for in vain: a dashboard whose pipe is full could not leave."""
        with suppress(ConnectionError, RuntimeError):
            await super().on_data(payload)

    async def on_meta(self, data: bytes) -> None:
        """Links and files. Only web pages are opened: `javascript:` would speak as this page."""
        said = _parsed(data)
        if said.get("type") == "open_url" and urlsplit(str(said.get("url"))).scheme not in ("http", "https"):
            return
        with suppress(ConnectionError, RuntimeError):
            await super().on_meta(data)

    async def stop(self) -> None:
        """End the dashboard and all that it started: asked first, and by force where that does not help."""
        process = self._process
        if process is None or self._ending:
            return
        self._ending = True
        try:
            async with asyncio.timeout(GRACE):
                await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
                await self.send_meta({"type": "quit"})
                if self._task is not None:
                    await asyncio.shield(self._task)
                await process.wait()
        except TimeoutError:
            pass
        finally:
            # Also what it left behind, unless that has a session of its own.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            if self._task is not None:
                await asyncio.wait({self._task})


def cells(number: int) -> int:
    """Columns or rows as a page says them, kept within what can be."""
    return max(1, min(number, LARGEST))


def _decoded(message: Any) -> Any:
    try:
        return message.json()
    except ValueError:
        return None


def _parsed(data: bytes) -> dict[str, Any]:
    import json

    said = json.loads(data)
    return said if isinstance(said, dict) else {}
