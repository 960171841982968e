"""Two connections joined into one: what comes on one goes out on the other, at the pace of the slower."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[asyncio.Transport]]
"""Connects a protocol to the far end. Raises `HostError` when the link is lost, `OSError` and `ActionFailed`
where nothing answers there."""


@dataclass
class Traffic:
    """What went through a tunnel."""

    received: int = 0
    """Bytes that came from the far end."""
    sent: int = 0
    """Bytes that went there."""
    open: int = 0
    """Connections that are open now."""
    served: int = 0
    """Connections that reached the far end."""
    failed: int = 0
    """Connections that did not."""


class End(asyncio.Protocol):
    """One side of a joined connection. Give it its `other` before anything can come."""

    other: End

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.lost = False
        self.ended = False
        """Whether nothing more comes from this side."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand on what came."""
        self.other.write(data)

    def write(self, data: bytes) -> None:
        """Send; what comes after the end goes nowhere."""
        if self.transport is not None and not self.lost:
            self.transport.write(data)

    def eof_received(self) -> bool:
        """The other side hears that nothing more comes. The way back stays open until that has ended too."""
        self.ended = True
        self.other.finish()
        if self.other.ended:
            self.close()
        return not self.other.ended

    def finish(self) -> None:
        """Say that nothing more comes."""
        if self.transport is not None and not self.lost and not self.transport.is_closing():
            self.transport.write_eof()

    def pause_writing(self) -> None:
        """Our side is slow: let nothing more come from the other."""
        self.other.hold(True)

    def resume_writing(self) -> None:
        """Go on."""
        self.other.hold(False)

    def hold(self, still: bool) -> None:
        """Take nothing more from this side, or go on."""
        if self.transport is None or self.lost or self.transport.is_closing():
            return
        if still:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over: for the other side too, once it has sent what is left."""
        self.lost = True
        self.other.close()

    def close(self) -> None:
        """End this side after what is still to be sent."""
        if self.transport is not None and not self.lost:
            self.transport.close()

    def abort(self) -> None:
        """End this side now."""
        if self.transport is not None and not self.lost:
            self.transport.abort()


class Far(End):
    """The side at the far end: what is counted."""

    def __init__(self, near: Near, traffic: Traffic) -> None:
        super().__init__()
        self.other = near
        self._traffic = traffic
        near.other = self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From now on both sides are there."""
        super().connection_made(transport)
        self._traffic.open += 1
        self._traffic.served += 1

    def data_received(self, data: bytes) -> None:
        """Count what came, and hand it on."""
        self._traffic.received += len(data)
        super().data_received(data)

    def write(self, data: bytes) -> None:
        """Count what goes."""
        self._traffic.sent += len(data)
        super().write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """One connection fewer."""
        if not self.lost:
            self._traffic.open -= 1
        super().connection_lost(exc)


class Near(End):
    """The side of whoever connected here. Nothing is read of it before the far end is there."""

    def __init__(self, accepted: Callable[[Near], None]) -> None:
        super().__init__()
        self.other = End()
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the far end."""
        super().connection_made(transport)
        self.hold(True)
        self._accepted(self)

    async def join(self, dial: Dial, traffic: Traffic) -> None:
        """Reach the far end, and begin. Raises what `dial` raises."""
        await dial(lambda: Far(self, traffic))
        if self.lost:
            self.other.close()
        else:
            self.hold(False)
