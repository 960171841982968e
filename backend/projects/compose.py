"""The Dockerfile of an rp project, out of its parts.

    docker/Dockerfile, docker/hook_pre_useradd, the user, docker/hook_post_useradd, the hook for shells

The user is made with nothing but `sh`, so that every base will do; a base that has somebody with that uid
already keeps him, and he gets the home. The context is the folder `docker/`. The scripts are not in the
image: one image serves all jobs of the same content, and a job's command is fixed at submit.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from backend.errors import ConfigError, UsageError
from backend.projects.model import Project
from backend.projects.rp import HOME

NAME = "Dockerfile.berth"
"""What the composed file is called in the context that is sent."""
_LIMIT = 1 << 20
_START = (
    'hook=$1; shift; [ -f "$hook" ] && . "$hook"; case $1 in *.py) set -- python "$@";;'
    ' *) [ -f "$1" ] && set -- "$BERTH_SHELL" "$@";; esac; exec "$@"'
)
"""What runs first in a job, in bash where there is one: the project's hook, then the script by its kind."""
_SHELL = (
    "BERTH_SHELL=$(command -v bash || command -v sh); export BERTH_SHELL;"
    ' exec "$BERTH_SHELL" -c "$0" berth "$@"'
)


def start(project: Project) -> tuple[str, ...]:
    """What a container of the project runs before the script and its arguments."""
    return ("/bin/sh", "-c", _SHELL, _START, f"{HOME}/{project.name}/docker/bashhook.sh")


def dockerfile(project: Project, uid: int, gid: int) -> str:
    """The composed file. Raises `ConfigError` for a part that cannot be read, `UsageError` for root."""
    user = "USER root"
    if uid:
        user += f"\nRUN {_user(uid, gid)}\nENV HOME={HOME}\nUSER {uid}:{gid}"
    hook = f"{HOME}/{project.name}/docker/bashhook.sh"
    rc = f'mkdir -p {HOME} && echo \'[ -f "{hook}" ] && . "{hook}"\' >> {HOME}/.bashrc'
    return "\n".join(
        [
            _part(project, "Dockerfile", needed=True),
            _part(project, "hook_pre_useradd"),
            user,
            _part(project, "hook_post_useradd"),
            f"RUN {rc}",
            f"ENV HOME={HOME}",
            f"WORKDIR {HOME}/{project.name}",
            "",
        ]
    )


def digest(project: Project, uid: int, gid: int) -> str:
    """Names the content of the image: 16 hexadecimal digits over the composed file and its context."""
    found = hashlib.sha256(dockerfile(project, uid, gid).encode())
    folder = project.folder / "docker"
    for path in context(project):
        relative = path.relative_to(folder).as_posix()
        status = path.lstat()
        found.update(f"\0{relative}\0{stat.S_IMODE(status.st_mode):o}\0".encode(errors="surrogateescape"))
        if stat.S_ISLNK(status.st_mode):
            found.update(os.fsencode(path.readlink()))
        elif stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:16]


def context(project: Project) -> Iterator[Path]:
    """Files and links of the build context, sorted; folders are what holds them."""
    folder = project.folder / "docker"
    for here, folders, files in os.walk(folder):
        folders.sort()
        linked = [name for name in folders if Path(here, name).is_symlink()]
        for name in sorted([*files, *linked]):
            yield Path(here, name)


def _part(project: Project, name: str, *, needed: bool = False) -> str:
    path = project.folder / "docker" / name
    try:
        text = path.read_bytes()[: _LIMIT + 1].decode("utf-8-sig")
    except FileNotFoundError:
        if needed:
            raise UsageError(
                f"{path} does not exist.", hint="A project needs a Dockerfile: berth init makes one."
            ) from None
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    if len(text) > _LIMIT:
        raise ConfigError(f"{path} is larger than {_LIMIT} bytes.")
    if needed and not text.strip():
        raise UsageError(f"{path} is empty.", hint="Its first line says FROM what: FROM ubuntu:22.04")
    return text.replace("\r\n", "\n").rstrip("\n")


def _user(uid: int, gid: int) -> str:
    group = f"grep -q '^[^:]*:[^:]*:{gid}:' /etc/group || echo 'user:x:{gid}:' >> /etc/group"
    line = f"user:x:{uid}:{gid}::{HOME}:/bin/sh"
    person = f"grep -q '^[^:]*:[^:]*:{uid}:' /etc/passwd || echo '{line}' >> /etc/passwd"
    return f"mkdir -p {HOME}; {{ {group}; }}; {{ {person}; }}; chown {uid}:{gid} {HOME}"
