"""The same way to a host for programs that start `ssh` themselves: a configuration file for OpenSSH.

All that berth's own link goes by stands in it: address, port, user, keys, jump hosts, and which host keys are
trusted. Nothing else is read, and nothing is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backend.config import HostConfig
from backend.errors import UsageError
from backend.link import hostkeys
from backend.link.target import Target, resolve
from backend.link.threads import in_thread

_PASSED_ON = ("Ciphers", "MACs", "KexAlgorithms", "HostKeyAlgorithms", "BindAddress", "AddressFamily")
"""What the link takes from ~/.ssh/config, and OpenSSH takes as it is written."""
_FIXED = (
    ("BatchMode", "yes"),
    ("StrictHostKeyChecking", "yes"),
    ("UpdateHostKeys", "no"),
    ("PasswordAuthentication", "no"),
    ("KbdInteractiveAuthentication", "no"),
    ("ForwardAgent", "no"),
    ("ForwardX11", "no"),
    ("PermitLocalCommand", "no"),
    ("ControlMaster", "no"),
    ("ControlPath", "none"),
    ("ConnectTimeout", "10"),
    ("ServerAliveInterval", "5"),
    ("ServerAliveCountMax", "3"),
    ("LogLevel", "ERROR"),
)


@dataclass(frozen=True)
class Written:
    """What `ssh -F` needs."""

    text: str
    """The configuration."""
    known_hosts: str
    """Lines for a known_hosts file at the place that was named."""


async def configuration(host: HostConfig, alias: str, extra: Path) -> Written:
    """A configuration in which `alias` is that host. `extra`: where its `known_hosts` will be.

    Raises what a link raises for a configuration or key that cannot be used.
    """
    return await in_thread(_configuration, host, alias, extra)


def _configuration(host: HostConfig, alias: str, extra: Path) -> Written:
    target = resolve(host)
    hops = [(f"{alias}-jump-{number}", resolve(hop)) for number, hop in enumerate(target.jumps)]
    blocks: list[str] = []
    lines: list[str] = []
    before = ""
    for name, hop in [*hops, (alias, target)]:
        blocks.append(_block(name, hop, before, extra))
        lines += _vouched(hop)
        before = name
    return Written("\n".join(blocks), "".join(lines))


def _block(name: str, target: Target, jump: str, extra: Path) -> str:
    config = target.options.config
    lines = [("HostName", target.host), ("Port", str(target.port)), ("User", target.username)]
    lines.append(("HostKeyAlias", hostkeys.pattern(target.alias, target.port)))
    lines += [("IdentityFile", _escaped(str(path))) for path in target.identities] or [
        ("IdentityFile", "none")
    ]
    if target.config.identity_file is not None or config.get("IdentitiesOnly"):
        lines.append(("IdentitiesOnly", "yes"))
    if agent := config.get("IdentityAgent"):
        lines.append(("IdentityAgent", str(agent)))
    if jump:
        lines.append(("ProxyJump", jump))
    elif target.command:
        lines.append(("ProxyCommand", _escaped(str(config.get("ProxyCommand")))))
    else:
        lines.append(("ProxyCommand", "none"))
    for key in _PASSED_ON:
        if (value := config.get(key)) is not None:
            lines.append((key, ",".join(value) if isinstance(value, list) else str(value)))
    if config.get("Ciphers") is None:
        lines.append(("Ciphers", "^aes128-gcm@openssh.com"))
    own = [path for path in target.known_hosts if path not in hostkeys.GLOBAL]
    files = " ".join(_quoted(_escaped(str(path))) for path in (*own, extra))
    bare = {"ProxyCommand": lambda text: text}
    out = [f"Host {_plain(name)}", *(f"    {key} {bare.get(key, _quoted)(_plain(v))}" for key, v in lines)]
    out.append(f"    UserKnownHostsFile {_plain(files)}")
    out += [f"    {key} {value}" for key, value in _FIXED]
    return "\n".join(out) + "\n"


def _vouched(target: Target) -> list[str]:
    """Keys that the link trusts and OpenSSH would not: those on record for the name without its port."""
    record = hostkeys.record(target.label, target.known_hosts, target.alias, target.port)
    keys = [each.key for each in record.portless if each.kind == "key"]
    return [f"{record.pattern} {key.export_public_key('openssh').decode().strip()}\n" for key in keys]


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text


def _plain(text: str) -> str:
    """Raises `UsageError` for what would end its line or its quotes."""
    if any(char in text for char in "\n\r\0") or (text.count('"') % 2):
        raise UsageError(f"{text!r} cannot stand in an ssh configuration.")
    return text
