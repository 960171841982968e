"""One command on one host, from its start to its exit code; with it, everything that it started ends.

The command runs below `host.sh`, whose standard input is its lifeline: when that ends, because berth says so,
was killed or its connection is gone, the command's process group gets SIGTERM, and SIGKILL two seconds later.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import BerthError

if TYPE_CHECKING:
    from backend.link import Link, LinkProcess

_PIECE = 64 * 1024
_GRACE = 5.0
"""Seconds until a command that was told to end is given up: its processes have two."""
_GOODBYE = 1.0
"""Seconds for a channel to close by itself once the command has ended. It stays open where something that was
left in the background holds it."""
_SAID = 4096
"""Bytes that are kept of what a login says before the command."""


class Channel:
    """A command that was started. Iterate over `read`; `code` is there once it gives nothing."""

    def __init__(self, process: LinkProcess, mark: bytes) -> None:
        self._process = process
        self._mark = mark
        self._held = b""
        self._began = False
        self.code: int | None = None
        """Its exit code; None before its end, and where that was never heard of."""

    async def read(self) -> bytes:
        """The next piece of its output, both streams as they come; nothing at its end."""
        while self.code is None:
            data = await self._process.read(_PIECE)
            if not data:
                return b""
            if piece := self._take(data):
                return piece
        return b""

    def _take(self, data: bytes) -> bytes:
        data = self._held + data
        self._held = b""
        if not self._began:
            _, found, after = data.partition(self._mark + b"+\n")
            if not found:
                self._held = data[-_SAID:]
                return b""
            self._began, data = True, after
        piece, found, after = data.partition(self._mark + b"=")
        if not found:
            return self._keep_back(data, self._mark + b"=")
        number, newline, _ = after.partition(b"\n")
        if not newline and len(number) < 4:
            self._held = found + number
            return piece
        self.code = int(number) if number.isdigit() else 255
        return piece

    def _keep_back(self, data: bytes, end: bytes) -> bytes:
        """All but what may be the beginning of `end`."""
        for size in range(min(len(end) - 1, len(data)), 0, -1):
            if data.endswith(end[:size]):
                self._held = data[-size:]
                return data[:-size]
        return data

    async def why(self) -> str:
        """What was said instead of an exit code."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _GOODBYE)
        return (self._held + self._process.stderr).decode(errors="replace").strip()

    @property
    def began(self) -> bool:
        """Whether the host has begun to run it."""
        return self._began

    async def end(self) -> None:
        """End the command with all that belongs to it, if it runs. Waits until that is done."""
        self._process.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                while await self._process.read(_PIECE):
                    pass

    async def close(self) -> None:
        """Let go of it."""
        if self.code is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _GOODBYE)
        await self._process.close()


async def start(link: Link, kind: str, argv: Sequence[str], environment: bytes) -> Channel:
    """Start a command. `kind`: `line` for one line of the login shell, `words` for a program.

    Raises a `HostError` or `ActionFailed`.
    """
    mark = f"berth-{secrets.token_hex(12)}"
    process = await link.start_script(_script(), [mark, kind, *argv])
    try:
        await process.write(environment)
    except BerthError:
        pass  # it ended at once, and says why
    except BaseException:
        await process.close()
        raise
    return Channel(process, mark.encode())


@cache
def _script() -> str:
    """As one line: some login shells know no other."""
    lines = Path(__file__).with_name("host.sh").read_text("utf-8").splitlines()
    return " ".join(line.strip() for line in lines if not line.startswith("#"))
