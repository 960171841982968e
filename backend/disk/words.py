"""How disks are said: sizes with what is not certain about them, places, spans of time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from backend.config import Config
from backend.disk.model import Entry, Listing, Progress
from backend.errors import NoSuchTarget, UsageError
from backend.text import duration, size

_SPAN = re.compile(r"(\d{1,6})([hdwmy]?)\Z")
_HOURS = {"h": 1, "": 24, "d": 24, "w": 24 * 7, "m": 24 * 30, "y": 24 * 365}
_FEW = 0.2
"""Share of the known folders that has to be read before an estimate is worth much."""
_FOLDED = 3
"""Rows without a byte from which on they are one line."""
_MEMORY = frozenset({"/dev", "/proc", "/run", "/sys"})
"""Mounts that are on no disk."""
KINDS = {
    "image": "images",
    "container": "containers",
    "volume": "volumes",
    "cache": "build cache",
}


def span(text: str, what: str) -> timedelta:
    """`30d`, `12h`, `2w`; a number alone is days. Raises `UsageError`."""
    match = _SPAN.match(text.strip())
    if match is None:
        raise UsageError(f"{what}: {text!r} is no span of time.", hint="Write 30d, 12h, 2w, or days.")
    return timedelta(hours=int(match.group(1)) * _HOURS[match.group(2)])


def amount(text: str, what: str) -> int:
    """`100G`, `1.5T`; a number alone is bytes. Raises `UsageError`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)i?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"{what}: {text!r} is no size.", hint="Write 100G or 1.5T.")
    return int(float(match.group(1)) * 1024 ** " KMGTP".index(match.group(2).upper() or " "))


def place(config: Config, text: str) -> tuple[str, str]:
    """`HOST:PATH` as host and path; `HOST` is its root, `/PATH` one of this machine.

    Raises `UsageError`, `NoSuchTarget`.
    """
    if text[:1] in ("/", "~"):
        local = next((each.name for each in config.hosts if each.local), None)
        if local is None:
            raise UsageError(f"{text!r} names no host.", hint="Write HOST:PATH.")
        return local, text
    host, colon, path = text.partition(":")
    config.host(host)
    if colon and path[:1] not in ("/", "~"):
        raise UsageError(f"{text!r}: the path has to be whole.", hint="Write HOST:/PATH or HOST:~/PATH.")
    return host, path or "/"


def parted(found: Listing) -> tuple[list[Entry], list[Entry]]:
    """The rows that take up room or need a word, and those that hold nothing, where these are many."""
    empty = [row for row in found.rows if _holds_nothing(row, found.path)]
    if len(empty) < _FOLDED or len(empty) == len(found.rows):
        return list(found.rows), []
    return [row for row in found.rows if row not in empty], empty


def _holds_nothing(row: Entry, path: str) -> bool:
    if row.size or row.failed or row.open or not row.read:
        return False
    return row.kind != "mount" or f"{path.rstrip('/')}/{row.name}" in _MEMORY


def host_of(config: Config, text: str) -> str:
    """A host by its name. Raises `NoSuchTarget`."""
    if ":" in text:
        raise NoSuchTarget(f"no host is called {text!r}.", hint="For a folder: berth disk tree HOST:PATH")
    return config.host(text).name


def about(entry: Entry) -> str:
    """`8.2 T~`: the tilde says that part of it is an estimate."""
    return size(entry.size) + ("~" if entry.sampled else "")


def sure(found: Progress) -> str:
    """How certain the size of all of it is."""
    if found.complete:
        return f"{size(found.bytes)} in {found.files:,} files"
    share = 100 * found.bytes / max(1, found.bytes + found.guess)
    few = found.folders < _FEW * (found.folders + found.open)
    return (
        f"{'very roughly' if few else 'about'} {size(found.bytes + found.guess)}, "
        f"give or take {size(found.doubt)}: "
        f"{size(found.bytes)} ({share:.0f} %) read in {found.files:,} files, "
        f"{found.open:,} folders not read"
    )


def unread(found: Progress) -> list[str]:
    """What could not be read."""
    lines = []
    if found.unreadable:
        named = "; ".join(f"{path} ({why})" for path, why in found.problems[:5])
        more = found.unreadable - min(5, len(found.problems))
        lines.append(
            f"{found.unreadable:,} folder{'s' * (found.unreadable != 1)} cannot be read: {named}"
            + (f"; and {more:,} more" if more > 0 else "")
        )
    if found.errors:
        lines.append(f"{found.errors:,} files could not be looked at")
    return lines


def newest(entry: Entry, now: datetime | None = None) -> str:
    """The age of the newest file in it."""
    if not entry.newest:
        return "-"
    seconds = (now or datetime.now(UTC)).timestamp() - entry.newest
    return duration(max(0.0, seconds))
