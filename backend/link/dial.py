"""One connection from a host to an address, as a transport here: what tunnels are made of.

asyncssh's channels have the methods of asyncio's transports, and its sessions nearly those of protocols.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

import asyncssh

from backend.errors import HostError, Unreachable
from backend.link import translate

_GONE = "SSH connection closed"
"""What asyncssh says of a channel whose connection ended while it was being opened."""


class _Session(asyncssh.SSHTCPSession[bytes]):
    """Hands on to a protocol what comes on a channel."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._to = protocol

    def connection_made(self, chan: Any) -> None:
        self._to.connection_made(chan)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._to.data_received(data)

    def eof_received(self) -> bool:
        return bool(self._to.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self._to.connection_lost(exc)

    def pause_writing(self) -> None:
        self._to.pause_writing()

    def resume_writing(self) -> None:
        self._to.resume_writing()


async def dial(
    name: str,
    connection: asyncssh.SSHClientConnection,
    make: Callable[[], asyncio.Protocol],
    place: tuple[str, int],
    opening: set[asyncio.Future[Any]],
) -> asyncio.Transport:
    """Connect as `Link.dial` says.

    asyncssh forgets a channel whose opening is cancelled, while it stays open there: such an opening is kept
    in `opening`, goes on to its end, and is closed then.
    """
    attempt = asyncio.ensure_future(
        connection.create_connection(lambda: _Session(make()), *place, encoding=None)
    )
    opening.add(attempt)
    attempt.add_done_callback(opening.discard)
    try:
        channel, _ = await asyncio.shield(attempt)
    except asyncio.CancelledError:
        attempt.add_done_callback(_hang_up)
        raise
    except asyncssh.ChannelOpenError as error:
        raise _refused(name, error, *place) from None
    except (asyncssh.Error, OSError) as error:
        raise translate.of_loss(name, error) from None
    return cast(asyncio.Transport, channel)


def _refused(name: str, error: asyncssh.ChannelOpenError, address: str, port: int) -> HostError | OSError:
    if error.reason == _GONE:
        return Unreachable(f"the connection to {name} is gone.")
    if error.code == asyncssh.constants.OPEN_ADMINISTRATIVELY_PROHIBITED:
        return PermissionError(f"{name} allows no forwarding (AllowTcpForwarding in its sshd_config)")
    return ConnectionRefusedError(f"nothing answers at {address} port {port} of {name} ({error.reason})")


def _hang_up(opened: asyncio.Future[Any]) -> None:
    with contextlib.suppress(asyncio.CancelledError, Exception):
        opened.result()[0].abort()
