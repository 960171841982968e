"""From a host's configuration to a logged-in connection: TCP, perhaps jump hosts, host key, login."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import asyncssh
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs

from backend.config import HostConfig
from backend.errors import Unreachable
from backend.link import hostkeys, jumps, translate
from backend.link.ssh import SshLink
from backend.link.target import Target, resolve
from backend.link.threads import in_thread

CONNECT_TIMEOUT = 5.0
"""Seconds for the name look-up and the TCP connection together."""
_UNACKNOWLEDGED_MS = 10_000
"""After this the kernel gives up on data nobody acknowledges: a login that a partition interrupts fails by
then, not after minutes."""
_PREPARE_TIMEOUT = 10.0
"""Seconds for what is read and run here before anything is sent."""
_HANDSHAKES = 16
"""How many logins compute at once: more would only make each slower."""
_LONGEST_TURN = 2.0
"""Seconds after which a login counts as waiting, not computing: hosts that hang must not hold up others."""

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class _Client(asyncssh.SSHClient):
    """What happens on one connection, remembered."""

    def __init__(self, record: hostkeys.Record) -> None:
        self.record = record
        self.offered: asyncssh.SSHKey | None = None
        self.banner = ""
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Asked for a key that is not on record for this name and port."""
        self.offered = key
        return self.record.trusts(key)

    def auth_banner_received(self, msg: str, lang: str) -> None:
        """What the server has to say before the login."""
        self.banner = (self.banner + msg)[:500]

    def connection_lost(self, exc: BaseException | None) -> None:
        """The end."""
        if not self.lost.done():
            self.lost.set_result(exc)


@dataclass
class Session:
    """A logged-in connection and what it goes through."""

    connection: asyncssh.SSHClientConnection
    lost: asyncio.Future[BaseException | None]
    """Done when it is gone, with the exception that ended it."""
    gate: jumps.Gate | None

    async def release(self) -> None:
        """Let go of the jump host it went through."""
        if self.gate is not None:
            gate, self.gate = self.gate, None
            await gate.leave()


async def connect(host: HostConfig) -> SshLink:
    """Connect and log in. Raises a `HostError`."""
    try:
        async with asyncio.timeout(_PREPARE_TIMEOUT):
            target = await in_thread(resolve, host)
    except TimeoutError:
        raise Unreachable(
            f"{host.name}: reading the ssh configuration and keys takes over {_PREPARE_TIMEOUT:.0f} s.",
            hint="Does a `Match exec` of ~/.ssh/config hang, or the file system that holds a key?",
        ) from None
    session = await reach(target)
    return SshLink(host.name, session.connection, session.lost, session.release)


async def reach(target: Target, gate: jumps.Gate | None = None) -> Session:
    """A connection to one server: through `gate`, else through its own jump hosts, else directly.

    The gate is let go of if that fails, and with the session if not.
    """
    if gate is None and target.jumps:
        gate = await jumps.enter(target.jumps, reach)
    try:
        record = await in_thread(hostkeys.record, target.label, target.known_hosts, target.alias, target.port)
        client = _Client(record)
        options = {"client_factory": lambda: client, **_host_key_options(target, record)}
        if gate is not None:
            connection = await _login(target, client, options, tunnel=gate)
        elif target.command:
            connection = await _login(target, client, options, tunnel=None)
        else:
            connection = await _login(target, client, options, tunnel=None, sock=await tcp(target))
        return Session(connection, client.lost, gate)
    except BaseException:
        if gate is not None:
            await gate.leave()
        raise


def _host_key_options(target: Target, record: hostkeys.Record) -> dict[str, Any]:
    """Known keys for asyncssh; their algorithms first, so that a host with several shows the known one."""
    found: dict[str, Any] = {
        "known_hosts": (record.keys("key"), record.keys("ca"), record.keys("revoked")),
    }
    if target.ordered_keys:
        trusted = [entry.key for entry in (*record.entries, *record.portless) if entry.kind == "key"]
        names = [name for key in trusted for name in key.sig_algorithms]
        certificates = get_default_certificate_algs() if record.keys("ca") else []
        ordered = dict.fromkeys([*certificates, *names, *get_default_public_key_algs()])
        found["server_host_key_algs"] = [name.decode() for name in ordered]
    return found


async def _login(
    target: Target,
    client: _Client,
    options: dict[str, Any],
    *,
    tunnel: jumps.Gate | None,
    sock: socket.socket | None = None,
) -> asyncssh.SSHClientConnection:
    """The SSH part, on whatever carries it."""
    try:
        with _closing(sock):
            async with _turn():
                return await asyncssh.connect(
                    target.host,
                    target.port,
                    tunnel=tunnel,
                    sock=sock,
                    config=None,
                    options=target.options,
                    client_keys=target.options.client_keys,
                    **options,
                )
    except asyncssh.HostKeyNotVerifiable as error:
        if client.offered is not None:
            raise client.record.verdict(client.offered) from None
        raise client.record.refusal(error.reason) from None
    except (asyncssh.Error, OSError, TimeoutError, ValueError) as error:
        raise translate.of_login(target, error, client.banner) from None


@contextlib.contextmanager
def _closing(sock: socket.socket | None) -> Iterator[None]:
    """Close the socket if what was to use it fails."""
    try:
        yield
    except BaseException:
        if sock is not None:
            sock.close()
        raise


async def tcp(target: Target) -> socket.socket:
    """A connected socket: one address after the other, each with its share of the time.

    Raises `Unreachable`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CONNECT_TIMEOUT
    try:
        async with asyncio.timeout_at(deadline):
            places = await _look_up(target)
        failure: OSError | TimeoutError = OSError("it has no address")
        for number, place in enumerate(places):
            share = (deadline - loop.time()) / (len(places) - number)
            try:
                async with asyncio.timeout(share):
                    return await _dial(target, place)
            except (OSError, TimeoutError) as error:
                failure = error
        raise failure
    except (OSError, TimeoutError) as error:
        raise translate.of_tcp(target, error, CONNECT_TIMEOUT) from None


async def _dial(target: Target, place: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, address = place
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
        if target.options.local_addr:
            sock.bind(target.options.local_addr)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def addresses(target: Target) -> list[tuple[Any, ...]]:
    """Where a server is, as `socket.getaddrinfo` gives it. Raises `Unreachable`."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await _look_up(target)
    except (OSError, TimeoutError) as error:
        raise translate.of_tcp(target, error, CONNECT_TIMEOUT) from None


async def _look_up(target: Target) -> list[tuple[Any, ...]]:
    """What `getaddrinfo` says, without asking it about what is an address already."""
    family = target.options.family
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(target.host)
        known = socket.AF_INET if address.version == 4 else socket.AF_INET6
        if "%" not in target.host:
            return [(known, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (target.host, target.port))]
    found = await in_thread(
        socket.getaddrinfo, target.host, target.port, family=family, type=socket.SOCK_STREAM
    )
    return list(found)


@contextlib.asynccontextmanager
async def _turn() -> AsyncIterator[None]:
    """One of the places to compute a handshake in, for as long as that plausibly computes."""
    loop = asyncio.get_running_loop()
    turns = _turns.setdefault(loop, asyncio.Semaphore(_HANDSHAKES))
    await turns.acquire()
    over = False

    def give_back() -> None:
        nonlocal over
        if not over:
            over = True
            turns.release()

    timer = loop.call_later(_LONGEST_TURN, give_back)
    try:
        yield
    finally:
        timer.cancel()
        give_back()
