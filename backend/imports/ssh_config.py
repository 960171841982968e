"""`~/.ssh/config`: every plain `Host` becomes a host that says no more than its name.

Address, port, user, keys and jumps stay where they are: berth reads them from ~/.ssh/config each time.
"""

from __future__ import annotations

import glob
import shlex
from pathlib import Path

from backend.config.paths import expanded
from backend.errors import ConfigError
from backend.imports.draft import HostDraft, Imported

_FILES = 500
"""Files that are read at most."""
_FORGES = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org")
"""Hosts one cannot log in to: people have them in their file for their keys."""


def read(path: Path, host: str | None = None) -> Imported:
    """Read an ssh configuration file, or the folder that holds `config`."""
    file = path / "config" if path.is_dir() else path
    usual = expanded("~/.ssh/config")
    if file.resolve() != usual.resolve():
        raise ConfigError(
            f"{file}: is not the file that ssh and berth read ({usual}).",
            hint=f"Write `Include {file}` at the top of {usual}, then: berth import ssh",
        )
    hosts: dict[str, HostDraft] = {}
    notes: list[str] = []
    _file(file, hosts, notes, set())
    if not hosts and not notes:
        raise ConfigError(f"{file}: names no host.", hint="Patterns such as `Host *` are no hosts.")
    return Imported(hosts=tuple(hosts.values()), notes=tuple(notes))


def _file(file: Path, hosts: dict[str, HostDraft], notes: list[str], seen: set[Path]) -> None:
    """Read a file and those it includes, each once: they may include each other."""
    first = not seen
    seen.add(file.resolve())
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        if first:
            raise ConfigError(f"{file}: cannot be read: {error.strerror}.") from None
        notes.append(f"{file}: cannot be read: {error.strerror}.")
        return
    for number, line in enumerate(lines, 1):
        try:
            words = shlex.split(line.replace("=", " ", 1), comments=True)
        except ValueError as error:
            notes.append(f"{file}:{number}: {error}, left out.")
            continue
        keyword = words[0].lower() if words else ""
        if keyword == "host":
            for name in words[1:]:
                _name(name, f"{file}:{number}", hosts, notes)
        elif keyword == "include":
            for pattern in words[1:]:
                for included in _matches(pattern):
                    if included.resolve() not in seen and len(seen) < _FILES:
                        _file(included, hosts, notes, seen)


def _matches(pattern: str) -> list[Path]:
    place = expanded(pattern)
    if not place.is_absolute():
        place = expanded("~/.ssh") / place
    return sorted(map(Path, glob.glob(str(place))))  # noqa: PTH207  # which takes not every pattern


def _name(name: str, where: str, hosts: dict[str, HostDraft], notes: list[str]) -> None:
    if any(char in name for char in "*?!"):
        return
    if name in _FORGES:
        notes.append(f"{where}: {name} is a git server, passed over.")
    elif name not in hosts:
        hosts[name] = HostDraft(name=name, values={"host": name}, source=where)
