"""berth.log in the state directory: what is of use only when something in berth itself went wrong."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from backend.config.paths import state_dir
from backend.text import printable

LIMIT = 1_000_000
"""Bytes after which the log starts anew; one old log is kept."""
_LINE = 4000
_RECORD = 100_000
"""Characters of one line, and of one record, that are kept."""


def path() -> Path:
    """Where it is."""
    return state_dir() / "berth.log"


def install() -> None:
    """Send warnings and worse of all parts to the log, and nothing of them to the terminal."""
    root = logging.getLogger()
    if not any(isinstance(handler, _ToFile) for handler in root.handlers):
        root.addHandler(_ToFile(logging.WARNING))


def _harmless(text: str) -> str:
    """The lines of a record: what a host said in them cannot speak to the terminal that shows the log."""
    return "\n".join(printable(line, _LINE) for line in text[:_RECORD].split("\n"))


class _ToFile(logging.Handler):
    """Opens the file for each record: they are rare, and no process holds a log that another one renamed."""

    def emit(self, record: logging.LogRecord) -> None:
        target = path()
        try:
            now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            text = f"{now} {record.levelname} {record.name}: {_harmless(self.format(record))}\n"
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if target.exists() and target.stat().st_size > LIMIT:
                target.replace(target.with_suffix(".log.old"))
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "a", encoding="utf-8", errors="replace") as file:
                file.write(text)
        except Exception:  # noqa: S110  # a log that cannot be written must not end what it is about
            pass
