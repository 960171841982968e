"""What running containers use, read from their cgroups and from /proc: the engine is never asked.

Files stay open between samples. A container that does nothing (same CPU time, same memory as before)
costs two reads; the rest is read for those that do something, and now and then for all.
"""

from __future__ import annotations

import os
import resource
import time
from typing import Any

from ..containers import Entry
from . import cgroups

_NO_LIMIT = 1 << 60
"""v1 writes "no limit" as a number just below 2^63."""
_ALL_EVERY = 15.0
"""Seconds after which also an idle container is read in full."""
_LIMIT_EVERY = 30.0
_LOOK_AGAIN = 10.0
"""Seconds until a container whose cgroup was not found is looked for again."""


class Reader:
    """One file, kept open if there is room for it."""

    __slots__ = ("_fd", "_keep", "_path")

    def __init__(self, path: str, keep: bool) -> None:
        self._path = path
        self._keep = keep
        self._fd = -1

    def read(self, size: int = 4096) -> bytes:
        """The file's text now. Raises OSError, ENODEV once a kept cgroup file is gone."""
        if self._fd >= 0:
            return os.pread(self._fd, size, 0)
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        if self._keep:
            self._fd = fd
            return os.pread(fd, size, 0)
        try:
            return os.pread(fd, size, 0)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close it if it is open."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Watched:
    """The files and last values of one running container."""

    def __init__(self, entry: Entry, found: cgroups.Folders, proc: str, keep: bool) -> None:
        self.id: str = entry.wire["id"]
        self.pid = entry.pid
        self.parent = os.path.dirname(found.memory or found.cpu)
        self._v2 = found.unified
        v2 = self._v2
        self._cpu = Reader(f"{found.cpu}/{'cpu.stat' if v2 else 'cpuacct.usage'}", keep)
        self._memory = Reader(f"{found.memory}/{'memory.current' if v2 else 'memory.usage_in_bytes'}", keep)
        self._stat = Reader(f"{found.memory}/memory.stat", keep)
        self._limit = Reader(f"{found.memory}/{'memory.max' if v2 else 'memory.limit_in_bytes'}", False)
        self._pids = Reader(f"{found.pids}/pids.current", keep) if found.pids else None
        self._net = None if entry.host_network else Reader(f"{proc}/{entry.pid}/net/dev", keep)
        self.gone = False
        self._last: tuple[float, int] | None = None
        self._raw_memory = -1
        self._full_at = self._limit_at = -1e9
        self._values: dict[str, Any] = {"id": self.id}

    def sample(self, now: float, machine: int) -> dict[str, Any]:
        """The wire's Usage. Marks itself gone when the cgroup vanished."""
        values = self._values
        try:
            cpu = self._cpu_ns()
            raw = int(self._memory.read())
        except (OSError, ValueError, IndexError):
            self.gone = True
            return values
        busy = self._last is None or cpu != self._last[1] or raw != self._raw_memory
        if self._last is not None and now > self._last[0] and cpu >= self._last[1]:
            values["cpu_percent"] = round((cpu - self._last[1]) / 1e7 / (now - self._last[0]), 1)
        self._last, self._raw_memory = (now, cpu), raw
        if now - self._limit_at >= _LIMIT_EVERY:
            self._limit_at = now
            values["mem_limit"] = self._read_limit(machine)
        if busy or now - self._full_at >= _ALL_EVERY:
            self._full_at = now
            self._read_rest(raw)
        return values

    def close(self) -> None:
        """Close all files: an open /proc/PID/net/dev would keep the network namespace alive."""
        for reader in (self._cpu, self._memory, self._stat, self._pids, self._net):
            if reader is not None:
                reader.close()

    def _cpu_ns(self) -> int:
        text = self._cpu.read()
        return int(text.split(None, 2)[1]) * 1000 if self._v2 else int(text)

    def _read_rest(self, raw: int) -> None:
        values = self._values
        name = b"inactive_file" if self._v2 else b"total_inactive_file"
        try:
            values["mem_used"] = max(0, raw - stat_value(self._stat.read(8192), name))
        except OSError:
            values["mem_used"] = raw
        try:
            values["pids"] = int(self._pids.read()) if self._pids else None
        except (OSError, ValueError):
            values["pids"] = None
        if self._net is not None:
            try:
                values["net_rx"], values["net_tx"] = net_bytes(self._net.read(65536))
            except OSError:
                values["net_rx"] = values["net_tx"] = None

    def _read_limit(self, machine: int) -> int | None:
        try:
            text = self._limit.read().strip()
            limit = _NO_LIMIT if text == b"max" else int(text)
        except (OSError, ValueError):
            limit = _NO_LIMIT
        return min(limit, machine) if machine else (limit if limit < _NO_LIMIT else None)


