"""Put private things of this machine into a container, with the modes that ssh and git want.

What was put there stands in `.berth-private` of the home, so that `toolkit/remprivate.sh` knows it again. A
`.gitconfig` that was there is set aside and included by ours; another key of the same name is not replaced.
"""

from __future__ import annotations

import io
import re
import stat
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.config.paths import expanded
from backend.engine import EngineClient
from backend.errors import ActionFailed, UsageError
from backend.link.local import LocalLink
from backend.text import printable

_KEY_LIMIT = 100_000
"""Bytes of a key."""
_GIT_TIMEOUT = 10.0
_GITCONFIG = ".gitconfig"
_ASIDE = f"{_GITCONFIG}.before-berth"
_LIST = ".berth-private"
_LISTABLE = re.compile(r"\.gitconfig|\.ssh/[^/\x00-\x1f]{1,255}")

_LOOK = """
id -u && id -g && cd && pwd -P || exit 1
for name in .ssh/*; do [ -e "$name" ] && echo "there $name"; done
[ -e .gitconfig ] || [ -L .gitconfig ] && echo "there .gitconfig"
[ -e .gitconfig.before-berth ] || [ -L .gitconfig.before-berth ] && echo "aside"
[ -f .berth-private ] && head -c 65536 .berth-private | while read -r name; do echo "ours $name"; done
exit 0
"""
"""For `sh -c` as the user: who and where they are, what is there, and what of it berth put there."""
_SET_ASIDE = "cd && mv -- .gitconfig .gitconfig.before-berth"
_PUT_BACK = "cd && mv -- .gitconfig.before-berth .gitconfig"


@dataclass(frozen=True)
class _Home:
    """The home of a user in a container."""

    path: str
    uid: int
    gid: int
    there: frozenset[str]
    """Keys and configuration by name."""
    ours: frozenset[str]
    """What of it berth put there."""
    aside: bool
    """Whether a .gitconfig was set aside."""


@dataclass(frozen=True)
class _File:
    """A file that is to be in the home."""

    name: str
    data: bytes
    mode: int


async def install(
    engine: EngineClient, container: str, *, keys: Sequence[str], git: bool, user: str
) -> tuple[list[str], list[str]]:
    """Install keys and git identity for a user of a running container: what was put where, and what to know.

    Nothing of it passes through an argument or a log: it goes as a tar stream over the engine's API.
    """
    files = [file for path in keys for file in _key(path)]
    identity = await _git_lines() if git else b""
    if not files and not identity:
        raise UsageError(
            "there is nothing to install.", hint="Name keys with --key, or set git config user.name."
        )
    home = await _look(engine, container, user)
    for file in files:
        if file.name in home.there - home.ours:
            raise ActionFailed(
                f"{home.path}/{file.name} is there already, and berth did not put it there.",
                hint="Rename one of them, or remove that one in the container first.",
            )
    notes: list[str] = []
    moved = False
    if identity:
        if moved := _GITCONFIG in home.there - home.ours and not home.aside:
            await _move(engine, container, user, _SET_ASIDE, home)
        if moved or home.aside:
            identity = f"[include]\n\tpath = {_ASIDE}\n".encode() + identity
            notes = [f"{home.path}/{_GITCONFIG} was there: it is {_ASIDE} until private rm puts it back"]
        files.append(_File(_GITCONFIG, identity, 0o600))
    listed = sorted(home.ours | {file.name for file in files})
    manifest = _File(_LIST, "".join(f"{name}\n" for name in listed).encode(), 0o600)
    try:
        await engine.write_archive(container, home.path, iter([_tar([*files, manifest], home)]))
    except BaseException:
        if moved:
            await _move(engine, container, user, _PUT_BACK, home)
        raise
    return [f"{home.path}/{file.name} ({file.mode:o})" for file in files], notes


