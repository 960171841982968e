"""Commands that come in on standard input."""

from __future__ import annotations

import json
import math
import re
from typing import Any

INTERVALS = (0.5, 60.0)
"""Shortest and longest time between samples, in seconds."""


WATCHED = 64
"""Panes that are captured at most."""
_PANE = re.compile(r"%[0-9]{1,9}\Z")


class CommandError(Exception):
    """The line is no command."""


def parse(line: bytes) -> tuple[str, Any]:
    """Name and argument.

    Seconds of `interval`, id of `ping`, (id, verb, body) of `queue`, (socket, pane, fresh) to `watch`.
    """
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
    if name == "watch":
        return "watch", _watched(data.get("panes"))
    if name == "queue":
        return "queue", _question(data)
    if name in ("refresh", "stop", "images"):
        return str(name), None
    raise CommandError("unknown command")


def _question(data: dict[str, Any]) -> tuple[int, str, Any]:
    """Number, verb and body of a question to the queue."""
    number, verb = data.get("id"), data.get("verb")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**63:
        raise CommandError("queue without a whole number as id")
    if not isinstance(verb, str) or not 0 < len(verb) <= 64 or verb.startswith("-"):
        raise CommandError("queue without a verb")
    return number, verb, data.get("body") or {}


def _watched(panes: Any) -> list[tuple[str, str, bool]]:
    """Socket, pane, and whether all of it has to be sent. Raises CommandError for what names no pane."""
    if not isinstance(panes, list) or len(panes) > WATCHED:
        raise CommandError("watch without a list of panes")
    out = []
    for each in panes:
        if not isinstance(each, dict):
            raise CommandError("watch with a pane that is no object")
        socket, pane = each.get("socket"), each.get("pane")
        if not isinstance(socket, str) or not isinstance(pane, str) or not _PANE.match(pane):
            raise CommandError("watch with a pane that is none")
        out.append((socket, pane, each.get("fresh") is True))
    return out


def clamp(seconds: Any) -> float:
    """An interval that the agent accepts. Raises CommandError for what is no number."""
    nothing = isinstance(seconds, bool) or (isinstance(seconds, float) and math.isnan(seconds))
    if not isinstance(seconds, (int, float)) or nothing:
        raise CommandError("interval without a number of seconds")
    return float(min(INTERVALS[1], max(INTERVALS[0], seconds)))
