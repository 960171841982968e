"""Ends the step that runs in a build of Podman, whoever runs it.

Podman's service lets a step come to its end when its client goes away, and `podman build` leaves its
container behind when it is told to end. Both clean up when the process of the step is killed: the build
fails then.

What our own `podman build` runs is below us. What a service runs for us, perhaps as another user, is in a
control group of the build's name. Where that user is not us, a container of that service kills it: who may
use the service may do that.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import time
from contextlib import suppress
from typing import Any, Dict, Iterator, List, Set
from urllib.parse import quote

from . import api

_SUBREAPER = 36
"""prctl(2): PR_SET_CHILD_SUBREAPER."""
_RUNTIME = "buildah-oci-runtime"
"""What Podman calls itself where it watches over a step."""
_OWN = (_RUNTIME, "runc", "crun")
"""Programs below that which are no part of a step."""
_LOOK = 0.05
_HELPER = 15.0
"""Seconds that everything in a control group has to end."""
_FOLDERS = ("/usr", "/bin", "/lib", "/lib64", "/sbin")
_SCRIPT = """\
for file in /proc/[0-9]*/cgroup; do
    if grep -q "/$0\\$" "$file" 2>/dev/null; then
        pid=${file#/proc/}
        kill -KILL "${pid%/cgroup}" 2>/dev/null
    fi
done
"""


def adopt() -> None:
    """From now on processes below us whose parent ends stay below us."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def end_steps(pid: int) -> None:
    """Kill the steps that a `podman build` runs, and nothing that cleans up behind them."""
    for each in _below(pid):
        if _program(each) == _RUNTIME:
            for step in _below(each):
                if _program(step) not in _OWN:
                    _kill(step)


def end_below(pid: int) -> None:
    """Kill all that runs below a process."""
    for each in _below(pid):
        _kill(each)


def _program(pid: int) -> str:
    return os.path.basename(_read(f"/proc/{pid}/cmdline").partition("\0")[0])


def _kill(pid: int) -> None:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def _below(pid: int) -> List[int]:
    """All descendants of a process."""
    children: Dict[int, List[int]] = {}
    for each in _pids():
        found = re.match(r".*\) \S (\d+)", _read(f"/proc/{each}/stat"), re.DOTALL)
        if found:
            children.setdefault(int(found[1]), []).append(each)
    out: List[int] = []
    waiting = [pid]
    while waiting:
        more = children.get(waiting.pop(), [])
        out += more
        waiting += more
    return out


def _pids() -> Iterator[int]:
    with suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdecimal():
                yield int(name)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""


# ------------------------------------------------------------------------------ in another's hands


def end_in(socket: str, group: str) -> None:
    """Kill all that runs in the control group of that name, and wait until it has ended. Never raises."""
    until = time.monotonic() + _HELPER
    tried: Set[int] = set()
    while time.monotonic() < until:
        found = set(_in(group))
        if not found:
            return
        for pid in found - tried:
            _kill(pid)
        time.sleep(_LOOK)
        if not found - tried and set(_in(group)) & found:
            _by_container(socket, group)
        tried |= found


def _in(group: str) -> List[int]:
    end = f"/{group}"
    return [
        pid
        for pid in _pids()
        if any(line.endswith(end) for line in _read(f"/proc/{pid}/cgroup").splitlines())
    ]


def _by_container(socket: str, group: str) -> None:
    """A container that sees all processes, with the host's own programs, kills those of the group."""
    images = api.ask(socket, "GET", "/images/json")
    if not isinstance(images, list) or not images:
        return
    body: Dict[str, Any] = {
        "Image": str(images[0].get("Id")),
        "Entrypoint": ["/bin/sh"],
        "Cmd": ["-c", _SCRIPT, group],
        "User": "0:0",
        "Labels": {"berth.helper": group},
        "HostConfig": {
            "AutoRemove": True,
            "Privileged": True,
            "PidMode": "host",
            "NetworkMode": "none",
            "Binds": [f"{folder}:{folder}:ro" for folder in _FOLDERS if os.path.isdir(folder)],
        },
    }
    made = api.ask(socket, "POST", f"/containers/create?name={quote(group)}-end", body)
    if isinstance(made, dict) and made.get("Id"):
        identity = quote(str(made["Id"]))
        api.ask(socket, "POST", f"/containers/{identity}/start")
        api.ask(socket, "POST", f"/containers/{identity}/wait")
        api.ask(socket, "DELETE", f"/containers/{identity}?force=1")
