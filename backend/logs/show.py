"""`berth logs`: logs to standard output, as text or as one JSON object per line."""

from __future__ import annotations

import json as json_
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import TYPE_CHECKING

from backend.errors import UsageError, exit_code_for
from backend.logs.follower import Follower, Status, Target, Wants
from backend.logs.lines import LogLine
from backend.logs.pattern import pattern
from backend.logs.since import parse_since, parse_tail
from backend.logs.writing import Writer
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.model import ContainerRow

_INKS = (74, 214, 36, 227, 175, 209, 111, 150)
"""Of the 256 colours: near the palette of Okabe and Ito, told apart with every kind of colour blindness."""
_NAME_CELLS = 32


def names(rows: Sequence[Target]) -> list[str]:
    """What to call each: by its name, and by its host too where one name is on several hosts."""
    alone = [row.name for row in rows]
    return [
        printable(row.name if alone.count(row.name) == 1 else f"{row.host}/{row.name}", _NAME_CELLS)
        for row in rows
    ]


async def show(
    access: Access,
    rows: Sequence[ContainerRow],
    *,
    follow: bool = False,
    tail: str = "all",
    since: str | None = None,
    timestamps: bool = False,
    grep: str | None = None,
    color: bool = True,
    json: bool = False,
) -> int:
    """Write the logs of `rows` to standard output, merged by time; the exit code. Raises `UsageError`."""
    wanted = pattern(grep or "")
    wants = Wants(
        tail=parse_tail(tail),
        since=parse_since(since) if since else None,
        follow=follow,
        linger=False,
    )
    targets = [Target(row.host, row.id or row.name, row.name) for row in rows]
    form = _json(targets) if json else _text(targets, timestamps=timestamps, colour=color and _has_colours())
    told = _Told(targets)
    writer = Writer(sys.stdout.fileno())

    async def take(lines: list[LogLine]) -> None:
        told.read.update({line.source for line in lines})
        if wanted is not None:
            lines = [line for line in lines if wanted(line.plain)]
            if wanted.failed:
                raise UsageError(wanted.failed)
        if lines:
            await writer.write("".join(map(form, lines)).encode("utf-8", "replace"))

    await Follower(targets, access.engine, wants).run(take, told.status)
    await writer.flush()
    return told.code


def _has_colours() -> bool:
    environment = os.environ
    return sys.stdout.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def _text(targets: Sequence[Target], *, timestamps: bool, colour: bool) -> Callable[[LogLine], str]:
    """A line for people; with the container's name in front where there are several."""
    fronts = [""] * len(targets)
    if len(targets) > 1:
        called = names(targets)
        wide = max(map(len, called))
        fronts = [f"{name:<{wide}} | " for name in called]
        if colour:
            fronts = [
                f"\x1b[38;5;{_INKS[place % len(_INKS)]}m{front}\x1b[0m" for place, front in enumerate(fronts)
            ]

    def form(line: LogLine) -> str:
        text = line.text if colour else line.plain
        end = "\x1b[0m\n" if colour and line.text is not line.plain else "\n"
        at = f"{line.time.isoformat(timespec='microseconds')[:26]}Z " if timestamps and line.time else ""
        return f"{fronts[line.source]}{at}{text}{end}"

    return form


def _json(targets: Sequence[Target]) -> Callable[[LogLine], str]:
    def form(line: LogLine) -> str:
        target = targets[line.source]
        found = {
            "host": target.host,
            "container": target.name,
            "time": line.time.astimezone(UTC).isoformat().replace("+00:00", "Z") if line.time else None,
            "stream": "stderr" if line.error else "stdout",
            "text": line.plain,
        }
        return json_.dumps(found, ensure_ascii=False) + "\n"

    return form


class _Told:
    """What happened to each container, said once on standard error."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets
        self._last: list[Status] = [Status()] * len(targets)
        self._codes = [0] * len(targets)
        self.read: set[int] = set()
        """Those of which anything was read."""

    @property
    def code(self) -> int:
        """The exit code: the worst of all."""
        return max(self._codes, default=0)

    def status(self, index: int, status: Status) -> None:
        """A container is in another state now."""
        before, self._last[index] = self._last[index], status
        target = self._targets[index]
        name = f"{target.host}/{target.name}"
        # One that is removed when it ends, while it is followed, has come to its proper end: also where that
        # was so soon that only what it had written already was read.
        there = before.state == "following" or (before.state == "opening" and index in self.read)
        gone = status.error is not None and not (status.state == "removed" and there)
        self._codes[index] = exit_code_for(status.error) if gone and status.error else 0
        if status.state == "lost" and str(before.error) != str(status.error):
            self._say(f"{name}: {status.error}")
        elif status.state == "removed":
            self._say(f"{name} is not there any more.")
        elif status.state == "following" and before.state == "lost":
            self._say(f"{name}: going on where it was lost.")

    def _say(self, text: str) -> None:
        print(f"berth: {printable(text)}", file=sys.stderr, flush=True)