async def _look(engine: EngineClient, container: str, user: str) -> _Home:
    done = await engine.exec(container, ["sh", "-c", _LOOK], user=user)
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    uid, gid, path = (*lines, "", "", "")[:3]
    numbers = all(re.fullmatch(r"[0-9]{1,10}", each) for each in (uid, gid))
    if done.exit_code or not numbers or not path.startswith("/"):
        said = printable(done.stderr.decode("utf-8", "replace").strip(), 200)
        raise ActionFailed(f"the home of {user} in the container is not known ({said}).")
    words = [line.partition(" ") for line in lines[3:]]
    return _Home(
        path=path,
        uid=int(uid),
        gid=int(gid),
        there=frozenset(name for word, _, name in words if word == "there"),
        ours=frozenset(name for word, _, name in words if word == "ours" and _LISTABLE.fullmatch(name)),
        aside=any(word == "aside" for word, _, _ in words),
    )


async def _move(engine: EngineClient, container: str, user: str, script: str, home: _Home) -> None:
    done = await engine.exec(container, ["sh", "-c", script], user=user)
    if done.exit_code:
        said = printable(done.stderr.decode("utf-8", "replace").strip(), 200)
        raise ActionFailed(
            f"{home.path}/{_GITCONFIG} is there already and cannot be set aside ({said}).",
            hint="Leave it as it is with --no-git.",
        )


def _key(path: str) -> list[_File]:
    file = expanded(path)
    data = _read(file)
    if (
        b"PRIVATE KEY" not in data[:8192]
        or len(data) > _KEY_LIMIT
        or not _LISTABLE.match(f".ssh/{file.name}")
    ):
        raise UsageError(f"{file} is no private SSH key.", hint="Name the key itself, not its .pub file.")
    files = [_File(f".ssh/{file.name}", data, 0o600)]
    public = file.with_name(file.name + ".pub")
    if public.is_file():
        files.append(_File(f".ssh/{public.name}", _read(public)[:_KEY_LIMIT], 0o644))
    return files


def _read(file: Path) -> bytes:
    """What is in a file, one byte more than a key may have at most: it may be anything that people name."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise UsageError(f"{file} is no file.")
        with file.open("rb") as opened:
            return opened.read(_KEY_LIMIT + 1)
    except OSError as error:
        raise ActionFailed(f"{file} cannot be read: {error.strerror}.") from None


async def git_identity() -> dict[str, str]:
    """`user.name` and `user.email` of this machine, as far as they are set. Raises `ActionFailed`."""
    here = LocalLink("local")
    values = {}
    for key in ("user.name", "user.email"):
        try:
            done = await here.run(["git", "config", "--global", "--get", key], timeout=_GIT_TIMEOUT)
        except TimeoutError:
            raise ActionFailed(f"git on this machine gave no answer in {_GIT_TIMEOUT:.0f} s.") from None
        value = done.stdout.decode("utf-8", "replace").strip()
        if done.returncode == 0 and value and value.isprintable():
            values[key] = value
    return values


async def _git_lines() -> bytes:
    """The lines of a .gitconfig; none where git is not set up on this machine, or not there."""
    found = await git_identity()
    values = {key: value.replace("\\", "\\\\").replace('"', '\\"') for key, value in found.items()}
    if not values:
        return b""
    return ("[user]\n" + "".join(f'\t{key[5:]} = "{value}"\n' for key, value in values.items())).encode()


def _tar(files: Sequence[_File], home: _Home) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        if any(file.name.startswith(".ssh/") for file in files):
            archive.addfile(_member(".ssh", home, 0o700, kind=tarfile.DIRTYPE))
        for file in files:
            archive.addfile(_member(file.name, home, file.mode, size=len(file.data)), io.BytesIO(file.data))
    return buffer.getvalue()


def _member(
    name: str, home: _Home, mode: int, *, size: int = 0, kind: bytes = tarfile.REGTYPE
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.uid, member.gid, member.mode, member.size, member.type = home.uid, home.gid, mode, size, kind
    member.mtime = int(time.time())
    return member
