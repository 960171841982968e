"""Telling people of a host something: on their terminals, or in a file that they may read."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess

_EACH = 10.0
"""Seconds that a terminal may take; one that is stopped never reads."""


def terminals() -> dict[str, list[str]]:
    """The terminals of everybody who is logged in, by user."""
    found: dict[str, list[str]] = {}
    for folder in ("/dev/pts", "/dev"):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            if folder == "/dev" and not (name.startswith("tty") and name[3:].isdigit()):
                continue
            if name == "ptmx":
                continue
            path = os.path.join(folder, name)
            try:
                about = os.stat(path, follow_symlinks=False)
                user = pwd.getpwuid(about.st_uid).pw_name
            except (OSError, KeyError):
                continue
            if stat.S_ISCHR(about.st_mode) and (about.st_uid or folder == "/dev/pts"):
                found.setdefault(user, []).append(path)
    return found


def write_to(user: str, text: str) -> str:
    """Write to all terminals of a user that take messages; what came of it."""
    mine = terminals().get(user, [])
    if not mine:
        return "is not logged in"
    reached = 0
    for path in mine:
        reached += _by_program(user, path, text) or _by_hand(path, text)
    if not reached:
        return "takes no messages (mesg n)"
    return f"written to {reached} terminal{'s' * (reached != 1)}"


def _by_program(user: str, path: str, text: str) -> bool:
    """With `write`, which may write where we may not."""
    program = shutil.which("write")
    if program is None:
        return False
    argv = [program, user, path[len("/dev/") :]]
    try:
        done = subprocess.run(  # noqa: PLW1510
            argv, input=text.encode(), capture_output=True, timeout=_EACH, start_new_session=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _by_hand(path: str, text: str) -> bool:
    """Into the terminal itself, where that is allowed and its owner has not said no."""
    try:
        terminal = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        about = os.fstat(terminal)
        if not stat.S_ISCHR(about.st_mode) or not about.st_mode & stat.S_IWGRP:
            return False
        os.write(terminal, ("\r\n" + text.replace("\n", "\r\n") + "\r\n").encode())
    except OSError:
        return False
    finally:
        os.close(terminal)
    return True


def write_all(text: str) -> str:
    """To everybody's terminals; what came of it."""
    people = sorted(terminals())
    said = [f"{user}: {write_to(user, text)}" for user in people]
    return "; ".join(said) if said else "nobody is logged in"


def leave_file(path: str, text: str) -> str:
    """Write a file that everybody may read; what came of it. Raises `OSError`.

    Never through a link, and never over what somebody else wrote.
    """
    temporary = f"{path}.{os.getpid()}.new"
    try:
        about = os.lstat(path)
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
            raise OSError(None, f"{path} is not a file of ours")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text.encode())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return f"written to {path}"
