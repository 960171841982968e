"""Host keys: what is on record for a host, what that says of the key it offers, and adding to the record."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import asyncssh

from backend.config import HostConfig
from backend.config.paths import expanded
from backend.errors import ActionFailed, HostKeyChanged, HostKeyUnknown

DEFAULT = Path("~/.ssh/known_hosts")
GLOBAL = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))
_DEFAULT_PORT = 22


@dataclass(frozen=True)
class Entry:
    """One line of a known_hosts file that is about a host."""

    path: Path
    line: int
    kind: str
    """`key`, `ca` or `revoked`."""
    key: asyncssh.SSHKey

    @property
    def where(self) -> str:
        """`file:line`."""
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Record:
    """All that is on record for one name and port."""

    label: str
    """How errors call the host."""
    pattern: str
    """How a known_hosts line for it begins: `name`, or `[name]:port`."""
    entries: tuple[Entry, ...]
    portless: tuple[Entry, ...]
    """For a port other than 22, lines without a port: they may vouch for a key, but never against one."""

    def keys(self, kind: str) -> list[asyncssh.SSHKey]:
        """The keys of that kind."""
        return [entry.key for entry in self.entries if entry.kind == kind]

    def trusts(self, key: asyncssh.SSHKey) -> bool:
        """Whether a line without a port vouches for it."""
        return any(entry.key == key and entry.kind == "key" for entry in self.portless)

    def refusal(self, reason: str) -> HostKeyChanged:
        """Why a key or certificate is bad whatever else is on record: revoked, expired, not for this host."""
        revoked = [entry.where for entry in self.entries if entry.kind == "revoked"]
        where = f", see {revoked[0]}" if revoked and "revoked" in reason else ""
        return HostKeyChanged(
            f"{self.label} shows a key that must not be trusted: {reason}{where}.",
            hint="Somebody may listen in. Ask its administrator; do not connect until it is explained.",
        )

    def verdict(self, offered: asyncssh.SSHKey) -> HostKeyChanged | HostKeyUnknown:
        """Why the key that was offered is not good enough."""
        fingerprint = offered.get_fingerprint()
        known = [entry for entry in self.entries if entry.kind == "key"]
        if known:
            return HostKeyChanged(
                f"{self.label} shows another key ({offered.get_algorithm()}, {fingerprint}) than the one on"
                f" record in {known[0].where} ({known[0].key.get_fingerprint()}).",
                hint="Somebody may listen in, or it was set up anew: ask its administrator. If that is so:"
                f" ssh-keygen -R '{self.pattern}' -f {known[0].path}",
            )
        line = offered.export_public_key("openssh").decode().split()
        return HostKeyUnknown(
            f"the key of {self.label} ({offered.get_algorithm()}, {fingerprint}) is on no record.",
            hint=f"Compare the fingerprint with what its administrator says, then accept it{self._how()}.",
            key=f"{self.pattern} {line[0]} {line[1]}",
            fingerprint=fingerprint,
        )

    def _how(self) -> str:
        name, _, port = (
            self.pattern.rpartition(":") if self.pattern.startswith("[") else (self.pattern, "", "")
        )
        return f" in the dashboard, or by: ssh {'-p ' + port + ' ' if port else ''}{name.strip('[]')}"


def pattern(name: str, port: int) -> str:
    """How a known_hosts line for that name and port begins."""
    return name if port == _DEFAULT_PORT else f"[{name}]:{port}"


def record(label: str, files: Sequence[Path], name: str, port: int) -> Record:
    """What the files say about `name` and `port`. Files that are missing say nothing."""
    plain = port == _DEFAULT_PORT
    own = pattern(name, port)
    found: dict[bool, list[Entry]] = {True: [], False: []}
    for path in files:
        for number, line in _lines(path):
            for with_port in (True,) if plain else (True, False):
                match = line.match(own if with_port else name, "", None)
                for kind, keys in zip(("key", "ca", "revoked"), match[:3], strict=False):
                    found[with_port].extend(Entry(path, number, kind, key) for key in keys)
    # what is revoked or certified for the bare name holds for all its ports
    strong = [entry for entry in found[False] if entry.kind != "key"]
    return Record(label, own, tuple(found[True] + strong), tuple(found[False]))


def _lines(path: Path) -> Sequence[tuple[int, asyncssh.SSHKnownHosts]]:
    try:
        status = path.stat()
        return _parse(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return ()


@lru_cache(maxsize=16)
def _parse(path: Path, _mtime: int, _size: int) -> Sequence[tuple[int, asyncssh.SSHKnownHosts]]:
    """Each line by itself, so that errors can name it; a line nobody can read is passed over, as by ssh."""
    found = []
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            try:
                found.append((number, asyncssh.import_known_hosts(text)))
            except (ValueError, asyncssh.KeyImportError):
                continue
    return found


def add(path: Path, own: str, key: str) -> None:
    """Append a line to a known_hosts file in one write; the file is made 0600, its folder 0700.

    `key` may carry its own pattern (`gate ssh-ed25519 AAAA...`), as `HostKeyUnknown.key` does, or be the bare
    key, for `own`. Raises `ActionFailed`.
    """
    words = key.split()
    try:
        names, bare = (own, words) if len(words) == 2 else (words[0], words[1:])
        asyncssh.import_public_key(" ".join(bare))
        if len(bare) != 2 or any(char in names for char in "*?!|@#"):
            raise ValueError(key)
    except (ValueError, IndexError, asyncssh.KeyImportError):
        raise ActionFailed("that is not a host key.") from None
    try:
        _append(expanded(path), f"{names} {bare[0]} {bare[1]}\n".encode())
    except OSError as error:
        raise ActionFailed(
            f"the host key cannot be added to {path}: {error.strerror}.",
            hint="Set `known_hosts:` in hosts.yaml to a file you may write.",
        ) from None


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files(host: HostConfig, from_config: Sequence[str] | None) -> tuple[Path, ...]:
    """The known_hosts files for a host: its own if configured, else ssh's; the first is where keys are added.

    `from_config` is `UserKnownHostsFile` of the ssh configuration; `none` and /dev/null change nothing here.
    """
    if host.known_hosts is not None:
        return (expanded(host.known_hosts), *GLOBAL)
    named = [expanded(name) for name in from_config or () if name not in ("none", "/dev/null")]
    return (*(named or [expanded(DEFAULT)]), *GLOBAL)
