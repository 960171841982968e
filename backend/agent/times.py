"""Times on the wire: RFC 3339 in UTC, or None where an engine says "never"."""

from __future__ import annotations

import re
import time
from typing import Any

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII
)


def rfc3339(seconds: float) -> str | None:
    """Unix time as `2024-05-01T12:00:00Z`; None for a time that no calendar holds."""
    try:
        parts = time.gmtime(seconds)
    except (OverflowError, ValueError, OSError):
        return None
    if not 1970 <= parts.tm_year <= 9999:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", parts)


def from_engine(text: Any) -> str | None:
    """An engine's time (nanoseconds, any offset) as UTC with microseconds.

    Docker writes `0001-01-01T00:00:00Z` for "never": years before 1970 are None.
    """
    parts = _parsed(text)
    if parts is None:
        return None
    whole = rfc3339(parts[0])
    if whole is None or not int(parts[1]):
        return whole
    return f"{whole[:-1]}.{parts[1]}Z"


def seconds_from_engine(text: Any) -> float | None:
    """The same as Unix time."""
    parts = _parsed(text)
    return None if parts is None else parts[0] + int(parts[1]) / 1e6


def _parsed(text: Any) -> tuple[int, str] | None:
    """Unix time in whole seconds, and six digits of microseconds."""
    if not isinstance(text, str):
        return None
    match = _RFC3339.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if year < 1970 or not (
        1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60
    ):
        return None
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    offset = match.group(8)
    if offset not in "Zz":
        shift = int(offset[1:3]) * 3600 + int(offset[4:6]) * 60
        seconds += -shift if offset[0] == "+" else shift
    return seconds, (match.group(7) or "").ljust(6, "0")[:6]


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 in the Gregorian calendar (Hinnant's days_from_civil), without `datetime`."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
