"""What changes files on a side, each thing so that a crash at any point loses nothing."""

from __future__ import annotations

import errno
import os
import stat

from backend.sync.host.place import Trouble
from backend.sync.host.runs import about, listed, run_folder, write_about
from backend.sync.host.walk import decoded, encoded, token_of

_EXCHANGE = 2
_AT_FDCWD = -100


def private(folder: bytes, mode: int) -> None:
    """Make a folder that only we can enter, or see that it is one. Raises `Trouble`: it is left as it is."""
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        os.mkdir(folder, mode)
        os.chmod(folder, mode)
    except FileExistsError:
        status = os.stat(folder)
        if not stat.S_ISDIR(status.st_mode):
            raise Trouble(f"{decoded(folder)} is no folder.") from None
        if stat.S_IMODE(status.st_mode) & ~mode & 0o777:
            raise Trouble(
                f"{decoded(folder)} is open to others (mode {stat.S_IMODE(status.st_mode):04o}): "
                f"secrets go only to folders of mode {mode:04o}.",
                "open",
            ) from None


def remove(base: bytes, kept: bytes | None, wanted: list[tuple[bytes, bytes]]) -> list[tuple[bytes, str]]:
    """Remove files below `base` that are still as they were seen; what stays, and why.

    They go to the folder `kept`, where there is one. Folders that are empty then go too.
    """
    stay: list[tuple[bytes, str]] = []
    folders = []
    for path, seen in wanted:
        full = os.path.join(base, path)
        now = token_of(full)
        if not now:
            continue
        if now == b"d":
            folders.append(path)
            continue
        if now != seen:
            stay.append((path, "it was changed meanwhile"))
            continue
        try:
            if kept is None:
                os.unlink(full)
            else:
                move(full, os.path.join(kept, path))
        except OSError as error:
            stay.append((path, error.strerror or str(error)))
    for path in sorted(folders, key=lambda each: -each.count(b"/")):
        try:
            os.rmdir(os.path.join(base, path))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                stay.append((path, error.strerror or str(error)))
    return stay


def move(source: bytes, target: bytes) -> None:
    """Move a file or link, also to another file system: it is always whole in one of the two places."""
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        else:
            import shutil

            shutil.copy2(source, target + b".new")
            os.rename(target + b".new", target)
        os.unlink(source)


def exchange(one: bytes, other: bytes) -> None:
    """Let two paths change places at once, where the kernel can do that; else in two steps."""
    import ctypes

    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _EXCHANGE) == 0:
            return
        if ctypes.get_errno() not in (errno.ENOSYS, errno.EINVAL, errno.EPERM):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    except AttributeError:
        pass  # no Linux, or an old one
    aside = other + b".aside"
    os.rename(other, aside)
    try:
        os.rename(one, other)
    except OSError:
        os.rename(aside, other)
        raise
    os.rename(aside, one)


def swap(staged: bytes, target: bytes) -> bool:
    """Put a folder that arrived in the place of another; whether there was one: it lies at `staged` then."""
    if os.path.lexists(target):
        exchange(staged, target)
        return True
    os.rename(staged, target)
    return False


def undo(place: bytes, run: str, force: bool) -> tuple[int, list[tuple[bytes, str]]]:
    """Put back what a run replaced or removed; how many files, and what stays as it is, and why.

    What was changed since is left alone, unless `force`. Raises `Trouble`.
    """
    folder = run_folder(place, run)
    what = about(folder)
    bases = what.get("bases")
    if not isinstance(bases, list):
        raise Trouble(f"nothing is kept of {run}.", "gone")
    after = what.get("after")
    after = after if isinstance(after, dict) else {}
    import shutil

    back = 0
    stay: list[tuple[bytes, str]] = []
    swapped = what.get("swapped")
    if isinstance(swapped, list) and len(swapped) == 2:
        staged, target = (encoded(str(each)) for each in swapped)
        if not os.path.isdir(staged):
            raise Trouble(f"nothing is kept of {run}.", "gone")
        if not force and _touched(target, what.get("swapped_at"), what.get("top")):
            stay.append((target, "something in it was changed since; --force takes that away"))
        else:
            swap(staged, target)
            shutil.rmtree(staged, ignore_errors=True)
            back = 1
    for number, base in enumerate(bases):
        root = encoded(str(base))
        kept = os.path.join(folder, b"kept", b"%d" % number)
        for path in files_below(kept):
            full = os.path.join(root, path)
            now = decoded(token_of(full))
            if not force and now != after.get(f"{number}/{decoded(path)}", ""):
                stay.append((path, "it was changed since"))
                continue
            try:
                os.makedirs(os.path.dirname(full), exist_ok=True)
                move(os.path.join(kept, path), full)
                back += 1
            except OSError as error:
                stay.append((path, error.strerror or str(error)))
    if not stay:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        what["state"] = "partly undone"
        write_about(folder, what)
    return back, stay


def _touched(folder: bytes, at: object, top: object) -> bool:
    """Whether anything below a folder changed since it took its place; `top`: its own time then.

    By the time of inodes, which nobody sets: what arrived before has an earlier one.
    """
    if not os.path.lexists(folder):
        return False
    if not isinstance(at, float) or os.lstat(folder).st_mtime_ns != top:
        return True
    for here, folders, names in os.walk(folder):
        for name in (*folders, *names):
            try:
                if os.lstat(os.path.join(here, name)).st_ctime > at:
                    return True
            except OSError:
                return True
    return False


def files_below(folder: bytes) -> list[bytes]:
    """Paths of all files and links below a folder."""
    found = []
    stack = [b""]
    while stack:
        rel = stack.pop()
        for name in listed(os.path.join(folder, rel)):
            path = rel + name
            full = os.path.join(folder, path)
            if os.path.isdir(full) and not os.path.islink(full):
                stack.append(path + b"/")
            else:
                found.append(path)
    return sorted(found)
