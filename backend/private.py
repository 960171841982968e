"""Put private things of this machine into a container, with the modes that ssh and git want."""

from __future__ import annotations

import asyncio
import io
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

from backend.engine import EngineClient
from backend.errors import ActionFailed, UsageError
from backend.text import printable

_KEY_LIMIT = 100_000


async def install(
    engine: EngineClient, container: str, *, keys: Sequence[str], git: bool, user: str
) -> list[str]:
    """Install keys and git identity for a user of a running container; what was put where.

    Nothing of it passes through an argument or a log: it goes as a tar stream over the engine's API.
    """
    home, uid, gid = await _home(engine, container, user)
    entries: list[tuple[str, bytes, int]] = []
    for path in keys:
        entries += _key(path)
    if git and (identity := await _git_identity()):
        entries.append((".gitconfig", identity, 0o600))
    if not entries:
        raise UsageError(
            "there is nothing to install.", hint="Name keys with --key, or set git config user.name."
        )
    archive = _tar(entries, uid, gid)
    await engine.write_archive(container, home, iter([archive]))
    return [f"{home}/{name} ({mode:o})" for name, _, mode in entries]


async def _home(engine: EngineClient, container: str, user: str) -> tuple[str, int, int]:
    script = "id -u && id -g && cd && pwd -P"
    done = await engine.exec(container, ["sh", "-c", script], user=user)
    words = done.stdout.decode("utf-8", "replace").split("\n")
    if done.exit_code or len(words) < 3 or not words[2].startswith("/"):
        said = printable(done.stderr.decode("utf-8", "replace").strip(), 200)
        raise ActionFailed(f"the home of {user} in the container is not known ({said}).")
    return words[2], int(words[0]), int(words[1])


def _key(path: str) -> list[tuple[str, bytes, int]]:
    file = Path(path).expanduser()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ActionFailed(f"{file} cannot be read: {error.strerror}.") from None
    if b"PRIVATE KEY" not in data[:8192] or len(data) > _KEY_LIMIT:
        raise UsageError(f"{file} is no private SSH key.", hint="Name the key itself, not its .pub file.")
    entries = [(f".ssh/{file.name}", data, 0o600)]
    public = file.with_name(file.name + ".pub")
    if public.is_file():
        entries.append((f".ssh/{public.name}", public.read_bytes(), 0o644))
    return entries


async def _git_identity() -> bytes:
    values = {}
    for key in ("name", "email"):
        child = await asyncio.create_subprocess_exec(
            "git", "config", "--global", "--get", f"user.{key}",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        value = (await child.communicate())[0].decode("utf-8", "replace").strip()
        if value and value.isprintable():
            values[key] = value.replace("\\", "\\\\").replace('"', '\\"')
    if not values:
        return b""
    return ("[user]\n" + "".join(f'\t{key} = "{value}"\n' for key, value in values.items())).encode()


def _tar(entries: Sequence[tuple[str, bytes, int]], uid: int, gid: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        if any(name.startswith(".ssh/") for name, _, _ in entries):
            archive.addfile(_member(".ssh", uid, gid, 0o700, kind=tarfile.DIRTYPE))
        for name, data, mode in entries:
            archive.addfile(_member(name, uid, gid, mode, size=len(data)), io.BytesIO(data))
    return buffer.getvalue()


def _member(
    name: str, uid: int, gid: int, mode: int, *, size: int = 0, kind: bytes = tarfile.REGTYPE
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.uid, member.gid, member.mode, member.size, member.type = uid, gid, mode, size, kind
    member.mtime = int(time.time())
    return member
