"""Commands that come in on standard input."""

from __future__ import annotations

import json
import math
from typing import Any

INTERVALS = (0.5, 60.0)
"""Shortest and longest time between samples, in seconds."""


class CommandError(Exception):
    """The line is no command."""


def parse(line: bytes) -> tuple[str, Any]:
    """`(name, argument)`: the argument is seconds for `interval`, the id for `ping`, else None."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise CommandError("not JSON") from None
    if not isinstance(data, dict):
        raise CommandError("not an object")
    name = data.get("cmd")
    if name == "interval":
        return "interval", clamp(data.get("seconds"))
    if name == "ping":
        number = data.get("id")
        if not isinstance(number, int) or isinstance(number, bool) or abs(number) >= 2**63:
            raise CommandError("ping without a whole number as id")
        return "ping", number
    if name in ("refresh", "stop"):
        return str(name), None
    raise CommandError("unknown command")


def clamp(seconds: Any) -> float:
    """An interval that the agent accepts. Raises CommandError for what is no number."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or math.isnan(seconds):
        raise CommandError("interval without a number of seconds")
    return float(min(INTERVALS[1], max(INTERVALS[0], seconds)))
