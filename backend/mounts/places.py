"""What is to be mounted, and where: from the words people say."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from backend.config import Config
from backend.config.paths import absolute
from backend.errors import ActionFailed, NoSuchTarget, UsageError
from backend.mounts import mountinfo


class Source(NamedTuple):
    """A folder of a host."""

    host: str
    path: str
    """Empty: the home. A relative one starts there."""
    context: str = ""


def source(config: Config, text: str) -> Source:
    """`HOST[:PATH]` or `CONTEXT[:PATH]`. Raises `NoSuchTarget`, `UsageError`."""
    name, _, path = text.partition(":")
    hosts = {each.name for each in config.hosts}
    meant = next((each for each in config.contexts if each.name == name), None)
    if name not in hosts and meant is None:
        known = ", ".join(sorted(hosts | {each.name for each in config.contexts}))
        raise NoSuchTarget(f"there is no host or context {name!r}.", hint=f"There are: {known}.")
    return of(config, name if name in hosts else "", meant.name if meant and name not in hosts else "", path)


def of(config: Config, host: str, context: str, path: str) -> Source:
    """The same of what is known by name. Raises `NoSuchTarget`, `UsageError`."""
    if context:
        host = config.context(context).host
    if config.host(host).local:
        raise UsageError(f"{host} is this machine: its folders are here already.")
    if "\0" in path or "\n" in path:
        raise UsageError(f"{path!r} cannot be mounted.", hint="Mount the folder above it.")
    if path == "~" or path.startswith("~/"):
        path = path[2:]
    elif path.startswith("~"):
        raise UsageError(f"{path!r}: a home of somebody else has to be written out.")
    clean = "/".join(part for part in path.split("/") if part != ".").rstrip("/")
    return Source(host, clean or ("/" if path.startswith("/") else ""), context)


def default_folder(found: Source) -> str:
    """`~/mnt/NAME`, or `~/mnt/NAME-FOLDER` for a folder that is not the home."""
    base = found.path.rpartition("/")[2] or ("root" if found.path else "")
    name = (found.context or found.host) + (f"-{base}" if base else "")
    return str(absolute(Path("~/mnt", name.replace("/", "_"))))


def folder(text: str, found: Source) -> str:
    """Where it is to be seen: absolute. Symbolic links on the way are followed. May block: use a thread."""
    if not text:
        text = default_folder(found)
    whole = absolute(Path(text))
    return str(whole.parent.resolve() / whole.name)


def prepared(target: str, mounts: Sequence[mountinfo.Mounted]) -> tuple[str, ...]:
    """Make sure of an empty folder; the folders that were made. Raises `ActionFailed`. May block."""
    if (there := mountinfo.at(target, mounts)) is not None:
        raise ActionFailed(
            f"{target} is mounted already: {there.source} ({there.kind}).", hint="Name another folder."
        )
    made: list[Path] = []
    missing = Path(target)
    while missing != missing.parent and not os.path.lexists(missing):
        made.insert(0, missing)
        missing = missing.parent
    try:
        for each in made:
            each.mkdir(0o755 if str(each) != target else 0o700)
        if not made:
            _usable(Path(target))
    except OSError as error:
        raise ActionFailed(f"{error.filename or target}: {error.strerror or error}.") from None
    return tuple(map(str, made))


def _usable(folder: Path) -> None:
    """Raises `ActionFailed` for a folder that nothing can be mounted on without harm."""
    if folder.is_symlink() or not folder.is_dir():
        raise ActionFailed(f"{folder} is no folder.", hint="Name another one, or one that is not there.")
    if any(folder.iterdir()):
        raise ActionFailed(
            f"{folder} is not empty: what is in it would be hidden.", hint="Name another folder."
        )
    if not os.access(folder, os.W_OK):
        raise ActionFailed(f"{folder} is not yours: you may not mount on it.")


def able(which: str | None, fuse: str = "/dev/fuse") -> str:
    """The program `sshfs`, where this machine can mount. Raises `UsageError` that says what is missing."""
    if sys.platform != "linux":
        raise UsageError(
            "berth mounts folders on Linux only.",
            hint="On macOS: install macFUSE and sshfs (macfuse.github.io), then: sshfs USER@HOST:PATH DIR;"
            " umount DIR ends it. berth sync needs neither.",
        )
    if which is None:
        raise UsageError("sshfs is not installed on this machine.", hint="Install it: sudo apt install sshfs")
    try:
        os.close(os.open(fuse, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        hint = "On older systems you have to be in the group fuse: sudo usermod -aG fuse $USER"
        if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
            hint = "Load it: sudo modprobe fuse. A container needs --device /dev/fuse --cap-add SYS_ADMIN."
        raise UsageError(f"{fuse} cannot be used: {error.strerror}.", hint=hint) from None
    return which
