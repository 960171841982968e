"""The engine of a node: the one that listens there, else Podman's, started for as long as it is needed."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import Iterator, NamedTuple

from ..queue import place
from . import api

_START = 30.0
"""Seconds Podman may take until it answers: the first start of a person's own makes its storage."""
_DIE_WITH_PARENT = 1
"""prctl(2): PR_SET_PDEATHSIG."""


class Engine(NamedTuple):
    """An engine that answers."""

    socket: str
    kind: str
    """docker or podman."""


@contextmanager
def engine() -> Iterator[Engine]:
    """Raises LookupError where there is none."""
    socket, found = place.engine_socket()
    version = api.ask(socket, "GET", "/version") if found is not None else None
    if version:
        yield Engine(socket, kind_of(version))
        return
    podman = shutil.which("podman")
    if podman is None:
        raise LookupError(f"{os.uname().nodename} has neither an engine that we may use nor podman")
    folder = tempfile.mkdtemp(prefix="berth-podman-")
    process = None
    try:
        socket = os.path.join(folder, "podman.sock")
        argv = [podman, "system", "service", "--time=0", f"unix://{socket}"]
        with open(os.path.join(folder, "said"), "wb") as said:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # this process has one thread
            )
        until = time.monotonic() + _START
        while not api.ask(socket, "GET", "/version"):
            if process.poll() is not None or time.monotonic() > until:
                with open(os.path.join(folder, "said"), errors="replace") as text:
                    raise LookupError(f"podman does not start: {text.read()[-400:].strip() or 'no word'}")
            time.sleep(0.1)
        yield Engine(socket, "podman")
    finally:
        if process is not None and process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
        shutil.rmtree(folder, True)


def kind_of(version: object) -> str:
    """Which engine answers `/version` like this."""
    components = version.get("Components") if isinstance(version, dict) else None
    names = [str(each.get("Name")) for each in components or () if isinstance(each, dict)]
    return "podman" if any("podman" in name.lower() for name in names) else "docker"


def die_with_parent() -> None:
    """In the child: it ends with us, however that happens."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
