"""Where a connection goes and with what: hosts.yaml over ~/.ssh/config over OpenSSH's defaults."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import asyncssh
from msgspec import structs

from backend.config import HostConfig
from backend.config.paths import expanded
from backend.errors import LoginRefused, Unreachable
from backend.link import hostkeys

CONFIGS = (Path("~/.ssh/config"), Path("/etc/ssh/ssh_config"))
LOGIN_TIMEOUT = 20.0
"""Seconds from the open TCP connection until we are logged in."""
_CIPHERS = "^aes128-gcm@openssh.com"
"""First choice: a quarter faster than asyncssh's own first choice."""
_COMMAND = "exec 3>&2 2>/dev/null\n{line}\nexit $?"
"""A ProxyCommand, run by a shell as ssh does. asyncssh takes what comes on stderr for data, and its end for
the end of the connection: so that goes nowhere, while the shell holds the pipe until the command ends."""
_KEEPALIVE = 3
"""Seconds between keepalives, and how many may go unanswered: a dead line shows after 12 s."""


@dataclass(frozen=True)
class Target:
    """One SSH server, ready to be connected to."""

    config: HostConfig
    label: str
    """How errors call it."""
    host: str
    """Address or name, after ~/.ssh/config."""
    port: int
    username: str
    alias: str
    """The name its host key is kept under."""
    jumps: tuple[HostConfig, ...]
    """Servers on the way, nearest first."""
    command: tuple[str, ...]
    """ProxyCommand, or nothing."""
    known_hosts: tuple[Path, ...]
    identities: tuple[Path, ...]
    """Key files that are tried, those that exist."""
    options: asyncssh.SSHClientConnectionOptions
    ordered_keys: bool
    """Whether we may choose the order of host key algorithms: the configuration does not."""


def resolve(host: HostConfig, label: str = "") -> Target:
    """Work out where and how to connect. Blocks: reads files, may run `Match exec`.

    Raises `Unreachable` for an ssh configuration that cannot be read, `LoginRefused` for a key file that
    cannot be used.
    """
    label = label or (host.name if host.name == host.host else f"{host.name} ({host.host})")
    base = _read_config(host, label)
    config = base.config
    jump = host.proxy_jump if host.proxy_jump is not None else cast("str | None", base.tunnel)
    command = () if host.proxy_jump is not None else tuple(base.proxy_command or ())
    if command and (line := config.get("ProxyCommand")):
        command = ("/bin/sh", "-c", _COMMAND.format(line=line))
    identities = _identities(host, cast("list[str]", config.get("IdentityFile", [])), label)
    target = Target(
        config=host,
        label=label,
        host=base.host,
        port=base.port,
        username=base.username,
        alias=cast("str | None", config.get("HostKeyAlias")) or base.host,
        jumps=_jumps(host, jump),
        command=command,
        known_hosts=hostkeys.files(host, cast("Sequence[str] | None", config.get("UserKnownHostsFile"))),
        identities=identities,
        options=base,
        ordered_keys=config.get("HostKeyAlgorithms") is None,
    )
    return _with_keys(target)


def _read_config(host: HostConfig, label: str) -> asyncssh.SSHClientConnectionOptions:
    """The connection's options but for keys and host keys."""
    given: dict[str, Any] = {"host": host.host}
    if host.sshport is not None:
        given["port"] = host.sshport
    if host.username is not None:
        given["username"] = host.username
    files = [path for path in map(expanded, CONFIGS) if os.access(path, os.R_OK)]
    own = files[:1] if files and files[0] == expanded(CONFIGS[0]) else []
    for attempt in (files, own):
        try:
            found = asyncssh.SSHClientConnectionOptions(
                config=[str(path) for path in attempt], client_keys=None, **given, **_fixed()
            )
        except (ValueError, OSError, asyncssh.Error) as error:
            problem = error  # perhaps only the system's file: it may use words asyncssh does not know
        else:
            return found
    raise Unreachable(
        f"{label}: the ssh configuration cannot be used: {problem}.", hint="Mend ~/.ssh/config."
    ) from None


