"""What was done: actions that run now and those that ended, with their output, kept in the state directory.

The log is one JSON object per line in `activity.jsonl`, appended by every berth that runs (dashboards and
command lines side by side), so that each line is one write. It holds no option that is declared secret.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from backend import atomic
from backend.config.paths import state_dir

KEPT = 500
"""Entries that stay when the file is trimmed."""
_TRIM_AT = 2 * 2**20
"""Bytes at which it is trimmed."""
OUTPUT_LINES = 400
"""Lines of output kept of one run, the last ones."""

RunState = Literal["running", "done", "failed", "cancelled", "lost"]


class ActivityRow(Struct, frozen=True, kw_only=True):
    """`berth activity`: one action on one target."""

    id: str
    """Unique; sorts by time."""
    action: str
    """Name of the action."""
    title: str
    target: str
    """`host/name`."""
    host: str | None
    state: RunState
    """`lost`: the berth that ran it was killed before it ended."""
    started_at: datetime
    ended_at: datetime | None = None
    message: str = ""
    """What it said at its end: what was done, or why not."""
    hint: str = ""
    output: tuple[str, ...] = ()
    options: dict[str, object] = {}
    notes: dict[str, str] = {}
    done: int | None = None
    """Progress, in a unit of its own, while it runs."""
    total: int | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None


class ActivityLog:
    """The file of ended runs."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_dir() / "activity.jsonl"

    def append(self, row: ActivityRow) -> None:
        """Put one ended run on record. A disk that is full or read-only loses the entry, never the action."""
        try:
            line = msgspec.json.encode(row) + b"\n"
        except UnicodeEncodeError:  # names of files may hold bytes that are no text
            text = json.dumps(msgspec.to_builtins(row), ensure_ascii=False, default=str)
            line = text.encode(errors="replace") + b"\n"
        with suppress(OSError), self._locked() as descriptor:
            os.write(descriptor, line)
            if os.fstat(descriptor).st_size > _TRIM_AT:
                self._trim()

    def read(self, limit: int = KEPT) -> list[ActivityRow]:
        """Ended runs, newest first. Lines that cannot be read (cut by a crash) are passed over."""
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError:
            return []
        decoder = msgspec.json.Decoder(ActivityRow)
        rows: list[ActivityRow] = []
        for line in reversed(lines):
            with suppress(msgspec.MsgspecError, ValueError):
                rows.append(decoder.decode(line))
            if len(rows) >= limit:
                break
        return sorted(rows, key=lambda row: row.id, reverse=True)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        finally:
            os.close(lock)

    def _trim(self) -> None:
        kept = self.path.read_bytes().splitlines(keepends=True)[-KEPT:]
        while len(kept) > 1 and sum(map(len, kept)) > _TRIM_AT // 2:
            kept = kept[len(kept) // 4 + 1 :]
        atomic.write(self.path, b"".join(kept), durable=False)
