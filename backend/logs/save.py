"""Lines of a log into a file: whole or not at all, for nobody's eyes but ours."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from backend.config.paths import state_dir
from backend.errors import ActionFailed
from backend.logs.follower import Target
from backend.logs.lines import LogLine
from backend.text import printable

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_AT_ONCE = 2_000
"""Lines that are put together before they are written."""


def new_path(targets: Sequence[Target], now: datetime | None = None) -> Path:
    """Where a log is saved if nothing else was said: named after its container, and the time."""
    first = targets[0]
    more = f"+{len(targets) - 1}" if len(targets) > 1 else ""
    name = _UNFIT.sub("_", f"{first.host}-{first.name}")[:100].strip("._-") or "log"
    return state_dir() / "saved-logs" / f"{name}{more}-{(now or datetime.now()):%Y%m%d-%H%M%S}.log"


def save(lines: Sequence[LogLine], targets: Sequence[Target], path: Path) -> None:
    """Write lines with their times, and their containers where there are several; without colours.

    Mode 0600; what had that name before is replaced once all is written. Raises `ActionFailed`.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            for at in range(0, len(lines), _AT_ONCE):
                file.write("".join(_form(line, targets) for line in lines[at : at + _AT_ONCE]))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ActionFailed(
                f"The log was not saved to {path}: {error.strerror or error}.", hint="Nothing was left there."
            ) from None
        raise


def _form(line: LogLine, targets: Sequence[Target]) -> str:
    at = f"{line.time.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z " if line.time else ""
    target = targets[line.source]
    name = f"{printable(f'{target.host}/{target.name}', 100)}: " if len(targets) > 1 else ""
    return f"{at}{name}{line.plain}\n"
