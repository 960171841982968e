"""A project of rp: `.rp/info.json` and `.rp/paths.json` become a context that opens a shell in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend.errors import ConfigError
from backend.imports.draft import ContextDraft, Imported

_KNOWN = {"cpu", "docker_shm", "gpus", "memory", "name", "rp_version", "stdout_to_file", "tag", "username"}


def read(path: Path, host: str | None = None) -> Imported:
    """Read a project folder (or its `.rp`). `host` is where it lies and runs."""
    project = path.parent if path.name == ".rp" else path
    info = _json(project / ".rp" / "info.json")
    if not isinstance(info, dict):
        raise ConfigError(f"{project / '.rp' / 'info.json'}: is no JSON object.")
    name = str(info.get("name") or project.name)
    source = project.resolve()
    mounts = [f"{source}:/home/user/{name}"]
    notes = [f"{project}/.rp/info.json: {key}: left out." for key in info if key not in _KNOWN]
    taken = {name}
    paths = project / ".rp" / "paths.json"
    more = (_json(paths) if paths.exists() else []) or []
    if not isinstance(more, list):
        notes.append(f"{paths}: is no list, left out.")
        more = []
    for each in more:
        last = Path(str(each)).name
        if not Path(str(each)).is_absolute() or not last:
            notes.append(f"{paths}: {str(each)[:80]!r} is no absolute path, left out.")
        elif last in taken:
            notes.append(f"{paths}: {each} would hide another /home/user/{last}, left out.")
        else:
            taken.add(last)
            mounts.append(f"{each}:/home/user/{last}")
    values: dict[str, Any] = {
        "host": host or "local",
        "image": str(info.get("tag") or f"rp_{name}"),
        "workdir": f"/home/user/{name}",
        "mounts": mounts,
    }
    for theirs, ours, unit in (
        ("cpu", "cpus", ""),
        ("memory", "memory", "G"),
        ("docker_shm", "shm_size", ""),
    ):
        if info.get(theirs):
            values[ours] = f"{info[theirs]}{unit}" if unit else info[theirs]
    if gpus := info.get("gpus"):
        if isinstance(gpus, int) or (isinstance(gpus, str) and gpus.isascii() and gpus.isdigit()):
            values["gpus"] = int(gpus)
        else:
            notes.append(f"{project}/.rp/info.json: gpus: {str(gpus)[:80]!r} is no number, left out.")
    draft = ContextDraft(name=name, values=values, source=str(project))
    return Imported(contexts=(draft,), notes=tuple(notes))


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read: {error.strerror}.", hint="Is this an rp project?"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: is no JSON: {error}.") from None
