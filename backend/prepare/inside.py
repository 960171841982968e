"""How a container is inside, for what `berth install` puts there: asked by its own shell."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.errors import ActionFailed
from backend.text import printable

if TYPE_CHECKING:
    from backend.engine import EngineClient

MANIFEST = ".berth-tools.json"
"""In the home inside: what berth put there."""
_PART = ".berth-part"
_MOST = 1 << 20

_LOOK = r"""
cd || exit 1
id -u && id -g && pwd -P || exit 1
for each in apt-get dnf yum zypper apk; do
    if command -v "$each" >/dev/null 2>&1; then echo "manager $each"; break; fi
done
if command -v bash >/dev/null 2>&1; then echo "bash"; fi
for each; do
    if [ -L "$each" ]; then echo "link $each"
    elif [ -d "$each" ]; then echo "folder $each"
    elif [ -f "$each" ]; then
        sum=$(sha256sum <"$each" 2>/dev/null)
        echo "file ${sum%% *} $each"
    elif [ -e "$each" ]; then echo "odd $each"
    fi
done
"""
"""For `sh -c` as the user, with paths below the home."""
_MISSING = r"""
manager=$1
shift
for each; do
    case $manager in
    apt-get) dpkg-query -W -f '${db:Status-Status}' "$each" 2>/dev/null | grep -qx installed ;;
    apk) apk info -e "$each" >/dev/null 2>&1 ;;
    *) rpm -q --whatprovides "$each" >/dev/null 2>&1 ;;
    esac || echo "$each"
