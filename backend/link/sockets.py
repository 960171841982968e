"""Folders for forwarded sockets: private, and swept up after a berth that was killed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

_NAME = re.compile(r"berth-(\d+)-\w+\Z")


def make() -> Path:
    """A new folder that only we can enter (0700); those of ours whose process is gone are removed."""
    base = Path(tempfile.gettempdir())
    for entry in os.scandir(base):
        match = _NAME.match(entry.name)
        try:
            if match and entry.stat(follow_symlinks=False).st_uid == os.getuid() and _gone(int(match[1])):
                shutil.rmtree(entry.path, ignore_errors=True)
        except OSError:
            continue  # somebody else was quicker
    return Path(tempfile.mkdtemp(prefix=f"berth-{os.getpid()}-", dir=base))


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
