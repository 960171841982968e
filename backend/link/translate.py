"""asyncssh's and the system's exceptions to errors people can act on. The one place that knows both."""

from __future__ import annotations

import errno
import socket

import asyncssh

from backend.errors import HostError, LoginRefused, Unreachable
from backend.link.target import Target, encrypted

_SERVER_FULL = "Too many connections at once (MaxStartups), or it locks us out (fail2ban, hosts.deny)."
_ON = "Is it switched on, and are you in its network (VPN)?"
_OLD = "Name what it speaks in ~/.ssh/config: KexAlgorithms, HostKeyAlgorithms, Ciphers. Or update its sshd."


def of_tcp(target: Target, error: OSError | TimeoutError, seconds: float) -> Unreachable:
    """Why no TCP connection came about."""
    place = f"{target.label} port {target.port}" if target.port != 22 else target.label
    if isinstance(error, socket.gaierror):
        return Unreachable(
            f"{target.label}: the name {target.host} does not resolve.",
            hint="Check `host:` in hosts.yaml and your network (VPN).",
        )
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(
            f"{place} refuses connections.",
            hint=f"Does sshd run there, on port {target.port}? Set `sshport:` in hosts.yaml if not.",
        )
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return Unreachable(
            f"{place} does not answer within {seconds:.0f} s.",
            hint=_ON,
        )
    if error.errno == errno.EHOSTUNREACH:
        return Unreachable(
            f"there is no route to {place}.", hint="Is it switched on, and in this network (VPN)?"
        )
    if error.errno in (errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL):
        return Unreachable(
            f"{place}: this machine has no network that leads there.", hint="Check your network."
        )
    return Unreachable(f"{place}: {error.strerror or error}.", hint="Check your network.")


def of_login(target: Target, error: BaseException, banner: str = "") -> HostError:
    """Why an open connection did not become a login. Host keys are judged by `hostkeys`, not here."""
    label = target.label
    if isinstance(error, asyncssh.PermissionDenied):
        return _refused(target, banner)
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return Unreachable(f"{label} and we have no cryptography in common: {error.reason}.", hint=_OLD)
    if isinstance(error, asyncssh.ConnectionLost | ConnectionError | BrokenPipeError):
        return Unreachable(f"{label} closed the connection during login.", hint=_SERVER_FULL)
    if isinstance(error, TimeoutError):
        return Unreachable(
            f"{label} took the connection but did not finish the login in time.",
            hint="The host may be overloaded or hang; what listens there may be no sshd.",
        )
    if isinstance(error, asyncssh.ProtocolError | asyncssh.ProtocolNotSupported | asyncssh.MACError):
        if "authentication failures" in error.reason:
            return LoginRefused(
                f"{label} gave up after too many keys for user {target.username}.",
                hint="Your SSH agent offers many keys: set `identity_file:` in hosts.yaml to the right one.",
            )
        return Unreachable(
            f"what answers at {label} port {target.port} is no SSH server we understand: {error.reason}.",
            hint="Check `host:` and `sshport:` in hosts.yaml.",
        )
    if isinstance(error, asyncssh.ChannelOpenError):
        return Unreachable(
            f"the way to {label} ends at its jump host: {error.reason}.",
            hint=f"Can the jump host reach {target.host} port {target.port}, and does it allow forwarding?",
        )
    if isinstance(error, asyncssh.Error):
        return Unreachable(f"{label}: {error.reason}.", hint="ssh -v shows more.")
    if isinstance(error, OSError):
        return Unreachable(f"{label}: {error.strerror or error}.", hint="ssh -v shows more.")
    return Unreachable(f"{label}: {error}.", hint="ssh -v shows more.")


def _refused(target: Target, banner: str) -> LoginRefused:
    """Nothing we had was good enough: say what could be."""
    locked = [path for path in target.identities if encrypted(path)]
    port = f"-p {target.port} " if target.port != 22 else ""
    agent = "" if target.options.agent_path else " No SSH agent runs here (SSH_AUTH_SOCK)."
    if locked:
        message = f"{target.label} does not let {target.username} in: {locked[0]} needs a passphrase."
        return LoginRefused(
            message + _said(banner), hint=f"Unlock it for this session: ssh-add {locked[0]}.{agent}"
        )
    if not target.identities and agent:
        message = f"{target.label} does not let {target.username} in: there is no key here to log in with."
        hint = f"Make one: ssh-keygen -t ed25519; then ssh-copy-id {port}{target.username}@{target.host}"
        return LoginRefused(message + _said(banner), hint=hint)
    which = ", ".join(str(path) for path in target.identities) or "those of the SSH agent"
    return LoginRefused(
        f"{target.label} does not let {target.username} in; tried keys: {which}.{_said(banner)}",
        hint="Is the user right (`username:`)? Put your key there: "
        f"ssh-copy-id {port}{target.username}@{target.host}",
    )


def _said(banner: str) -> str:
    return f" It says: {banner.strip()[:200]}" if banner.strip() else ""


def of_loss(name: str, error: BaseException | None) -> Unreachable:
    """Why a connection that was fine is gone."""
    if isinstance(error, asyncssh.ConnectionLost) and "keepalive" in error.reason:
        return Unreachable(f"the connection to {name} is dead: nothing came back for 12 s.")
    if isinstance(error, TimeoutError):
        return Unreachable(f"the connection to {name} is dead: nothing came back.")
    reason = ""
    if isinstance(error, asyncssh.DisconnectError) and not isinstance(error, asyncssh.ConnectionLost):
        reason = f": {error.reason}"
    return Unreachable(f"{name} closed the connection{reason}.")


def of_channel(name: str, error: BaseException) -> Unreachable:
    """Why a command or a forward did not start on a connection that is open."""
    if isinstance(error, asyncssh.ChannelOpenError):
        return Unreachable(
            f"{name} opens no further session on this connection: {error.reason}.",
            hint="MaxSessions in its sshd_config limits them, 10 by default.",
        )
    return of_loss(name, error)
