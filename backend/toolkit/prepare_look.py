"""The first half of the host's side of `berth prepare`: what looks, and what both halves use.

Runs in one namespace with `prepare.py`, which comes after it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

LIMIT = 1 << 20
"""Bytes of a file that is looked at; larger ones are nobody's configuration."""
MANIFEST = ".local/share/berth/prepared.json"
"""What berth made here: a list of entries, each with a kind and a path or key."""
MANAGERS = ("apt-get", "dnf", "yum", "zypper")
PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT = 20


def say(**what: Any) -> None:
    """One line; nobody may be listening any more, and the work goes on to its end all the same."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(what).encode() + b"\n")


def home() -> Path:
    """The user's home, as the system knows it where the environment does not say."""
    return Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def why(error: OSError) -> str:
    """In words for people."""
    known = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
    return known.get(error.errno or 0, (error.strerror or type(error).__name__).lower())


def run(argv: list[str], timeout: int = TIMEOUT) -> tuple[int, str]:
    """A program's exit code and output; 127 where it is not there or hangs."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 127, ""
    return done.returncode, done.stdout.decode("utf-8", "replace")


# ------------------------------------------------------------------------------------------ looking


def look(request: dict[str, Any]) -> None:
    """Say how things are: the user, their home, what is in files, what is installed."""
    user = pwd.getpwuid(os.getuid())
    base = home()
    found: dict[str, Any] = {"user": user.pw_name, "home": str(base), "shell": user.pw_shell}
    found["problem"] = problem(base)
    found["made"] = made(base)
    wanted = list(request["files"])
    for entry in made(base):
        wanted += (
            [entry["path"], entry["path"] + ".pub"] if entry["kind"] == "key" else [entry.get("path", "")]
        )
    found["files"] = {path: content(base / path) for path in dict.fromkeys(wanted) if path}
    for entry in made(base):
        if entry["kind"] == "key":
            found["files"].get(entry["path"], {}).pop("text", None)  # a private key goes nowhere
    found["programs"] = [name for name in request["programs"] if which(name)]
    manager = next((name for name in MANAGERS if which(name)), "")
    found["manager"] = manager
    found["missing"] = [name for name in request["packages"] if not (which(name) or installed(manager, name))]
    found["root"] = os.getuid() == 0
    found["sudo"] = bool(which("sudo")) and run(["sudo", "-n", "true"])[0] == 0
    keys = [*request["git"], *(entry["key"] for entry in made(base) if entry["kind"] == "git")]
    found["git"] = {key: setting(key) for key in keys} if which("git") else {}
    say(look=found)


def problem(base: Path) -> str:
    """Why nothing can be written in the home; empty where it can."""
    if not base.is_dir():
        return "it is not there"
    try:
        status = os.statvfs(base)
    except OSError as error:
        return why(error)
    if status.f_flag & os.ST_RDONLY:
        return "it is on a read-only file system"
    if not os.access(base, os.W_OK | os.X_OK):
        return "you may not write there"
    return "its disk is full" if status.f_blocks and not status.f_bavail else ""


def content(path: Path) -> dict[str, Any]:
    """What is at a path: kind, and of a file its text, mode and hash."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return {"kind": "missing"}
    except OSError as error:
        return {"kind": "unknown", "error": why(error)}
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return {
            "kind": "link",
            "target": os.readlink(path),
            "mode": mode,
            "folder": path.is_dir(),
        }  # Path's is 3.9
    if stat.S_ISDIR(status.st_mode):
        return {"kind": "folder", "mode": mode}
    if not stat.S_ISREG(status.st_mode) or status.st_size > LIMIT:
        return {"kind": "unknown", "error": "it is no plain file"}
    try:
        data = path.read_bytes()
    except OSError as error:
        return {"kind": "unknown", "error": why(error)}
    mine = status.st_uid == os.getuid() and os.access(path, os.W_OK)
    text = data.decode("utf-8", "surrogateescape")
    return {"kind": "file", "mode": mode, "text": text, "sha": digest(data), "writable": mine}


def made(base: Path) -> list[dict[str, Any]]:
    """The entries of the manifest that can be understood."""
    try:
        entries = json.loads(content(base / MANIFEST).get("text") or "[]")
    except ValueError:
        return []
    return [
        entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("kind"), str) and isinstance(named(entry), str)
    ]


def named(entry: dict[str, Any]) -> Any:
    """What tells it from others of its kind."""
    return entry.get("path", entry.get("key", entry.get("names")))


def digest(data: bytes) -> str:
    """By which a file is known again."""
    return hashlib.sha256(data).hexdigest()


def which(name: str) -> str | None:
    """Where a program is, also in the system's folders that are not on everybody's path."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + PLACES)


def installed(manager: str, name: str) -> bool:
    """Whether the package manager has it."""
    if manager == "apt-get":
        code, said = run(["dpkg-query", "-W", "-f", "${db:Status-Status}", "--", name])
        return code == 0 and said.strip() == "installed"
    return bool(manager) and run(["rpm", "-q", "--whatprovides", "--", name])[0] == 0


def setting(key: str) -> str | None:
    """A value of the user's git configuration."""
    code, said = run(["git", "config", "--global", "--get", key])
    return said.rstrip("\n") if code == 0 else None
