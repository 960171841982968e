"""The builds of this user on this machine, on record in the state folder: `builds/ID.json`, `builds/ID.log`.

Every berth writes the records of the builds it began, and reads all of them. Who began a build holds a lock
for as long as it lives: what is active without that lock was left by a berth that was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from backend import atomic
from backend.building.model import ACTIVE, Build, BuildState
from backend.config.paths import state_dir
from backend.errors import ActionFailed, BerthError, NoSuchTarget, UsageError
from backend.text import printable

KEPT = 200
"""Builds that are remembered; those that are active always are."""
LOG_LIMIT = 20 * 1024 * 1024
"""Bytes of one log: more than a host keeps."""
_EVERY = 0.3
"""Seconds between two writes of a record whose state is the same."""
_ID = re.compile(r"[0-9]{6}-[0-9]{6}-[0-9a-f]{4}")
_CANCEL = ".cancel"

Changed = Callable[[Build, str | None], None]
"""Called with a build that changed; or with a build and a line of its log."""
_listeners: list[Changed] = []
_count = itertools.count()


def folder() -> Path:
    """Where the records are."""
    return state_dir() / "builds"


def new_id() -> str:
    """A name that sorts by time."""
    return f"{datetime.now(UTC):%y%m%d-%H%M%S}-{next(_count) % 256:02x}{secrets.token_hex(1)}"


def listen(changed: Changed) -> Callable[[], None]:
    """Hear of every change of a build of this process; call what is returned to end that."""
    _listeners.append(changed)

    def end() -> None:
        with contextlib.suppress(ValueError):
            _listeners.remove(changed)

    return end


def log_path(build: str) -> Path:
    """The log of a build: what its builder said, line by line."""
    return folder() / f"{build}.log"


def stamp() -> float:
    """Changes whenever any record does, of whatever berth: when to read them again."""
    try:
        return max((entry.stat().st_mtime for entry in os.scandir(folder())), default=0.0)
    except OSError:
        return 0.0


def listed(limit: int = KEPT, *, active: bool = False) -> list[Build]:
    """The builds on record, newest first. Records that cannot be read are passed over."""
    try:
        names = sorted((each.name for each in folder().glob("*.json")), reverse=True)
    except OSError:
        return []
    found: list[Build] = []
    held: dict[str, bool] = {}
    for name in names:
        build = _read(folder() / name)
        if build is None or (active and not build.active):
            continue
        found.append(_now(build, held))
        if len(found) >= limit:
            break
    return found


def find(text: str) -> Build:
    """By its id, or the end of it. Raises `NoSuchTarget`, and `UsageError` where several fit."""
    fitting = [each for each in listed(10 * KEPT) if text and (each.id == text or each.id.endswith(text))]
    if len(fitting) > 1:
        places = ", ".join(f"{each.id} ({each.recipe} on {each.host})" for each in fitting[:8])
        raise UsageError(f"{len(fitting)} builds end in {text!r}.", hint=f"Say which: {places}")
    if not fitting:
        raise NoSuchTarget(f"there is no build {text!r}.", hint="See: berth images builds")
    return fitting[0]


def _read(path: Path) -> Build | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Build)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def _now(build: Build, held: dict[str, bool]) -> Build:
    """What is active, and was left alone by its berth, goes on there or is lost."""
    if not build.active:
        return build
    if build.order not in held:
        held[build.order] = owned(build.order)
    if held[build.order]:
        return build
    if build.run and build.active:
        return build.to(BuildState.DETACHED)
    return build.to(BuildState.LOST, error="the berth that began it was killed", ended_at=build.created_at)


# ---------------------------------------------------------------------------------------- writing


class Record:
    """The record of one build, written by who began it (or took it over)."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self._kept = False
        self._written = 0.0
        self._size = 0
        self._log: int | None = None
        self._pending = False

    def keep(self) -> None:
        """It is worth a record: there is something to build."""
        if not self._kept:
            self._kept = True
            self._save()

    def update(self, build: Build) -> None:
        """Take over what it is now. The disk hears of every change of state, and of others now and then."""
        new = build.state is not self.build.state or build.run != self.build.run
        self.build = build
        if new or time.monotonic() - self._written >= _EVERY:
            self._save()
        elif not self._pending:
            self._pending = True
            with contextlib.suppress(RuntimeError):  # without a loop `close` does it
                asyncio.get_running_loop().call_later(_EVERY, self._flush)
        for each in list(_listeners):
            each(build, None)

    def say(self, line: str) -> None:
        """A line of its log. A full disk loses it, never the build."""
        data = line.encode("utf-8", "replace") + b"\n"
        with contextlib.suppress(OSError):
            if self._log is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._log = os.open(log_path(self.build.id), flags, 0o600)
            if self._size < LOG_LIMIT:
                self._size += os.write(self._log, data)
        for each in list(_listeners):
            each(self.build, line)

    def close(self) -> None:
        """Everything is on disk."""
        self._flush()
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _flush(self) -> None:
        if self._pending:
            self._save()

    def _save(self) -> None:
        self._written = time.monotonic()
        self._pending = False
        if not self._kept:
            return
        with contextlib.suppress(OSError):
            atomic.write(folder() / f"{self.build.id}.json", msgspec.json.encode(self.build), durable=False)


