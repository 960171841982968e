"""What a container left on the machine, where the engine itself does not know whether it ran.

Docker writes down that a container runs only after it was started. Killed in between, it says `created` for
good: the first process may wait to be let go, it may run, it may have ended, or it was never made.
"""

from __future__ import annotations

import json
import os
import signal
import time
from typing import List, NamedTuple

from .container import Found
from .enginelink import EngineLink
from .epoch import age

_WAITS = "runc:[2:INIT]"
"""The name of a first process before it becomes the container's program."""
_NOBODY = 2**31 - 1
"""A pid that no process has."""


class Process(NamedTuple):
    """One of a container's."""

    pid: int
    name: str

    @property
    def waits(self) -> bool:
        """Whether it has not begun."""
        return self.name == _WAITS


def processes(container: str) -> List[Process]:
    """Those that are in the container's control group. As far as we may look."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cgroup", encoding="utf-8", errors="replace") as file:
                if container not in file.read(65536):
                    continue
            with open(f"/proc/{entry}/comm", encoding="utf-8", errors="replace") as file:
                found.append(Process(int(entry), file.read(64).strip()))
        except OSError:
            continue  # it ended meanwhile
    return found


async def never_ran(engine: EngineLink, found: Found, left: List[Process]) -> bool:
    """Whether it is certain that nothing of it ran.

    Its first process still waits; or there is none, and not even the file was made in its root that Docker's
    init is mounted on, which is there before the first process begins.
    """
    if left:
        return all(process.waits for process in left)
    if not found.has_init:
        return False
    reply = await engine.ask("GET", f"/containers/{found.id}/changes")
    try:
        return reply.error is None and reply.status == 200 and not json.loads(reply.body)
    except ValueError:
        return False


def end(left: List[Process], name: str = "SIGKILL") -> None:
    """Send a signal to what is left, where we have the right to."""
    number = int(name) if name.isdigit() else getattr(signal, name, signal.SIGTERM)
    for process in left:
        try:
            os.kill(process.pid, number)
        except OSError:
            continue


def gone(pid: int) -> bool:
    """Whether there is certainly no such process."""
    try:
        os.kill(pid or _NOBODY, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass  # somebody else's
    return False


def elapsed(found: Found) -> float:
    """Seconds a running container has run, by its first process; that knows no clock on the wall."""
    known = age(found.pid)
    if known is not None:
        return max(0.0, known)
    if gone(found.pid):
        return 0.0  # it is ending
    # /proc hides other people's processes here: the wall has to do
    return max(0.0, time.time() - found.started_at) if found.started_at else 0.0
