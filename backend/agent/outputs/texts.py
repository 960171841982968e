"""Small files of the user's: read whole, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Dict, Optional

_LONGEST = 1 << 20
_SUFFIX = ".toml"


def read(path: str) -> Dict[str, Any]:
    """`{"path", "text"}`; the text is None where there is no such file. Raises OSError, ValueError."""
    path = os.path.abspath(os.path.expanduser(path))
    try:
        with open(path, "rb") as file:
            data = file.read(_LONGEST + 1)
    except FileNotFoundError:
        return {"path": path, "text": None}
    if len(data) > _LONGEST:
        raise ValueError(f"{path} is larger than 1 MB: that is no environment file")
    return {"path": path, "text": data.decode("utf-8")}


def there(path: str) -> Dict[str, Any]:
    """`{"path", "size"}` in bytes; the size is None where there is nothing. Raises OSError."""
    path = os.path.abspath(os.path.expanduser(path))
    try:
        return {"path": path, "size": os.stat(path).st_size}
    except FileNotFoundError:
        return {"path": path, "size": None}


def edf(name: str, folder: str = "") -> Dict[str, Any]:
    """An environment file by what `--environment` takes: a path, or a name in $EDF_PATH (~/.edf).

    `folder`: what a path that begins with a dot is relative to.
    """
    if name.startswith("/") or name.startswith("~"):
        return read(name)
    if name.startswith("."):
        return read(os.path.join(os.path.expanduser(folder or "~"), name))
    found: Optional[Dict[str, Any]] = None
    for place in [each for each in os.environ.get("EDF_PATH", "").split(":") if each] or ["~/.edf"]:
        for ending in (_SUFFIX, ""):
            if name.endswith(_SUFFIX) and ending:
                continue
            looked = read(os.path.join(place, name + ending))
            if looked["text"] is not None:
                return looked
            found = found or looked
    return found or {"path": name, "text": None}


def write(path: str, text: str, was: Optional[str]) -> Dict[str, Any]:
    """Put the text there, in folders made for it. Raises ValueError where it is not as it was read."""
    now = read(path)
    path = os.path.realpath(now["path"])
    if now["text"] != was:
        raise ValueError(f"{path} was changed meanwhile: nothing was written")
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".berth-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, os.stat(path).st_mode & 0o777 if was is not None else 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return {"path": path}
