"""The docker CLI's contexts: `~/.docker/contexts/meta/*/meta.json`. Those over ssh become hosts."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from backend.errors import ConfigError
from backend.imports.draft import HostDraft, Imported


def read(path: Path, host: str | None = None) -> Imported:
    """Read a docker configuration folder (`~/.docker`), its `contexts`, or one meta.json."""
    tries = (path / "contexts" / "meta", path / "meta", path)
    folder = next((each for each in tries if each.is_dir()), path)
    files = [path] if path.is_file() else sorted(folder.glob("*/meta.json"))
    if not files:
        raise ConfigError(f"{path}: no docker contexts here.", hint="Usually they are in ~/.docker.")
    hosts: list[HostDraft] = []
    notes: list[str] = []
    for file in files:
        draft, note = _one(file)
        hosts += [draft] if draft else []
        notes += [note] if note else []
    return Imported(hosts=tuple(hosts), notes=tuple(notes))


def _one(file: Path) -> tuple[HostDraft | None, str]:
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
        name, endpoint = str(meta["Name"]), str(meta["Endpoints"]["docker"]["Host"])
        parts = urlsplit(endpoint)
        port = parts.port
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return None, f"{file}: is no docker context ({error!r}), passed over."
    if parts.scheme == "ssh" and parts.hostname:
        values: dict[str, object] = {"host": parts.hostname}
        if port:
            values["sshport"] = port
        if parts.username:
            values["username"] = parts.username
        return HostDraft(name=name, values=values, source=str(file)), ""
    if parts.scheme in ("unix", "npipe"):
        return None, f"{file}: {name} is an engine of this machine, which is there as `local`."
    why = "berth reaches engines over ssh only"
    return (
        None,
        f"{file}: {name} is {endpoint[:80]}: {why}; add the machine to hosts.yaml by its ssh address.",
    )
