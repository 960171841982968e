"""Interactive shells inside a container: which there are, and ending them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.errors import ActionFailed
from backend.terminal import scripts
from backend.text import duration, printable

if TYPE_CHECKING:
    from backend.link import Link

_TIMEOUT = 20.0
_MOST = 1000
"""Shells that are listed: a container may make up as many as it likes."""


@dataclass(frozen=True)
class Place:
    """A container and the way to it."""

    link: Link
    engine: scripts.Engine
    container: str


@dataclass(frozen=True)
class Shell:
    """A process that leads a session on a terminal."""

    pid: int
    """As the container counts."""
    user: str
    tty: str
    """`pts/1`."""
    age: int
    """Seconds since it started."""
    start: str
    """When it started, in ticks since boot: tells it from a later process of the same pid."""
    command: str

    def __str__(self) -> str:
        return f"{self.pid:>7}  {self.user:<12}  {self.tty:<8}  {duration(self.age):>10}  {self.command}"


async def listed(place: Place) -> list[Shell]:
    """Those of the container but its first process and the shell this process was started from.

    Raises `ActionFailed` where nothing can be run in it.
    """
    said = await _inside(place, "list", [os.environ.get("BERTH_SHELL", "")])
    return parse(said)


def parse(text: str) -> list[Shell]:
    """The lines of scripts/list.sh. What does not look like one is passed over."""
    found = []
    for line in text.splitlines()[:_MOST]:
        words = line.split(" ", 5)
        if len(words) == 6 and all(_is_number(words[n]) for n in (0, 3, 4)):
            pid, user, tty, age, start, command = words
            shown = printable(command.strip(), 200)
            found.append(Shell(int(pid), printable(user, 32), printable(tty, 16), int(age), start, shown))
    return found


async def end(place: Place, shells: Sequence[Shell]) -> int:
    """SIGHUP, and SIGKILL after 3 s; how many needed that. A pid that was reused meanwhile is left alone."""
    said = await _inside(place, "end", [f"{each.pid}:{each.start}" for each in shells])
    killed = said.strip().rpartition("\n")[2]
    return int(killed) if _is_number(killed) else 0


async def _inside(place: Place, script: str, words: Sequence[str]) -> str:
    argv = scripts.inside_command(place.engine, place.container, script, words)
    done = await place.link.run(argv, timeout=_TIMEOUT)
    if done.returncode:
        said = (done.stderr + done.stdout).decode(errors="replace").strip().removeprefix("berth: ")
        problem = printable(said, 300) or "its shells cannot be listed."
        raise ActionFailed(
            f"{place.container} on {place.link.name}: {problem}",
            hint="It has to run, and to hold a shell (sh).",
        )
    return done.stdout.decode(errors="replace")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20
