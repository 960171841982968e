"""Processes of a container, seen from its host: signals to one, to a group, and an end for all of them.

Pids are those of the host. One is only ever signalled after its control group was found to name the
container, so that a pid that now belongs to somebody else is left alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backend.errors import ActionFailed, NoSuchTarget

if TYPE_CHECKING:
    from backend.engine import EngineClient
    from backend.engine.execs import Execs
    from backend.link import Completed, Link

_TIMEOUT = 15.0
_FULL_ID = re.compile(r"[0-9a-f]{64}")

_OURS = r"""
ours() { case $(cat "/proc/$1/cgroup" 2>/dev/null) in *"$id"*) return 0 ;; esac; return 1; }
"""

_SIGNAL = (
    r"""
signal=$1 id=$2 pid=$3
"""
    + _OURS
    + r"""
ours "$pid" || exit 4
while read -r key value; do [ "$key" = NSpid: ] && set -- $value; done <"/proc/$pid/status"
kill -s "$signal" "$pid" 2>/dev/null && exit 0
[ -d "/proc/$pid" ] || exit 0
while [ $# -gt 1 ]; do shift; done
echo "$1"
exit 5
"""
)
"""For `sh -c`: exit 0 sent, 4 not in that container, 5 not allowed (its pid inside is printed)."""

_END_GROUP = (
    r"""
id=$1 pid=$2 failed=0
"""
    + _OURS
    + r"""
ours "$pid" || exit 0
kill -s TERM -- "-$pid" 2>/dev/null || kill -s TERM "$pid" 2>/dev/null || failed=1
for pause in 1 2 3 4 5 6 7 8 9 10; do
    ours "$pid" || break
    sleep 0.1 2>/dev/null || sleep 1
done
for entry in /proc/[0-9]*; do
    read -r line <"$entry/stat" || continue
    set -- ${line##*) }
    [ "$3" = "$pid" ] && [ "$1" != Z ] && ours "${entry#/proc/}" || continue
    kill -s KILL "${entry#/proc/}" || failed=1
done 2>/dev/null
exit $failed
"""
)
"""For `sh -c`: end a process and its group, TERM first; exit 1 if we may not.

The leader's end is waited for, then each of its group that still lives is killed by its own pid: the group
may hold zombies for as long as the container's first process does not collect them.
"""

_MEMBERS = r"""
id=$1
find /sys/fs/cgroup -type d \( -name "$id" -o -name "docker-$id.scope" -o -name "libpod-$id*" \) 2>/dev/null |
while read -r group; do find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null; done | sort -un |
while read -r pid; do
    case $pid in 0|1|"$$") continue ;; esac
    printf '%s %s\n' "$pid" "$(tr '\000\n' '  ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-200)"
done
"""
"""For `sh -c`: pid and command of each process in the control groups of a container."""

_KILL = (
    r"""
id=$1
shift
"""
    + _OURS
    + r"""
failed=0
for pid; do
    ours "$pid" || continue
    kill -s KILL "$pid" 2>/dev/null || failed=1
done
exit $failed
"""
)
"""For `sh -c`: SIGKILL to each of these that is still the container's. Exit 1: not allowed."""


def _full_id(link: Link, container: str) -> str:
    """The id, if it can be found in no control group but that container's: a part of one, or none at all, is
    found in many. It came from the host."""
    if _FULL_ID.fullmatch(container) is None:
        raise ActionFailed(f"{link.name}: {container[:80]!r} is no full id of a container.")
    return container


async def send_signal(link: Link, engine: EngineClient, container: str, pid: int, signal: str) -> None:
    """Send a signal to one process of a container (`container` is its full id, `pid` the host's).

    Where the host does not let us, it is sent from inside the container, which has to have `kill` or `sh`.
    Raises `NoSuchTarget` if the process is not in that container, `ActionFailed` if it cannot be done.
    """
    full = _full_id(link, container)
    done = await link.run(["sh", "-c", _SIGNAL, "sh", signal, full, str(pid)], timeout=_TIMEOUT)
    if done.returncode == 0:
        return
    if done.returncode == 4:
        raise NoSuchTarget(f"{link.name}: process {pid} is not in that container.")
    inside = done.stdout.decode(errors="replace").strip()
    if done.returncode == 5 and inside.isdigit():
        result = await engine.exec(
            container, ["sh", "-c", 'kill -s "$1" "$2"', "sh", signal, inside], user="0"
        )
        if result.exit_code == 0:
            return
    raise ActionFailed(
        f"{link.name}: process {pid} cannot be signalled.",
        hint="It belongs to another user, and the container has no `kill` of its own.",
    )


async def end_group(link: Link, engine: Execs, container: str, pid: int) -> None:
    """End a process that was started in a container, and its group: SIGTERM, a second later SIGKILL."""
    full = _full_id(link, container)
    done = await link.run(["sh", "-c", _END_GROUP, "sh", full, str(pid)], timeout=_TIMEOUT)
    if done.returncode:
        await _end_inside(link, engine, container, pid)


async def _end_inside(link: Link, engine: Execs, container: str, pid: int) -> None:
    """The same from inside, where the host does not let us signal somebody else's process."""
    status = await link.run(["cat", f"/proc/{pid}/status"], timeout=_TIMEOUT)
    for line in status.stdout.decode(errors="replace").splitlines():
        if line.startswith("NSpid:"):
            inside = line.split()[-1]
            script = 'kill -s KILL -- "-$1" 2>/dev/null || kill -s KILL "$1"'
            await engine.exec(container, ["sh", "-c", script, "sh", inside], user="0")
            return


async def members(link: Link, container: str) -> dict[int, str]:
    """Processes in the control groups of a container (full id): pid to command line.

    Found without the engine, which may be what does not answer.
    """
    done = await link.run(["sh", "-c", _MEMBERS, "sh", _full_id(link, container)], timeout=_TIMEOUT)
    found: dict[int, str] = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        pid, _, command = line.partition(" ")
        if pid.isdigit():
            found[int(pid)] = command.strip()
    return found


async def kill_members(link: Link, container: str, pids: list[int]) -> None:
    """SIGKILL processes of a container, as ourselves or through `sudo -n`. Raises `ActionFailed`."""
    argv = ["sh", "-c", _KILL, "sh", _full_id(link, container), *map(str, pids)]
    done: Completed | None = None
    for prefix in ([], ["sudo", "-n"]):
        done = await link.run([*prefix, *argv], timeout=_TIMEOUT)
        if done.returncode == 0:
            return
    raise ActionFailed(
        f"{link.name}: we may not kill the container's processes.",
        hint=f"As root on {link.name}: kill -9 {' '.join(map(str, pids[:20]))}",
    )
