"""The machine under the lab: running programs, waiting, ending processes, the cache."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import TypeVar

from tests.lab.spec import LabError

HERE = Path(__file__).parent
T = TypeVar("T")
_SHORTEST, _LONGEST = 0.02, 0.3
"""Seconds between two looks at what is waited for."""
_SHARE = 0.1
"""Of the time waited so far: by no more than that a wait gets longer."""


def command(
    argv: Sequence[str],
    *,
    data: bytes | None = None,
    check: bool = True,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and keep what it said. Raises LabError when it fails and `check` is set."""
    try:
        done = subprocess.run(argv, input=data or b"", capture_output=True, timeout=timeout, check=False)
    except FileNotFoundError as error:
        raise LabError(f"the lab needs {argv[0]}, which is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv)} did not end within {timeout:.0f} s") from error
    out, err = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(argv)} failed with {done.returncode}: {(err or out).strip()}")
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def wait_for(check: Callable[[], T], what: str, *, seconds: float = 20) -> T:
    """Call `check` until it returns something true; LabError names `what` when that takes too long."""
    began = look = time.monotonic()
    while not (found := check()):
        now = time.monotonic()
        if now > began + seconds:
            raise LabError(f"waited {seconds:.0f} s in vain for {what}")
        # Many checks start processes: what takes long is asked for less often.
        longer = min((now - began) * _SHARE, _LONGEST)
        time.sleep(max(_SHORTEST, longer, min(now - look, 1.0)))
        look = time.monotonic()
    return found


def process_start(pid: int) -> int | None:
    """When a living process started, in clock ticks since boot: tells it from a later one of the same pid."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def kill(pid: int, still_ours: Callable[[int], bool]) -> None:
    """SIGKILL one process and wait for its end, without ever hitting another that got its pid meanwhile."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if still_ours(pid):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], 10)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def cache() -> Path:
    """Where built libraries and images are kept between labs."""
    base = os.environ.get("BERTH_LAB_CACHE") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    ).joinpath("berth-lab")
    path = Path(base)
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def machine_lock(what: str) -> Iterator[None]:
    """One at a time on this machine, whichever lab. Not to be taken twice by one caller."""
    handle = os.open(cache() / f"{what}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        flock(handle, LOCK_EX)
        yield
    finally:
        os.close(handle)


def built(source: str, *flags: str) -> Path:
    """Compile `native/<source>` once per content and return the program or library."""
    import hashlib

    path = HERE / "native" / source
    digest = hashlib.sha256(path.read_bytes() + " ".join(flags).encode()).hexdigest()[:16]
    target = cache() / f"{path.stem}-{digest}"
    with machine_lock("native"):
        if not target.exists():
            part = target.with_name(f"{target.name}.part")
            command(["gcc", "-O2", "-Wall", "-Wextra", "-o", str(part), str(path), *flags])
            part.replace(target)
    return target
