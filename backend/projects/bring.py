"""A project on a host: its files there, its image built, ready for jobs.

On this machine a project is used where it is. Elsewhere it lies in ~/berth/NAME, brought there by rsync: only
what changed, and what was sent before and is gone here goes there too. What the jobs write (output/, and
whatever git ignores) is left alone.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import tarfile
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

from backend import rsync
from backend.errors import ActionFailed, NoSuchTarget, UsageError
from backend.projects import compose, rp
from backend.projects.files import listed
from backend.projects.model import Project, Ready
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.engine import EngineClient
    from backend.link import Link

Say = Callable[[str], None]

_BASE = "berth"
"""Folder of the home there that holds the projects."""
_WAIT = 30.0
_CONTEXT_LIMIT = 2 * 1024**3
_PRIVATE = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_PREPARE = """\
set -eu
umask 022
name=$1 origin=$2
cd
home=$(pwd -P)
folder=$home/berth/$name
mkdir -p "$folder/.rp/logs" "$folder/output" "$folder/.cache"
if [ -e "$folder/.rp/origin" ] && [ "$(cat "$folder/.rp/origin")" != "$origin" ]; then
  echo "other $(cat "$folder/.rp/origin")"
  exit 0
fi
if [ ! -e "$folder/.rp/origin" ]; then
  if ! printf '%s\\n' "$origin" > "$folder/.rp/origin.new" 2>/dev/null; then
    rm -f "$folder/.rp/origin.new"
    df -P "$folder" | awk 'NR == 2 && $4 < 8 { print "No space left on device" }' >&2
    exit 1
  fi
  mv "$folder/.rp/origin.new" "$folder/.rp/origin"
fi
printf 'folder %s\\n' "$folder"
"""
_WHO = "id -u; id -g; id -G; cd && pwd -P"
_FORGET = """\
import json, os, sys
folder = os.fsencode(sys.argv[1])
now = set(sys.stdin.buffer.read().split(b"\\0")) - {b""}
record = os.path.join(folder, b".rp", b"sent")
try:
    with open(record, "rb") as file:
        before = set(file.read().split(b"\\0")) - {b""}
except OSError:
    before = set()
for name in before - now:
    path = os.path.normpath(os.path.join(folder, name))
    if path.startswith(folder + b"/"):
        try:
            os.unlink(path)
            os.removedirs(os.path.dirname(path))
        except OSError:
            pass
with open(record + b".new", "wb") as file:
    file.write(b"\\0".join(sorted(now)))
os.replace(record + b".new", record)
"""
_SNAPSHOT = """\
set -eu
folder=$1 name=$2
to=$folder/.cache/snapshots/$name
mkdir -p "$to.new"
tar -C "$folder" --null -T - -cf - | tar -C "$to.new" -xf -
mv -T "$to.new" "$to"
printf '%s\\n' "$to"
"""


async def bring(project: Project, access: Access, host: str, *, snapshot: bool, say: Say) -> Ready:
    """Raises `UsageError` for what is wrong with the project, `ActionFailed` where a step fails."""
    rp.mounts(project, "/")  # names that collide are found before anything is sent
    link = await access.link(host)
    uid, gid, groups, _ = await _who(link)
    names = await listed(project.folder) if snapshot or not link.local else []
    folder = str(project.folder)
    if link.local:
        (project.folder / ".rp" / "logs").mkdir(exist_ok=True)
    else:
        folder = await _prepare(link, project)
        await _send(link, project, folder, names)
    image = await _image(project, await access.engine(host), uid, gid, say)
    mounted = await _snapshot(link, folder, names) if snapshot else folder
    mounts = rp.mounts(project, mounted, folder)
    if snapshot:  # what it writes stays with the project
        inside = f"{rp.HOME}/{project.name}"
        mounts += tuple((f"{folder}/{each}", f"{inside}/{each}", False) for each in ("output", ".cache"))
    return Ready(
        folder=folder,
        image=image,
        mounts=mounts,
        workdir=f"{rp.HOME}/{project.name}",
        user=f"{uid}:{gid}",
        groups=groups,
        env={"HOME": rp.HOME, "USER": "user"},
        logs=f"{folder}/.rp/logs",
        start=compose.start(project),
    )


async def built(project: Project, access: Access, host: str, say: Say) -> str:
    """A name of the image of a project as it is now, on a host; built if there is none of this content."""
    uid, gid, _, _ = await _who(await access.link(host))
    await _image(project, await access.engine(host), uid, gid, say)
    return f"{project.tag}:{await asyncio.to_thread(compose.digest, project, uid, gid)}"


def output_file(ready: Ready, name: str) -> str:
    """Where a job's output goes, as rp names it: `.rp/logs/NAME_DATETIME.log`. Raises `UsageError`."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
        raise UsageError(f"{name!r} is no name for an output file.", hint="Letters, digits, _ . and - are.")
    return f"{ready.logs}/{name}_{datetime.now():%Y%m%d_%H%M%S}.log"


