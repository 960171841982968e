"""The agent as one file: a zipapp of `backend/agent` and pynvml, the same bytes each time it is made."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import zipfile
from functools import cache
from pathlib import Path

from backend import atomic
from backend.config.paths import cache_dir

_SHEBANG = b"#!/usr/bin/env python3\n"
_TIME = (1980, 1, 1, 0, 0, 0)
"""The first moment a zip file can hold."""
_MAIN = "from agent.__main__ import start\n\nstart()\n"
_HASH_DIGITS = 16
_CHECK = 32
"""Bytes of the checksum before a zipapp that is kept."""


@cache
def agent_zipapp() -> tuple[bytes, str]:
    """The zipapp's bytes, and the first 16 hexadecimal digits of their SHA-256.

    To make it takes ten times as long as to read its parts: it is kept in the cache.
    """
    files = {"__main__.py": _MAIN.encode()}
    root = Path(__file__).parent / "agent"
    for path in root.rglob("*.py"):
        files[f"agent/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    spec = importlib.util.find_spec("pynvml")
    if spec is not None and spec.origin and spec.origin.endswith("pynvml.py"):
        files["pynvml.py"] = Path(spec.origin).read_bytes()
    kept = cache_dir() / "agent" / _digest(b"".join(_part(name, files[name]) for name in sorted(files)))
    data = _read(kept)
    if data is None:
        data = _packed(files)
        _keep(kept, data)
    return data, _digest(data)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]


def _part(name: str, content: bytes) -> bytes:
    return b"%s %d %s" % (name.encode(), len(content), content)


def _read(path: Path) -> bytes | None:
    """What was kept, where it is ours and whole: a checksum stands before it.

    Each host will run it as the person there, so nobody else may have written it.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                return None
            found = file.read()
    except OSError:
        return None
    check, data = found[:_CHECK], found[_CHECK:]
    return data if check == hashlib.sha256(data).digest() else None


def _keep(path: Path, data: bytes) -> None:
    """For the next start; of other versions only the newest stays: two may be used in turn."""
    try:
        atomic.write(path, hashlib.sha256(data).digest() + data, durable=False)
        others = [each for each in path.parent.iterdir() if each != path and not each.name.startswith(".")]
        for other in sorted(others, key=lambda each: each.stat().st_mtime_ns)[:-1]:
            other.unlink()
    except OSError:
        return  # it only makes the next start slower


def _packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, on whatever system it was made
            archive.writestr(entry, files[name])
    return buffer.getvalue()