def _fixed() -> dict[str, Any]:
    """What holds for every connection, whatever the ssh configuration says."""
    return {
        "password_auth": False,
        "kbdint_auth": False,
        "host_based_auth": False,
        "agent_forwarding": False,
        "x11_forwarding": False,
        "compression_algs": ["none"],
        "command": None,
        "request_pty": False,
        "keepalive_interval": _KEEPALIVE,
        "keepalive_count_max": _KEEPALIVE,
        "connect_timeout": LOGIN_TIMEOUT,
        "login_timeout": LOGIN_TIMEOUT,
        "known_hosts": ([], [], []),
    }


def _identities(host: HostConfig, from_config: Sequence[str], label: str) -> tuple[Path, ...]:
    """Key files to try; one named in hosts.yaml must be there."""
    if host.identity_file is not None:
        path = expanded(host.identity_file)
        if not os.access(path, os.R_OK):
            raise LoginRefused(
                f"{label}: the key file {path} {'cannot be read' if path.exists() else 'does not exist'}.",
                hint="Mend `identity_file:` in hosts.yaml.",
            )
        return (path,)
    named = [expanded(name) for name in from_config]
    if not named:
        named = [expanded(Path("~/.ssh", name)) for name in ("id_ed25519", "id_ecdsa", "id_rsa")]
    return tuple(path for path in named if os.access(path, os.R_OK))


def _with_keys(target: Target) -> Target:
    """The target with keys loaded, so that connecting again costs nothing more."""
    config = target.options.config
    chosen = target.config.identity_file is not None or bool(config.get("IdentitiesOnly"))
    public = [path.with_name(path.name + ".pub") for path in target.identities]
    extra: dict[str, Any] = {}
    if chosen and (named := [str(path) for path in public if path.exists()]):
        extra["agent_identities"] = named  # the agent may hold more keys than a server lets us try
    elif chosen and config.get("IdentitiesOnly"):
        extra["agent_path"] = None
    if config.get("Ciphers") is None:
        extra["encryption_algs"] = _CIPHERS
    if target.command:
        extra["proxy_command"] = target.command
    try:
        options = asyncssh.SSHClientConnectionOptions(
            target.options,
            tunnel=None,
            client_keys=[str(path) for path in target.identities],
            ignore_encrypted=True,
            **extra,
        )
    except (ValueError, OSError, asyncssh.Error) as error:
        raise LoginRefused(f"{target.label}: a key file cannot be used: {error}.") from None
    if not target.command:
        options.proxy_command = None  # ours goes by a jump, or directly
    return replace(target, options=options)


def _jumps(host: HostConfig, jump: str | None) -> tuple[HostConfig, ...]:
    """`[user@]host[:port],...` as hosts of their own."""
    found = []
    for part in (jump or "").split(","):
        part = part.strip()
        if not part or part.lower() == "none":
            continue
        user, _, place = part.rpartition("@")
        name, port = place, None
        if ":" in place and not place.endswith("]"):
            name, _, digits = place.rpartition(":")
            port = int(digits) if digits.isdigit() else None
        name = name.strip("[]")
        jump_host = HostConfig(
            name=name, host=name, sshport=port, username=user or None, known_hosts=host.known_hosts
        )
        known = _read_config(jump_host, name).config
        found.append(
            structs.replace(
                jump_host,
                # what hosts.yaml says of this host is a better guess than our user here and ssh's own keys
                username=user or (None if known.get("User") else host.username),
                identity_file=None if known.get("IdentityFile") else host.identity_file,
            )
        )
    return tuple(found)


def encrypted(path: Path) -> bool:
    """Whether a private key needs a passphrase."""
    try:
        asyncssh.read_private_key(path)
    except asyncssh.KeyImportError as error:
        return "assphrase" in str(error)
    except (OSError, ValueError):
        return False
    return False
