"""What runs on a pty, here or on a host."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Size(NamedTuple):
    """A terminal's size in cells."""

    columns: int
    rows: int


class TerminalProcess(Protocol):
    """A command on a pty. Bytes go both ways as they are; nobody in between edits or echoes them."""

    async def read(self) -> bytes:
        """What it printed next; nothing once it ended.

        Raises `Unreachable` when the connection is lost. While nobody reads, it has to wait with printing.
        """

    async def write(self, data: bytes) -> None:
        """Send what was typed, waiting while it is slower than we are. An ended command gets nothing."""

    def resize(self, size: Size) -> None:
        """Tell it the window's new size."""

    async def wait(self) -> int:
        """Its exit code, 128 and the signal's number where a signal ended it.

        Raises `Unreachable` when the connection was lost before it ended.
        """

    async def close(self) -> None:
        """Hang up if it still runs, and release everything. Never raises; may be called twice."""
