"""One tunnel: a port here, where it leads, and how it stands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from backend.model import TunnelRow
from backend.tunnels.listener import ADDRESS, Listener
from backend.tunnels.relay import Dial

UP, RECONNECTING, SILENT = "up", "reconnecting", "silent"


class Far(Struct, frozen=True, kw_only=True):
    """Where a tunnel leads."""

    host: str
    service: str
    """A service's name, or a port's number."""
    container: str = ""
    context: str | None = None

    @property
    def target(self) -> str:
        """As people name it."""
        return self.context or (f"{self.host}/{self.container}" if self.container else self.host)


class Tunnel:
    """A tunnel of this process. Made by `backend.tunnels.keeping`, told of by `backend.tunnels.holder`."""

    def __init__(self, id: str, far: Far, *, wanted: int = 0, exact: bool = False) -> None:
        """`wanted`: the port here; 0: that of the other end. `exact`: no other one will do."""
        self.id = id
        self.far = far
        self.port = 0
        """At the other end."""
        self.url = ""
        """Of its page, with the token: never written down."""
        self.secret = ""
        """The token, for pages that have it in their path."""
        self.page = ""
        """What a browser is given to open: a file that leads there, where the address holds a token."""
        self.state = RECONNECTING
        self.note = ""
        self.since = datetime.now(UTC)
        self.stopped = asyncio.Event()
        """Set by whoever wants it to end."""
        self.knocked = asyncio.Event()
        """Set when somebody wants to go through while it is not up."""
        self.listener = Listener(self.knocked.set)
        self.changed: Callable[[], None] = lambda: None
        self._wanted, self._exact = wanted, exact
        self._borrowed = 0

    @property
    def wanted(self) -> int:
        """The port that it would have here, were that free."""
        return self._wanted or self.port

    @property
    def local_port(self) -> int:
        """The port here; 0 before it is open."""
        return self._borrowed or self.listener.port

    async def open(self, port: int) -> bool:
        """Listen here, the first time; whether on the port that was wanted. Raises `ActionFailed`."""
        self.port = port
        if self.local_port:
            return True
        return await self.listener.open(self._wanted or port, exact=self._exact and bool(self._wanted))

    def borrow(self, port: int) -> bool:
        """Of this machine itself, and nobody asked for another port: the one that is there will do."""
        if self.listener.port or self._wanted not in (0, port):
            return False
        self._borrowed = port
        return True

    def up(self, dial: Dial | None, note: str = "") -> None:
        """Connections go there from now on."""
        self.listener.lead_to(dial)
        self.state, self.note = UP, note
        self.knocked.clear()
        self.changed()

    def down(self, why: str) -> None:
        """Connections wait from now on."""
        self.listener.lead_to(None)
        self.state, self.note = RECONNECTING, why
        self.changed()

    async def close(self) -> None:
        """Let go of the port here."""
        await self.listener.close()

    def row(self, holder: str) -> TunnelRow:
        """What lists show of it."""
        traffic = self.listener.traffic
        url = self.url.partition("?")[0].partition("#")[0]
        refused = f"the last connection failed: {self.listener.refusal}" if self.listener.refusal else ""
        return TunnelRow(
            id=self.id,
            host=self.far.host,
            name=self.far.container,
            context=self.far.context,
            service=self.far.service,
            address=f"{ADDRESS}:{self.local_port}",
            port=self.port,
            url=url.replace(self.secret, "***") if self.secret else url,
            state=self.state,
            note=self.note or refused,
            received=traffic.received,
            sent=traffic.sent,
            connections=traffic.open,
            served=traffic.served,
            failed=traffic.failed,
            since=self.since,
            holder=holder,
            pid=os.getpid(),
        )