async def _who(link: Link) -> tuple[int, int, tuple[str, ...], str]:
    found = await link.run(["sh", "-c", _WHO], timeout=_WAIT)
    lines = found.stdout.decode(errors="replace").splitlines()
    try:
        uid, gid, groups, home = lines[-4:]
        return int(uid), int(gid), tuple(group for group in groups.split() if int(group) != int(gid)), home
    except ValueError:
        raise ActionFailed(f"{link.name} does not say who we are there: {printable(str(lines))}.") from None


async def _prepare(link: Link, project: Project) -> str:
    """The project's folder there, made if need be."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", project.name).lstrip(".-") or "project"
    origin = f"{socket.gethostname()}:{project.folder}"
    found = await link.run(["sh", "-c", _PREPARE, "sh", name, origin], timeout=_WAIT)
    word, _, rest = found.stdout.decode(errors="replace").strip().rpartition("\n")[2].partition(" ")
    if word == "folder" and rest.startswith("/"):
        return rest
    if word == "other":
        raise UsageError(
            f"~/{_BASE}/{name} on {link.name} belongs to another project: {printable(rest)}.",
            hint=f"Give this one another name in {project.folder}/.rp/info.json, or remove that folder.",
        )
    why = printable(found.stderr.decode(errors="replace").strip()[-300:] or f"exit code {found.returncode}")
    hint = "Free some space there." if "No space left" in why else ""
    raise ActionFailed(f"{link.name}: the project's folder could not be made: {why}.", hint=hint)


async def _send(link: Link, project: Project, folder: str, names: list[str]) -> None:
    data = _zeros(names)
    ended = await rsync.rsync(
        link,
        [
            *("-a", "--no-owner", "--no-group", "--omit-dir-times", "--compress", "--partial"),
            *("--from0", "--files-from=-", f"{project.folder}/", f"{rsync.REMOTE}:{folder}/"),
        ],
        input=data,
    )
    if ended.returncode and ended.returncode != 24:  # 24: a file vanished while it was read
        raise rsync.explained(link.name, ended)
    forgot = await link.run(["python3", "-c", _FORGET, folder], input=data, timeout=_WAIT)
    if forgot.returncode:
        raise ActionFailed(f"{link.name}: {printable(forgot.stderr.decode(errors='replace')[-300:])}")


async def _snapshot(link: Link, folder: str, names: list[str]) -> str:
    """A copy of the code as it is now, of which later changes know nothing."""
    name = f"{datetime.now():%Y%m%d_%H%M%S}_{time.time_ns() % 1_000_000:06d}"
    found = await link.run(["sh", "-c", _SNAPSHOT, "sh", folder, name], input=_zeros(names), timeout=600.0)
    path = found.stdout.decode(errors="replace").strip().rpartition("\n")[2]
    if found.returncode or not path.startswith("/"):
        why = printable(found.stderr.decode(errors="replace").strip()[-300:])
        raise ActionFailed(f"{link.name}: the code could not be set aside: {why}")
    return path


async def _image(project: Project, engine: EngineClient, uid: int, gid: int, say: Say) -> str:
    """The id of the project's image there, built if there is none of this content."""
    host = engine.host
    digest = await asyncio.to_thread(compose.digest, project, uid, gid)
    reference = f"{project.tag}:{digest}"
    try:
        return _id(await engine.inspect_image(reference), host)
    except NoSuchTarget:
        pass
    say(f"building {reference} on {host}")
    labels = {"berth.project": project.name, "berth.digest": digest}
    with tempfile.TemporaryFile() as packed:
        await asyncio.to_thread(_pack, project, uid, gid, packed)
        async for line in engine.build(packed, reference, dockerfile=compose.NAME, labels=labels):
            for each in filter(None, map(str.rstrip, line.splitlines())):
                say(each)
    say("docker image successfully build!")
    return _id(await engine.inspect_image(reference), host)


def _id(image: Any, host: str) -> str:
    found = image.get("Id") if isinstance(image, dict) else None
    if not isinstance(found, str) or not found:
        raise ActionFailed(f"{host} names no id of the project's image.")
    return found if ":" in found else f"sha256:{found}"


def _pack(project: Project, uid: int, gid: int, target: IO[bytes]) -> None:
    """The build context as a tar. Raises `UsageError` for a private key in it, or more than 2 GB."""
    folder = project.folder / "docker"
    text = compose.dockerfile(project, uid, gid).encode()
    total = 0
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path in compose.context(project):
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
                with path.open("rb") as file:
                    if _PRIVATE.search(file.read(1 << 20)):
                        raise UsageError(
                            f"{path} is a private key, and would become part of an image.",
                            hint="Move it out of docker/.",
                        )
            if total > _CONTEXT_LIMIT:
                raise UsageError(f"{folder} holds more than {_CONTEXT_LIMIT // 1024**3} GB.")
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=_plain)
        entry = tarfile.TarInfo(compose.NAME)
        entry.size = len(text)
        archive.addfile(entry, BytesIO(text))
    target.seek(0)


def _zeros(names: list[str]) -> bytes:
    return b"\0".join(os.fsencode(name) for name in names)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of this machine: the same content is the same layer."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry
