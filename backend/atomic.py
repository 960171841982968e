"""Files that are written at once or not at all: nobody ever reads half of one, and no crash leaves it cut."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write(path: Path, data: str | bytes, *, durable: bool = True) -> None:
    """Put `data` into `path`, mode 0600, in place of what was there; its folder is made where it is missing.

    `durable` waits for the disk: right for what a person wrote, needless for what can be made again.
    Raises `OSError`; what was there is untouched then.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