class UsageProbe:
    """All running containers."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._mounts: cgroups.Mounts | None = None
        self._entries: list[Entry] = []
        self._watched: dict[str, Watched] = {}
        self._missing: dict[str, tuple[int, float]] = {}
        self._links: dict[str, int] = {}
        self._below: dict[str, set[str]] = {}
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._room = max(0, (soft if soft > 0 else 4096) // 2 - 32) // 5

    def sync(self, running: list[Entry]) -> None:
        """The containers that run now."""
        self._entries = running
        pids = {entry.wire["id"]: entry.pid for entry in running}
        for key in [key for key, watched in self._watched.items() if pids.get(key) != watched.pid]:
            self._watched.pop(key).close()
        for key in [key for key, (pid, _) in self._missing.items() if pids.get(key) != pid]:
            del self._missing[key]

    def sample(self, machine: int) -> list[dict[str, Any]]:
        """Section `usage`. `machine` is the machine's memory in bytes."""
        now = time.monotonic()
        out = []
        for entry in self._entries:
            watched = self._watched.get(entry.wire["id"]) or self._open(entry, now)
            if watched is None:
                continue
            values = watched.sample(now, machine)
            if watched.gone:
                self._watched.pop(watched.id).close()
                self._missing[watched.id] = (watched.pid, now)
            else:
                out.append({key: value for key, value in values.items() if value is not None})
        return out

    def contradictions(self) -> list[str]:
        """Ids whose cgroup says otherwise than the list of running containers: an event is missing."""
        running = {entry.wire["id"] for entry in self._entries}
        wrong = {key for key in self._missing if not os.path.exists(f"{self._proc}/{self._missing[key][0]}")}
        for watched in self._watched.values():
            self._links.setdefault(watched.parent, 0)
        for parent, links in list(self._links.items()):
            try:
                # the mtime of a cgroup folder does not move, its count of subfolders does
                current = os.stat(parent).st_nlink
            except OSError:
                del self._links[parent]
                self._below.pop(parent, None)
                continue
            if current != links:
                self._links[parent] = current
                self._below[parent] = cgroups.containers_below(parent)
            strange = self._below.get(parent, set()) - running
            if strange:  # one may have gone and another come, which leaves the count as it was
                self._below[parent] = cgroups.containers_below(parent)
                wrong |= strange & self._below[parent]
        return sorted(wrong)

    def close(self) -> None:
        """Close all files."""
        self.sync([])

    def _open(self, entry: Entry, now: float) -> Watched | None:
        key = entry.wire["id"]
        if key in self._missing and now - self._missing[key][1] < _LOOK_AGAIN:
            return None
        try:
            if self._mounts is None:
                self._mounts = cgroups.Mounts.read(self._proc)
            with open(f"{self._proc}/{entry.pid}/cgroup", encoding="utf-8", errors="replace") as file:
                found = cgroups.folders(file.read(65536), self._mounts, key)
        except OSError:
            found = None
        if found is None:
            self._missing[key] = (entry.pid, now)
            return None
        self._missing.pop(key, None)
        watched = Watched(entry, found, self._proc, len(self._watched) < self._room)
        self._watched[key] = watched
        return watched


def stat_value(text: bytes, name: bytes) -> int:
    """The number after `name` in a file of `name number` lines; 0 if it is not there."""
    start = text.find(b"\n" + name + b" ") + 1
    if not start and not text.startswith(name + b" "):
        return 0
    number = text[start + len(name) + 1 :].split(b"\n", 1)[0]
    return int(number) if number.isdigit() else 0


def net_bytes(text: bytes, skip: tuple[bytes, ...] = (b"lo",)) -> tuple[int, int]:
    """Received and sent bytes of all interfaces in /proc/net/dev whose names do not start with `skip`."""
    received = sent = 0
    for line in text.split(b"\n")[2:]:
        name, separator, rest = line.partition(b":")
        fields = rest.split()
        if not separator or len(fields) < 9 or name.strip().startswith(skip):
            continue
        if fields[0].isdigit() and fields[8].isdigit():
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent
