"""The processes of a container with what they use, read on its host from /proc: no engine is asked.

Engines differ too much to be asked: Docker's `top` runs the host's `ps`, Podman's runs the image's, where
there may be none, and shows pids that mean nothing on the host.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from backend.errors import ActionFailed

if TYPE_CHECKING:
    from backend.link import Link

_TIMEOUT = 15.0
_COMMAND_LIMIT = 2000

_READ = r"""
token=$1 pid=$2 id=$3 folder=
while IFS=: read -r number controllers path; do
    case $path in *"$id"*) ;; *) continue ;; esac
    for mount in "/sys/fs/cgroup/${controllers#name=}" /sys/fs/cgroup /sys/fs/cgroup/unified; do
        if [ -r "$mount$path/cgroup.procs" ]; then folder=$mount$path; break 2; fi
    done
done <"/proc/$pid/cgroup"
[ -n "$folder" ] || exit 4
set -- $(find "$folder" -name cgroup.procs -exec cat {} + | sort -un)
[ $# -gt 0 ] || exit 4
read -r up rest </proc/uptime
echo "$up $(getconf CLK_TCK 2>/dev/null || echo 100) $(getconf PAGESIZE 2>/dev/null || echo 4096)"
for pid; do echo "/proc/$pid"; done | xargs stat -c '%n %U' 2>/dev/null
for pid; do
    echo "$token $pid"
    cat "/proc/$pid/cmdline" "/proc/$pid/stat" 2>/dev/null
done
exit 0
"""
"""For `sh -c`: uptime and units, the owner of each process, then its command line and stat behind `$1`.

One that ends meanwhile is no failure, also if it is the last.
"""

_STAT = re.compile(
    rb"(?P<command>.*?)(?P<pid>\d+) \((?P<name>.*)\) (?P<state>[A-Za-z]) (?P<rest>[0-9 -]+)\n?", re.DOTALL
)


class Process(Struct, frozen=True):
    """One process of a container."""

    pid: int
    """On the host."""
    user: str
    """As the host names it."""
    state: str
    """One letter of proc(5): R, S, D, Z, T."""
    cpu_seconds: float
    """CPU time used since it started."""
    age: float
    """Seconds since it started."""
    mem_used: int
    """Resident memory in bytes."""
    threads: int
    command: str
    """Raw: it came from a host."""
    cpu_percent: float | None = None
    """Of one CPU, between two readings."""


class Reading(Struct, frozen=True):
    """All processes of a container at one moment."""

    uptime: float
    """Seconds since the host started: when this was read."""
    processes: tuple[Process, ...]


async def read(link: Link, container: str, pid: int) -> Reading:
    """Read them once. `container` is the full id, `pid` that of its first process on the host.

    Raises `ActionFailed` where the host has no such control group, or no /proc.
    """
    token = secrets.token_hex(12)
    done = await link.run(["sh", "-c", _READ, "sh", token, str(pid), container], timeout=_TIMEOUT)
    if done.returncode or not done.stdout:
        raise ActionFailed(
            f"{link.name}: the container's processes cannot be found on the host.",
            hint="It may have ended meanwhile, or its engine runs in a virtual machine.",
        )
    return parse(done.stdout, token)


async def read_twice(link: Link, container: str, pid: int, pause: float = 0.5) -> Reading:
    """Read them with the CPU that each used during `pause` seconds."""
    first = await read(link, container, pid)
    await asyncio.sleep(pause)
    return compare(first, await read(link, container, pid))


def compare(first: Reading, second: Reading) -> Reading:
    """The second reading, with the CPU used since the first."""
    before = {each.pid: each for each in first.processes}
    span = second.uptime - first.uptime

    def rated(process: Process) -> Process:
        known = before.get(process.pid)
        if known is None or span <= 0 or known.age > process.age:
            return process
        used = max(0.0, process.cpu_seconds - known.cpu_seconds)
        return replace(process, cpu_percent=used / span * 100)

    return Reading(second.uptime, tuple(rated(each) for each in second.processes))


def parse(text: bytes, token: str) -> Reading:
    """What the script printed -> a reading. Processes that ended meanwhile are left out."""
    head, *parts = text.split(token.encode() + b" ")
    first, _, owners = head.decode(errors="replace").partition("\n")
    try:
        uptime, ticks, page = (float(word) for word in first.split())
    except ValueError:
        raise ActionFailed("the container's processes cannot be read.") from None
    users = dict(line.removeprefix("/proc/").split(" ", 1) for line in owners.splitlines() if " " in line)
    found = []
    for part in parts:
        number, _, rest = part.partition(b"\n")
        match = _STAT.fullmatch(rest)
        fields = match["rest"].split() if match else []
        if match is None or match["pid"] != number or len(fields) < 21:
            continue
        command = match["command"].rstrip(b"\0").replace(b"\0", b" ")[:_COMMAND_LIMIT]
        name = match["name"].decode(errors="replace")
        found.append(
            Process(
                pid=int(number),
                user=users.get(number.decode(), ""),
                state=match["state"].decode(),
                cpu_seconds=(int(fields[10]) + int(fields[11])) / ticks,
                age=max(0.0, uptime - int(fields[18]) / ticks),
                mem_used=max(0, int(fields[20])) * int(page),
                threads=int(fields[16]),
                command=command.decode(errors="replace") or f"[{name}]",
            )
        )
    return Reading(uptime, tuple(found))
