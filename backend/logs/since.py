"""`10m`, `2h`, `14:30`, `2026-01-31T14:30`: from when on."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from backend.errors import UsageError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
_AGO = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+\Z")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?\Z")


def parse_since(text: str, now: datetime | None = None) -> datetime:
    """A moment: so long ago (`90s`, `1h30m`, `2d`), a time of today or yesterday (`14:30`), or a date.

    What says no offset is in this machine's time. Raises `UsageError`.
    """
    now = now or datetime.now(UTC)
    text = text.strip()
    try:
        if _AGO.match(text):
            return now - timedelta(
                seconds=sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(text))
            )
        if clock := _CLOCK.match(text):
            hour, minute, second = (int(part or 0) for part in clock.groups())
            here = now.astimezone()
            at = here.replace(hour=hour, minute=minute, second=second, microsecond=0)
            return (at if at <= here else at - timedelta(days=1)).astimezone(UTC)
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"since {text!r} is no time.", hint="Write 10m, 2h, 1d, 14:30 or 2026-01-31T14:30."
        ) from None


def parse_tail(text: str) -> int | None:
    """A number of lines; None for `all`. Raises `UsageError`."""
    if text == "all":
        return None
    if text.isdecimal() and len(text) < 10:
        return int(text)
    raise UsageError(f"tail {text!r} is no number of lines.", hint="Write a number, or all.")
