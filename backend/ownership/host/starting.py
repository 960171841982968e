"""Which folders, and a worker for them: by sudo where that is needed."""

from __future__ import annotations

import json
import os
import select
import stat
import subprocess
import sys
import time
from typing import IO

START = 20.0
"""Seconds that sudo and Python have to start the worker."""
_STOP = 10.0
_SYSTEM = (
    *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "usr"),
    "var/lib/docker",
    "var/lib/containers",
)
_WHOLE = ("", "home", "var", "opt", "root", "srv", "mnt", "media", "tmp", "var/lib", "var/tmp")
"""Folders that hold those of many people, or of the system."""


class Trouble(Exception):
    """What the person who asked has to know; `kind`: `sudo`, `folder`, `watched`, or nothing."""

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.kind = kind


def resolved(text: str) -> dict:  # type: ignore[type-arg]
    """A folder as it is: absolute, without links. Raises `Trouble`."""
    home = os.path.realpath(os.path.expanduser("~"))
    path = os.path.realpath(os.path.join(home, os.path.expanduser(text)))
    try:
        status = os.stat(path)
    except OSError as error:
        raise Trouble("%s: %s" % (text, error.strerror), "folder") from None
    if not stat.S_ISDIR(status.st_mode):
        raise Trouble("%s is no folder." % text, "folder")
    inner = path.strip("/")
    system = any(inner == each or inner.startswith(each + "/") for each in _SYSTEM)
    if system or inner in _WHOLE or path == home:
        raise Trouble("%s is not a folder to share: name one below it." % path, "folder")
    return {"path": path, "dev": status.st_dev, "ino": status.st_ino}


def sudo(needed: bool) -> list[str]:
    """What comes before python3 so that it may give things to others. Raises `Trouble`."""
    if not needed or os.getuid() == 0:
        return []
    words = ["sudo", "-n", "--"]
    try:
        done = subprocess.run(
            [*words, python(), "-c", "pass"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=START,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = "there is no sudo" if isinstance(error, OSError) else "sudo does not answer"
        raise Trouble(why, "sudo") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Trouble(said[-1] if said else "sudo refuses", "sudo")
    return words


def python() -> str:
    """The Python that runs this."""
    return os.path.realpath(sys.executable or "/usr/bin/python3")


def started(order: dict, code: bytes) -> subprocess.Popen:  # type: ignore[type-arg]
    """A worker with its order. Raises `Trouble`."""
    one_liner = (
        "import sys,zlib\nd=b''\nwhile len(d)<%d:\n p=sys.stdin.buffer.raw.read(%d-len(d))\n"
        " if not p: sys.exit()\n d+=p\nexec(zlib.decompress(d))\nwork()" % (len(code), len(code))
    )
    words = sudo(bool(order["root"]))
    process = subprocess.Popen(
        [*words, python(), "-I", "-S", "-c", one_liner],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        bufsize=0,
    )
    try:
        pipes(process)[0].write(code + json.dumps(order).encode("ascii") + b"\n")
    except OSError:
        process.kill()
        raise Trouble("the worker does not start.") from None
    return process


def pipes(process: subprocess.Popen) -> tuple[IO[bytes], IO[bytes]]:  # type: ignore[type-arg]
    """Its input and its output."""
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def answer_of(process: subprocess.Popen, limit: float) -> dict:  # type: ignore[type-arg]
    """Its next line. Raises `Trouble`."""
    line = b""
    out = pipes(process)[1]
    end = time.monotonic() + limit
    while not line.endswith(b"\n"):
        ready = select.select([out], [], [], max(0.0, end - time.monotonic()))[0]
        if not ready:
            raise Trouble("it does not answer within %d s." % limit)
        piece = os.read(out.fileno(), 1 << 16)
        if not piece:
            raise Trouble("it ended at once.")
        line += piece
    found: dict = json.loads(line.splitlines()[-1])  # type: ignore[type-arg]
    if "error" in found:
        raise Trouble(found["error"], "folder")
    return found


def once(order: dict, code: bytes) -> dict:  # type: ignore[type-arg]
    """Look through everything, and set it right unless it is a trial; what was found."""
    process = started(order, code)
    try:
        return answer_of(process, float(order.get("limit") or 60.0) + START)
    finally:
        pipes(process)[0].close()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