class BuildFailed(ActionFailed):
    """A builder ended with an error."""

    title = "Build failed"

    def __init__(self, message: str, *, hint: str = "", tail: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.tail = tail
        """The last lines of its output."""


def failed(record: Record, error: BerthError) -> None:
    """Put on record that a build failed, and why."""
    record.update(
        record.build.to(
            BuildState.FAILED,
            error=printable(error.message, 1000),
            hint=error.hint,
            tail=error.tail if isinstance(error, BuildFailed) else (),
        )
    )


# ------------------------------------------------------------------------------ owning, cancelling


@contextlib.contextmanager
def own(order: str) -> Iterator[bool]:
    """Hold the lock on an order while this is entered; whether we have it."""
    path = folder() / f"{order}.lock"
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def owned(order: str) -> bool:
    """Whether a berth works on an order."""
    try:
        descriptor = os.open(folder() / f"{order}.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def ask_cancel(build: str) -> None:
    """Wish the end of a build of another berth: it looks for that."""
    with contextlib.suppress(OSError):
        atomic.write(folder() / f"{build}{_CANCEL}", b"", durable=False)


def cancel_asked(build: str) -> bool:
    """Whether somebody wishes its end; the wish is taken back by that."""
    try:
        (folder() / f"{build}{_CANCEL}").unlink()
    except OSError:
        return False
    return True


def settle() -> None:
    """Write down how builds ended that were left alone, and remove what is too old. Never raises."""
    for build in listed(10 * KEPT):
        if build.state is BuildState.LOST:
            with contextlib.suppress(OSError):
                path = folder() / f"{build.id}.json"
                if (known := _read(path)) is not None and known.state in ACTIVE:
                    atomic.write(path, msgspec.json.encode(build), durable=False)
    with contextlib.suppress(OSError):
        _prune()


def _prune() -> None:
    names = [each.name for each in folder().iterdir()]
    ids = sorted((name.removesuffix(".json") for name in names if name.endswith(".json")), reverse=True)
    old = {
        each for each in ids[KEPT:] if (build := _read(folder() / f"{each}.json")) is None or not build.active
    }
    for name in names:
        if (match := _ID.match(name)) is None:
            continue
        gone = match[0] in old
        orphan = name.endswith((".lock", _CANCEL)) and not owned(match[0]) and _age(name) > 60
        orphan = orphan or (name.endswith(".log") and match[0] not in ids and _age(name) > 60)
        if gone or orphan:
            (folder() / name).unlink(missing_ok=True)


def _age(name: str) -> float:
    try:
        return time.time() - (folder() / name).stat().st_mtime
    except OSError:
        return 0.0