done
"""
_PLACE = r"""
cd || exit 1
part=$1
shift
while [ $# -ge 2 ]; do
    folder=$(dirname "$2")
    mkdir -p "$folder" && mv -f "$part/$1" "$2" || { rm -rf "$part"; exit 1; }
    shift 2
done
rm -rf "$part"
"""
"""For `sh -c` as the user: PART and pairs of a name in it and a path."""
_REMOVE = r"""
cd || exit 1
for each; do
    if [ -d "$each" ] && [ ! -L "$each" ]; then
        rmdir "$each" 2>/dev/null || true
    else
        rm -f "$each" || exit 1
    fi
done
"""


@dataclass(frozen=True)
class Inside:
    """A container as a user of it sees it."""

    uid: int
    gid: int
    home: str
    manager: str
    """Empty: none that berth knows."""
    bash: bool
    kinds: Mapping[str, str]
    """Path below the home -> link, folder, file or odd; what is missing is not in it."""
    sums: Mapping[str, str]
    """File -> its SHA-256; empty where nothing inside can count it."""
    installed: Manifest


@dataclass
class Manifest:
    """What berth put into a home inside."""

    files: dict[str, str] = field(default_factory=dict)
    """Path -> SHA-256."""
    folders: list[str] = field(default_factory=list)
    block: str = ""
    """SHA-256 of the block in ~/.bashrc; empty: none."""
    created: bool = False
    """~/.bashrc was made for it."""
    joined: bool = False
    """The line before the block had no end."""
    packages: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Manifest:
        """What can be understood of it."""
        import msgspec

        try:
            return msgspec.json.decode(text.encode("utf-8", "replace"), type=cls)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return cls()

    def text(self) -> str:
        """As it is written."""
        return json.dumps(self.__dict__, indent=1) + "\n"


async def look(engine: EngineClient, container: str, user: str, paths: Sequence[str]) -> Inside:
    """How it is inside. Raises `ActionFailed` where nothing can be asked there."""
    installed = Manifest.read(await text_of(engine, container, user, MANIFEST))
    paths = [*paths, *installed.files, *installed.folders]
    done = await engine.exec(container, ["sh", "-c", _LOOK, "berth", *dict.fromkeys(paths)], user=user)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    uid, gid, home = (*lines, "", "", "")[:3]
    if done.exit_code or not (uid.isdigit() and gid.isdigit()) or not home.startswith("/"):
        said = printable(done.stderr.decode("utf-8", "replace").strip()[-200:], 200) or "no answer"
        raise ActionFailed(f"the container cannot be asked about itself ({said}).")
    kinds, sums = {}, {}
    manager, bash = "", False
    for line in lines[3:]:
        word, _, rest = line.partition(" ")
        if word == "manager":
            manager = rest
        elif word == "bash":
            bash = True
        elif word == "file":
            total, _, path = rest.partition(" ")
            kinds[path] = word
            sums[path] = total if re.fullmatch("[0-9a-f]{64}", total) else ""
        elif word in ("link", "folder", "odd"):
            kinds[rest] = word
    return Inside(int(uid), int(gid), home, manager, bash, kinds, sums, installed)


async def text_of(engine: EngineClient, container: str, user: str, path: str) -> str:
    """A small file below the home, empty where it is not there. Bytes that are no text survive."""
    script = 'cd && [ -f "$1" ] && head -c 1048577 "$1"'
    done = await engine.exec(container, ["sh", "-c", script, "berth", path], user=user)
    if done.exit_code in (126, 127):
        raise ActionFailed("there is no shell (sh) in the container: nothing can be installed there.")
    if len(done.stdout) >= _MOST:
        raise ActionFailed(f"~/{path} inside is too large to be what it should be.")
    return done.stdout.decode("utf-8", "surrogateescape")


async def missing(engine: EngineClient, container: str, manager: str, names: Sequence[str]) -> list[str]:
    """Which packages are not installed."""
    argv = ["sh", "-c", _MISSING, "berth", manager, *names]
    done = await engine.exec(container, argv, user="0")
    said = done.stdout.decode("utf-8", "replace").split()
    return [name for name in names if name in said]


async def place(
    engine: EngineClient, container: str, user: str, inside: Inside, files: Mapping[str, tuple[bytes, int]]
) -> None:
    """Put files with their modes below the home, each whole or not at all."""
    part = f"{_PART}-{time.time_ns()}"
    names = {f"{number}": path for number, path in enumerate(files)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, inside, _member(part, 0o700, tarfile.DIRTYPE), b"")
        for name, path in names.items():
            data, mode = files[path]
            _add(archive, inside, _member(f"{part}/{name}", mode), data)
    await engine.write_archive(container, inside.home, iter([buffer.getvalue()]))
    pairs = [word for name, path in names.items() for word in (name, path)]
    await _run(engine, container, user, [_PLACE, "berth", part, *pairs])


async def remove(engine: EngineClient, container: str, user: str, paths: Sequence[str]) -> None:
    """Remove files below the home, and folders that are empty."""
    await _run(engine, container, user, [_REMOVE, "berth", *paths])


async def _run(engine: EngineClient, container: str, user: str, script: Sequence[str]) -> None:
    done = await engine.exec(container, ["sh", "-c", *script], user=user)
    if done.exit_code:
        said = printable(done.stderr.decode("utf-8", "replace").strip()[-300:], 300)
        raise ActionFailed(f"the home in the container cannot be changed ({said or done.exit_code}).")


def _add(archive: tarfile.TarFile, inside: Inside, member: tarfile.TarInfo, data: bytes) -> None:
    member.uid, member.gid, member.size, member.mtime = inside.uid, inside.gid, len(data), int(time.time())
    archive.addfile(member, io.BytesIO(data))


def _member(name: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode, member.type = mode, kind
    return member


def digest(data: bytes) -> str:
    """As sha256sum counts it."""
    return hashlib.sha256(data).hexdigest()


def mounted(found: Mapping[str, Any], target: str) -> str:
    """The host's folder that is mounted at `target` in a container by its inspect; empty: none."""
    for mount in found.get("Mounts") or ():
        if mount.get("Destination") == target and mount.get("Type") == "bind" and mount.get("RW", True):
            return str(mount.get("Source") or "")
    return ""
