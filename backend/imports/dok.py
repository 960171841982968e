"""dok's config.yaml: the entries below `run.images` become contexts.

Its lists of volumes and variables are written as `-v "a:b"` and `-e "A=1"` words without separators, which
YAML reads as one text.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from backend.errors import ConfigError
from backend.imports.draft import ContextDraft, Imported

_KNOWN = {
    "image",
    "user",
    "gpus",
    "volumes",
    "environments",
    "cpuset",
    "cpuset-cpus",
    "shm",
    "shm-size",
    "name",
}
COMMON: dict[str, Any] = {"network": "host", "shm_size": "10G"}
"""What its run script gives every container."""


def read(path: Path, host: str | None = None) -> Imported:
    """Read config.yaml, or the folder (or its `images`) that holds it. `host` is where they are to run."""
    import yaml

    tries = (path, path / "config.yaml", path / "images" / "config.yaml")
    file = next((each for each in tries if each.is_file()), None)
    if file is None:
        raise ConfigError(f"{path}: no config.yaml of dok here.")
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        run = found.get("run") or {}
        entries = run.get("images") or {}
        common = _words(run.get("environments"), "-e")
        entries = dict(entries.items())
    except (yaml.YAMLError, AttributeError, ValueError, OSError, RecursionError) as error:
        raise ConfigError(f"{file}: cannot be read: {' '.join(str(error).split())[:200]}.") from None
    contexts: list[ContextDraft] = []
    notes: list[str] = []
    for name, entry in entries.items():
        if not isinstance(entry, dict) or not entry.get("image"):
            notes.append(f"{file}: run.images.{name}: names no image, passed over.")
            continue
        notes += [f"{file}: run.images.{name}.{key}: left out." for key in entry if key not in _KNOWN]
        try:
            values = _values(entry, host or "local", common)
        except ValueError as error:
            notes.append(f"{file}: run.images.{name}: {error}, passed over.")
            continue
        contexts.append(ContextDraft(name=str(name), values=values, source=str(file)))
    if found.get("build"):
        notes.append(f"{file}: build: image recipes are no contexts; left out.")
    return Imported(contexts=tuple(contexts), notes=tuple(notes))


def _values(entry: dict[str, Any], host: str, common: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {"host": host, "image": str(entry["image"]), **COMMON}
    if "user" in entry:
        values["user"] = str(entry["user"])
    gpus = entry.get("gpus")
    if gpus is not None:
        # Its run script says `--gpus device=N`: a number is an index there, not how many.
        values["gpus"] = "all" if gpus == "all" else str(gpus).replace(" ", "").split(",")
    if cpuset := entry.get("cpuset") or entry.get("cpuset-cpus"):
        values["cpuset"] = str(cpuset)
    if shm := entry.get("shm") or entry.get("shm-size"):
        values["shm_size"] = str(shm)
    if mounts := _words(entry.get("volumes"), "-v"):
        values["mounts"] = mounts
    pairs = [*common, *_words(entry.get("environments"), "-e")]
    if env := dict(pair.split("=", 1) for pair in pairs if "=" in pair):
        values["env"] = env
    return values


def _words(text: Any, flag: str) -> list[str]:
    """The words of `-v "a" -v "b"`, also where they are a proper list."""
    if isinstance(text, list):
        text = " ".join(map(str, text))
    return [word for word in shlex.split(str(text or "")) if word != flag]
