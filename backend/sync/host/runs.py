"""Runs: what is on its way, and what was there before.

`STATE/runs/ID/about.json`   who did what, and below which folders
`STATE/runs/ID/way`          the files that are on their way; there while the run is not at its end
`STATE/runs/ID/kept/N/...`   what was replaced or removed below the folder number N
"""

from __future__ import annotations

import json
import os
import re
import time

from backend.sync.host.place import Trouble
from backend.sync.host.walk import PARTIAL, decoded, encoded

_TEMPORARY = re.compile(rb"\.(.+)\.[A-Za-z0-9]{6}\Z", re.S)
_DAY = 86400.0
_KEEP_RUNS = 200


def run_folder(place: bytes, run: str) -> bytes:
    """The folder of a run. Raises `Trouble` for what is no name of one."""
    if not re.match(r"[0-9A-Za-z][0-9A-Za-z-]{0,60}\Z", run):
        raise Trouble(f"{run!r} is no run.")
    return os.path.join(place, b"runs", run.encode())


def about(folder: bytes) -> dict[str, object]:
    """What is written of a run."""
    try:
        with open(os.path.join(folder, b"about.json"), "rb") as file:
            found = json.loads(file.read())
            return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def write_about(folder: bytes, what: dict[str, object]) -> None:
    """Write that down, at once or not at all."""
    path = os.path.join(folder, b"about.json")
    with open(path + b".new", "w") as file:
        file.write(json.dumps(what))
    os.replace(path + b".new", path)


def sweep(place: bytes, targets: list[bytes]) -> int:
    """Remove what runs below `targets` left behind that never came to their end; how many files that were.

    Only for who has the locks of `targets`.
    """
    removed = 0
    folder = os.path.join(place, b"runs")
    for name in listed(folder):
        run = os.path.join(folder, name)
        way = os.path.join(run, b"way")
        what = about(run)
        where = what.get("targets")
        if not isinstance(where, list) or not {encoded(str(each)) for each in where} <= set(targets):
            continue
        try:
            with open(way, "rb") as file:
                paths = [path for path in file.read().split(b"\0") if path]
        except OSError:
            continue
        removed += _sweep_temporaries(paths)
        what["state"] = "interrupted"
        what["partials"] = [decoded(each) for each in _partials(paths)]
        write_about(run, what)
        os.unlink(way)
        if not os.path.isdir(os.path.join(run, b"kept")) and not what["partials"] and not what.get("beside"):
            remove_tree(run)
    return removed


def _sweep_temporaries(paths: list[bytes]) -> int:
    """Remove rsync's temporary files beside these files."""
    folders: dict[bytes, set[bytes]] = {}
    for path in paths:
        parent, _, name = path.rpartition(b"/")
        folders.setdefault(parent, set()).add(name)
    removed = 0
    for parent, known in folders.items():
        for name in listed(parent or b"/"):
            match = _TEMPORARY.match(name)
            if match is None or name in known:
                continue
            begun = match.group(1)
            if begun in known or (len(name) > 240 and any(each.startswith(begun) for each in known)):
                try:
                    os.unlink(os.path.join(parent, name))
                    removed += 1
                except OSError:
                    pass
    return removed


def _partials(paths: list[bytes]) -> list[bytes]:
    """The folders of half files beside these that there are."""
    folders = {path.rpartition(b"/")[0] for path in paths}
    every = (os.path.join(folder, PARTIAL) for folder in folders)
    return sorted(each for each in every if os.path.isdir(each))


def drop_partials(paths: list[bytes]) -> None:
    """Remove the folders of half files beside these: all have arrived."""
    for each in _partials(paths):
        remove_tree(each)


def prune(place: bytes, days: float, most: int, newest: bytes = b"") -> int:
    """Remove what was kept for longer than `days`, or is more than `most` bytes in all; the bytes left.

    The newest run stays whatever its size: that it can be undone was said when it was agreed to. `newest`:
    its folder's name; names of others tell the time of whichever machine they came from.
    """
    folder = os.path.join(place, b"runs")
    total = kept = 0
    names = sorted(listed(folder), key=lambda name: (name == newest, name), reverse=True)
    for name in names:  # the newest first
        run = os.path.join(folder, name)
        if os.path.exists(os.path.join(run, b"way")):
            continue  # under way
        try:
            age = time.time() - os.stat(run).st_mtime
        except OSError:
            continue
        size = size_of(os.path.join(run, b"kept")) + _aside(run)
        if age > days * _DAY or kept >= _KEEP_RUNS or (kept and total + size > most):
            remove_run(run)
        else:
            total += size
            kept += 1
    return total


def _aside(run: bytes) -> int:
    """Bytes of a folder that lies beside the one that took its place; measured when it was put there."""
    what = about(run)
    size = what.get("aside_bytes")
    beside = what.get("beside")
    there = isinstance(beside, list) and any(os.path.isdir(encoded(str(each))) for each in beside)
    return size if isinstance(size, int) and there else 0


def remove_run(run: bytes) -> None:
    """Forget a run with all that was kept of it."""
    what = about(run)
    for key in ("partials", "beside"):
        found = what.get(key)
        for each in found if isinstance(found, list) else ():
            path = encoded(str(each))
            if os.path.basename(path).startswith(b".berth-"):
                remove_tree(path)
    remove_tree(run)


def size_of(folder: bytes) -> int:
    """Bytes of the files in a folder and below."""
    size = 0
    for where, _, files in os.walk(folder):
        for each in files:
            try:
                size += os.lstat(os.path.join(where, each)).st_size
            except OSError:
                pass
    return size


def listed(folder: bytes) -> list[bytes]:
    """The names in a folder; none where it cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def remove_tree(folder: bytes) -> None:
    """Remove a folder with all that is in it, as far as that can be done."""
    import shutil  # seldom needed, and slow to load

    shutil.rmtree(folder, ignore_errors=True)
