"""Projects of rp: read unchanged, and made by `berth init` with the same tree and the same fields.

docker/Dockerfile, docker/bashhook.sh, docker/hook_pre_useradd, docker/hook_post_useradd
.rp/info.json     name, tag, username, cpu, gpus, memory (GB), docker_shm, stdout_to_file, rp_version
.rp/paths.json    folders, each seen at /home/user/LAST: absolute ones of the host, or names of the project's
.cache/, output/
"""

from __future__ import annotations

import getpass
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from backend.errors import ConfigError, UsageError
from backend.projects.model import Defaults, Project
from backend.queues import words

VERSION = "0.0.1"
"""The version of the form of these files."""
HOME = "/home/user"
"""The home inside a project's containers."""
_INFO = ".rp/info.json"
_PATHS = ".rp/paths.json"
_LIMIT = 1 << 20
_GB = 1024**3
_DOCKERFILE = """\
FROM ubuntu:22.04

# RUN apt-get update && apt-get install -y --no-install-recommends python3
"""
_BASHHOOK = """\
# Runs whenever a container of this project starts. Install nothing here: it would be done at every run.
"""
_DEMO = 'echo "rp-demo"\n'
_PRE = "# RUN lines of this file are executed before the user is made, as root.\n"
_POST = "# RUN lines of this file are executed as the user.\n"


def find(folder: Path) -> Project | None:
    """The project that a folder is in; None without one. Raises `ConfigError` for one that is broken."""
    for each in (folder, *folder.parents):
        if (each / _INFO).is_file():
            return read(each)
    return None


def read(folder: Path) -> Project:
    """The project in this folder. Raises `ConfigError` naming file and field."""
    info = _object(folder / _INFO)
    name = _text(folder, info, "name") or folder.name
    user = _text(folder, info, "username") or getpass.getuser()
    shm = _text(folder, info, "docker_shm")
    return Project(
        folder=folder,
        name=name,
        kind="rp",
        tag=image_name(_text(folder, info, "tag") or f"{user}/rp_{name}"),
        defaults=Defaults(
            cpus=_number(folder, info, "cpu", 1, 4096) or 1,
            gpus=_number(folder, info, "gpus", 0, 1024) or 0,
            memory=int(_size(folder, info, "memory") * _GB),
            shm=_shm(folder, shm),
            to_file=_flag(folder, info, "stdout_to_file"),
        ),
        paths=_paths(folder),
    )


def folder(text: str) -> Path:
    """A folder of this machine. Raises `UsageError` where there is none."""
    top = Path(text).expanduser().absolute()
    if not top.is_dir():
        raise UsageError(f"{top} is no folder.", hint="Make it first: mkdir")
    return top


def init(folder: Path) -> list[str]:
    """Make a project of a folder; what was written. What is there stays as it is.

    Raises `UsageError` where it is one already.
    """
    if (folder / _INFO).exists():
        raise UsageError(f"{folder} is a project already.", hint=f"Its settings: {folder / _INFO}")
    user = re.sub(r"[^a-z0-9_.-]+", "_", getpass.getuser().lower()) or "user"
    name = re.sub(r"[^a-z0-9_.-]+", "_", folder.name.lower()).strip("_.-") or "project"
    info = {
        "cpu": 4,
        "docker_shm": "64g",
        "gpus": 1,
        "memory": 8,
        "name": name,
        "rp_version": VERSION,
        "stdout_to_file": False,
        "tag": f"{user}/rp_{name}",
        "username": user,
    }
    files = {
        "docker/Dockerfile": _DOCKERFILE,
        "docker/bashhook.sh": _BASHHOOK,
        "demo.sh": _DEMO,
        "docker/hook_pre_useradd": _PRE,
        "docker/hook_post_useradd": _POST,
        _PATHS: json.dumps(["output", ".cache"], indent=4) + "\n",
        _INFO: json.dumps(info, indent=4) + "\n",
    }
    for name_ in (".cache", "output", "docker", ".rp", ".rp/logs"):
        (folder / name_).mkdir(parents=True, exist_ok=True)
    written = []
    for relative, text in files.items():
        path = folder / relative
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            written.append(relative)
    return written


