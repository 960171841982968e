"""An engine's image as a squashfs file in enroot's form, and the proof that it is one.

The root comes as the tar that the engine exports of a container that never ran. It goes straight into
`sqfstar`: no second copy on the disk, owners and modes as in the image need no rights of ours. Times are at
most the image's own: what the engine made for the container is not in the file, and the same image gives the
same bytes. The file has its name only when it is whole and was read back.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from typing import Any, Callable, Dict, List, Optional, Set
from urllib.parse import quote

from ..queue.output import EngineHttp
from ..times import seconds_from_engine
from . import layout
from .source import FailedError, ask, create, me, remove, sweep

_TOLD = 0.5
"""Seconds between two reports."""
_OWN = {".dockerenv", "run/.containerenv"}
"""What engines put into a container; also all below /dev."""
_OPTIONS = "-quiet -no-progress -exit-on-error -all-root -root-mode 755".split()
_ENTRY = re.compile(rb"^[-dlbcps][-rwxsStT]{9} ")
_HINT = "sudo apt install squashfs-tools, or sudo dnf install squashfs-tools (4.5 or newer)"
Say = Callable[[Dict[str, Any]], Any]


def squash(socket: str, image: str, into: str, compression: str, say: Say) -> Dict[str, Any]:
    """Make the file; path, size in bytes, number of files, the image's id and config.

    Raises FailedError, OSError.
    """
    tools = _tools()
    into = os.path.abspath(os.path.expanduser(into))
    os.makedirs(os.path.dirname(into), exist_ok=True)
    if os.path.isdir(into):
        raise FailedError(f"{into} is a folder", "name the file: .../image.sqsh")
    sweep(socket, os.path.dirname(into))
    found = ask(socket, "GET", f"/images/{quote(image, safe='/:@')}/json", f"no image {image} here")
    config = found.get("Config") or {}
    made = int(seconds_from_engine(found.get("Created")) or 0)
    container = create(socket, str(found["Id"]))
    part = f"{os.path.dirname(into)}/.{os.path.basename(into)}.{me()}.part"
    try:
        own = layout.files(image, config)
        writer = _Writer(own, layout.workdir(config), made, int(found.get("Size") or 0), say)
        _pack(socket, container, [tools[0], *_OPTIONS, "-comp", compression, part], writer)
        _check(tools[1], part, own, writer)
        os.replace(part, into)
    finally:
        if os.path.exists(part):
            os.unlink(part)
        remove(socket, container)
    return {
        "path": into,
        "size": os.stat(into).st_size,
        "files": writer.others,
        "id": found["Id"],
        "config": config,
        "left_out": layout.left_out(config),
    }


class _Writer:
    """Copies the engine's tar, without what is the container's own, and adds what enroot reads."""

    def __init__(self, own: Dict[str, bytes], workdir: str, made: int, total: int, say: Say) -> None:
        self._own = own
        self._workdir = workdir.strip("/")
        self.made = made
        """Seconds since 1970: no file is younger."""
        self._total = total
        self._say = say
        self._told = 0.0
        self._folders: Set[str] = set()
        self._links: Dict[str, str] = {}
        self.others = 0
        """Everything but folders."""
        self.bytes = 0

    def copy(self, source: tarfile.TarFile, target: tarfile.TarFile) -> None:
        """All of it."""
        for member in source:
            name = os.path.normpath(member.name).lstrip("/")
            if name in (".", "dev") or name in _OWN or name in self._own or name.startswith("dev/"):
                continue
            member.name = name
            member.mtime = min(int(member.mtime), self.made)
            member.pax_headers = {key: each for key, each in member.pax_headers.items() if key != "mtime"}
            if member.isdir():
                self._folders.add(name)
            else:
                self.others += 1
                if member.issym():
                    self._links[name] = member.linkname
            target.addfile(member, source.extractfile(member) if member.isreg() else None)
            self.bytes += member.size
            self._report()
        self._finish(target)

    def _finish(self, target: tarfile.TarFile) -> None:
        for folder in ("dev", *_above("etc/x"), *_above(f"{self._workdir}/x")):
            if folder not in self._folders and folder not in self._links:
                member = tarfile.TarInfo(folder)
                member.type, member.mode, member.mtime = tarfile.DIRTYPE, 0o755, self.made
                target.addfile(member)
                self._folders.add(folder)
        for name, data in sorted(self._own.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), self.made
            member.mode = 0o755 if name == "etc/rc" else 0o644
            target.addfile(member, io.BytesIO(data))
            self.others += 1

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._told >= _TOLD:
            self._told = now
            self._say({"progress": {"bytes": self.bytes, "total": self._total, "files": self.others}})


def _above(path: str) -> List[str]:
    """The folders above a path, the highest first."""
    parts = [each for each in path.split("/") if each][:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _pack(socket: str, container: str, words: List[str], writer: _Writer) -> None:
    connection = EngineHttp(socket, timeout=None)
    with tempfile.TemporaryFile() as said:
        # The one way to a time of the root folder: `sqfstar -root-time` is not heard by version 4.5.1.
        env = {**os.environ, "SOURCE_DATE_EPOCH": str(writer.made)}
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=said, stderr=said, env=env)
        trouble: Optional[str] = None
        try:
            connection.request("GET", f"/containers/{container}/export")
            answer = connection.getresponse()
            if answer.status != 200:
                raise FailedError(f"the engine does not export it ({answer.status})")
            with tarfile.open(fileobj=answer, mode="r|") as source, tarfile.open(
                fileobj=process.stdin, mode="w|", format=tarfile.PAX_FORMAT
            ) as target:
                writer.copy(source, target)
            assert process.stdin is not None
            process.stdin.close()
        except (BrokenPipeError, tarfile.TarError, EOFError) as error:
            trouble = f"{error}"  # what the tool has to say tells more
        finally:
            connection.close()
            if trouble is not None or _failing():
                process.kill()
            code = process.wait()
        if code or trouble is not None:
            said.seek(0)
            words_said = said.read()[-400:].decode("utf-8", "replace").strip()
            raise FailedError(
                f"{os.path.basename(words[0])} failed: {words_said or trouble}", _room(words[-1])
            )


def _failing() -> bool:
    return sys.exc_info()[0] is not None


def _room(part: str) -> str:
    free = shutil.disk_usage(os.path.dirname(part)).free
    return f"the disk has {free // (1 << 20)} MB left" if free < 1 << 28 else ""


def _check(tool: str, part: str, own: Dict[str, bytes], writer: _Writer) -> None:
    """Read the file back: what was put in has to come out."""
    for name, data in own.items():
        found = subprocess.run([tool, "-cat", part, name], stdout=subprocess.PIPE, check=False)
        if found.returncode or found.stdout != data:
            raise FailedError(f"{part} is not what was written: /{name} differs when it is read back")
    listing = subprocess.Popen([tool, "-ll", part], stdout=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"})
    assert listing.stdout is not None
    with listing.stdout as lines:
        others = sum(1 for line in lines if _ENTRY.match(line) and not line.startswith(b"d"))
    if listing.wait() or others != writer.others:
        raise FailedError(f"{part} holds {others} files of {writer.others} when it is read back")


def _tools() -> List[str]:
    found = []
    for name in ("sqfstar", "unsquashfs"):
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/bin")
        if path is None:
            raise FailedError(f"{name} is not there", _HINT)
        found.append(path)
    return found
