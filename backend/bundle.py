"""The agent as one file: a zipapp of `backend/agent` and pynvml, the same bytes each time it is made."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import zipfile
from functools import cache
from pathlib import Path

_SHEBANG = b"#!/usr/bin/env python3\n"
_TIME = (1980, 1, 1, 0, 0, 0)
"""The first moment a zip file can hold."""
_MAIN = "from agent.__main__ import start\n\nstart()\n"
_HASH_DIGITS = 16


@cache
def agent_zipapp() -> tuple[bytes, str]:
    """The zipapp's bytes, and the first 16 hexadecimal digits of their SHA-256."""
    files = {"__main__.py": _MAIN.encode()}
    root = Path(__file__).parent / "agent"
    for path in root.rglob("*.py"):
        files[f"agent/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    spec = importlib.util.find_spec("pynvml")
    if spec is not None and spec.origin and spec.origin.endswith("pynvml.py"):
        files["pynvml.py"] = Path(spec.origin).read_bytes()
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, on whatever system it was made
            archive.writestr(entry, files[name])
    data = buffer.getvalue()
    return data, hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]