def image_name(tag: str) -> str:
    """What people wrote as a tag, as a name that an engine takes: lower case, nothing odd."""
    clean = re.sub(r"[^a-z0-9_./-]+", "_", tag.split(":", 1)[0].lower())
    parts = [re.sub(r"[_.-]{3,}", "_", part).strip("._-") for part in clean.split("/")]
    return "/".join(part for part in parts if part) or "rp/project"


def mounts(project: Project, folder: str, own: str = "") -> tuple[tuple[str, str, bool], ...]:
    """The project at /home/user/NAME and each of its paths at /home/user/LAST; `folder`: where its
    code is there; `own`: where its own folders are, if not beside the code.

    Raises `UsageError` where two would come to the same place.
    """
    found = [(folder, f"{HOME}/{PurePosixPath(folder).name if not project.name else project.name}", False)]
    seen = {found[0][1]: folder}
    for named in project.paths:
        path = named if named.startswith("/") else f"{own or folder}/{named}"
        target = f"{HOME}/{PurePosixPath(path).name}"
        if target in seen:
            raise UsageError(
                f"{seen[target]} and {path} would both be mounted at {target}.",
                hint=f"Take one of them out of {project.folder / _PATHS}",
            )
        seen[target] = path
        found.append((path, target, False))
    return tuple(found)


def _object(path: Path) -> dict[str, Any]:
    found = _json(path)
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: not an object.", hint='It looks like {"name": "demo", "cpu": 4, ...}.')
    return found


def _json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            raise ConfigError(f"{path} is larger than {_LIMIT} bytes.")
        return json.loads(data)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}:{error.colno}: {error.msg}.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}.") from None


def _paths(folder: Path) -> tuple[str, ...]:
    path = folder / _PATHS
    try:
        found = _json(path)
    except FileNotFoundError:
        return ()
    listed = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise ConfigError(
            f"{path}: not a list of folders.", hint='It looks like ["/data/set1", "/data/set2"].'
        )
    for each in listed:
        inside = "/" not in each and each not in ("", ".", "..")
        if not (inside or (each.startswith("/") and each.strip("/"))) or "\0" in each:
            raise ConfigError(f"{path}: {each!r} is not an absolute path of a folder.")
    return tuple(each.rstrip("/") for each in listed)


def _text(folder: Path, info: dict[str, Any], key: str) -> str:
    value = info.get(key, "")
    if value is None:
        return ""
    if not isinstance(value, (str, int)) or isinstance(value, bool) or "\0" in str(value):
        raise _wrong(folder, key, value, "a text")
    return str(value).strip()


def _number(folder: Path, info: dict[str, Any], key: str, low: int, high: int) -> int | None:
    value = info.get(key)
    if value is None:
        return None
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,6}(\.0+)?", text) or not low <= float(text) <= high:
        raise _wrong(folder, key, value, f"a number, {low} to {high}")
    return int(float(text))


def _size(folder: Path, info: dict[str, Any], key: str) -> float:
    """GB."""
    value = info.get(key)
    if value is None:
        return 0.0
    try:
        return 0.0 if str(value) in ("0", "") else words.memory(str(value)) / _GB
    except UsageError:
        raise _wrong(folder, key, value, "a number of GB") from None


def _shm(folder: Path, text: str) -> int:
    if not text:
        return 0
    try:
        return words.memory(text)
    except UsageError:
        raise _wrong(folder, "docker_shm", text, "a size like 64g") from None


def _flag(folder: Path, info: dict[str, Any], key: str) -> bool:
    value = info.get(key, False)
    if not isinstance(value, bool):
        raise _wrong(folder, key, value, "true or false")
    return value


def _wrong(folder: Path, key: str, value: Any, what: str) -> ConfigError:
    return ConfigError(f"{folder / _INFO}: {key}: {value!r:.60} is not {what}.")
