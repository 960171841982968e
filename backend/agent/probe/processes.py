"""A process that holds a GPU: whose it is, what it runs, and in which container."""

from __future__ import annotations

import os
import pwd
import time
from typing import Any

from ..times import rfc3339
from .cgroups import container_id

_COMMAND_LIMIT = 200
_REMEMBERED = 4096


class ProcessFacts:
    """Looks up processes in /proc and remembers them by pid and start time."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._known: dict[int, tuple[int, dict[str, Any]]] = {}
        self._users: dict[int, str] = {}
        self._tick = os.sysconf("SC_CLK_TCK")

    def facts(self, pid: int) -> dict[str, Any]:
        """`user`, `command`, `container`, `started_at`, as far as /proc lets us read them."""
        try:
            with open(f"{self._proc}/{pid}/stat", "rb") as file:
                started = start_ticks(file.read(2048))
        except OSError:
            return {}
        known = self._known.get(pid)
        if known is not None and known[0] == started:
            return known[1]
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        facts = self._read(pid, started)
        self._known[pid] = (started, facts)
        return facts

    def _read(self, pid: int, started: int) -> dict[str, Any]:
        folder = f"{self._proc}/{pid}"
        out: dict[str, Any] = {}
        try:
            out["user"] = self._user(os.stat(folder).st_uid)
        except OSError:
            pass
        command = self._text(f"{folder}/cmdline", 4096).rstrip("\0").replace("\0", " ")
        # a kernel thread or a process that is ending has no command line, but a name
        out["command"] = shortened(command or self._text(f"{folder}/comm", 64).strip())
        container = container_id(self._text(f"{folder}/cgroup", 65536))
        if container:
            out["container"] = container
        if started:
            out["started_at"] = rfc3339(_boot_time() + started / self._tick)
        return out

    def _text(self, path: str, size: int) -> str:
        try:
            with open(path, "rb") as file:
                return file.read(size).decode("utf-8", "replace")
        except OSError:
            return ""

    def _user(self, uid: int) -> str:
        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except (KeyError, OverflowError):
                self._users[uid] = str(uid)
        return self._users[uid]


def _boot_time() -> float:
    """Unix time of the boot; finer than the whole seconds of btime in /proc/stat."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def start_ticks(stat: bytes) -> int:
    """Field 22 of /proc/PID/stat: clock ticks after boot. The name before it may hold anything."""
    fields = stat.rpartition(b")")[2].split()
    return int(fields[19]) if len(fields) > 19 and fields[19].isdigit() else 0


def shortened(text: str) -> str:
    """At most 200 characters, the cut marked."""
    return text if len(text) <= _COMMAND_LIMIT else text[: _COMMAND_LIMIT - 1] + "…"
