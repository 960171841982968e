"""Reads what other tools have on hosts and contexts, and says what it could not translate."""

from __future__ import annotations

from pathlib import Path

from backend.config.paths import expanded
from backend.imports.draft import ContextDraft, HostDraft, Imported

KINDS = ("container-juggle", "docker", "ssh", "dok", "rp")
"""Whose files can be read."""
USUAL = {"docker": "~/.docker", "ssh": "~/.ssh/config", "container-juggle": "~/mirror", "dok": ".", "rp": "."}
"""Where they usually are."""


def read(kind: str, path: Path | None = None, host: str | None = None) -> Imported:
    """Read the files of another tool. `host` is for those that know no hosts. Raises `ConfigError`."""
    from backend.errors import ConfigError
    from backend.imports import bash_contexts, docker_contexts, dok, rp, ssh_config

    readers = {
        "container-juggle": bash_contexts.read,
        "docker": docker_contexts.read,
        "ssh": ssh_config.read,
        "dok": dok.read,
        "rp": rp.read,
    }
    where = expanded(path or USUAL[kind])
    if not where.exists():
        raise ConfigError(f"{where}: is not there.", hint=f"Usually: {USUAL[kind]}")
    return readers[kind](where, host)


__all__ = ["KINDS", "USUAL", "ContextDraft", "HostDraft", "Imported", "read"]
