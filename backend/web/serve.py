"""`berth serve`: where it listens, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import ActionFailed, UsageError
from backend.text import printable

if TYPE_CHECKING:
    from backend.config import Config

_SHUTDOWN = 12.0
"""Seconds that tabs may take to end when the server does; see `backend.web.tab.GRACE`."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    bind: str
    port: int
    """0: any that is free."""
    tabs: int
    read_only: bool
    browser: bool
    """Open one."""


async def show(config: Config, request: Request) -> int:
    """Serve until told to end. Raises `UsageError`, `ActionFailed` where it cannot."""
    try:
        from aiohttp import web

        from backend.web.server import WebServer
    except ImportError:
        raise UsageError(
            "the dashboard in a browser needs textual-serve, which is not installed.",
            hint="pip install 'berth[web]'",
        ) from None
    from backend.web.gate import Gate

    listening = await _listen(request.bind, request.port)
    address, port = listening.getsockname()[:2]
    open_to = () if ipaddress.ip_address(address).is_loopback else (request.bind, socket.gethostname())
    gate = Gate(port, open_to=open_to)
    server = WebServer(gate, program(config, read_only=request.read_only), tabs=request.tabs)
    runner = web.AppRunner(
        server.application(),
        access_log=None,  # addresses hold the token
        logger=_deaf(),
        shutdown_timeout=_SHUTDOWN,
        handler_cancellation=False,
    )
    try:
        await runner.setup()
        await web.SockSite(runner, listening).start()
        url = f"http://{_name(request.bind, address)}:{port}/?token={gate.token}"
        _say(url, address, port, open_to=open_to, read_only=request.read_only)
        with _browser(url) if request.browser else contextlib.nullcontext():
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()
        listening.close()
    return 0


def program(config: Config, *, read_only: bool) -> Sequence[str]:
    """What a tab runs: the dashboard for browsers, with our configuration."""
    # -P: never what is called `tui` in the folder we were started in.
    words = [sys.executable, "-P", "-m", "tui.web", "--config", str(config.directory)]
    return [*words, *(["--read-only"] if read_only else [])]


async def _listen(bind: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise UsageError(f"--bind {printable(bind, 100)}: this is no address of a machine.") from None
    family, _, _, _, address = found[0]
    try:
        return socket.create_server(address[:2], family=family, backlog=64)
    except OSError as error:
        raise ActionFailed(
            f"cannot listen on {printable(bind, 100)} port {port}: {error.strerror or error}.",
            hint="--port takes another one, --port 0 any that is free.",
        ) from None


def _name(bind: str, address: str) -> str:
    """How a browser gets to us."""
    if ipaddress.ip_address(address).is_unspecified:
        return socket.gethostname()
    return f"[{bind}]" if ":" in bind else bind


def _say(url: str, address: str, port: int, *, open_to: Sequence[str], read_only: bool) -> None:
    """The address is the answer; the rest is talk."""
    print(url, flush=True)
    talk = [f"The dashboard{' (read-only)' if read_only else ''} is at this address until Ctrl+C."]
    if open_to:
        talk += [
            "Others can reach this port. The address and all that is shown go over the network unencrypted:",
            "who sees them can do all that you can do with berth, shells included. Safer, without --bind:",
            f"  ssh -L {port}:127.0.0.1:{port} {socket.gethostname()}",
        ]
    else:
        inside = f"[{address}]" if ":" in address else address
        talk.append(f"From another machine: ssh -L {port}:{inside}:{port} {socket.gethostname()}")
    print(*talk, sep="\n", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _browser(url: str) -> Iterator[None]:
    """Open one on the address, by way of a file that only we can read: all can see a browser's arguments."""
    import tempfile
    import threading
    import webbrowser

    from backend.web import page

    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in screens):
        print("There is no screen here to open a browser on.", file=sys.stderr, flush=True)
        yield
        return
    with tempfile.TemporaryDirectory(prefix="berth-") as folder:  # mode 0700
        path = Path(folder) / "berth.html"
        path.write_text(page.onward(url))
        threading.Thread(target=webbrowser.open, args=(path.as_uri(),), daemon=True).start()
        yield


def _deaf() -> logging.Logger:
    """For aiohttp, which would log requests that it cannot read, token and all."""
    logger = logging.Logger("berth.web")
    logger.addHandler(logging.NullHandler())
    return logger
