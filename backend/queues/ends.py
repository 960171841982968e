"""How a job ended: in a sentence, in a word of a list, and as an exit code. Pure."""

from __future__ import annotations

import signal
from datetime import UTC, datetime

from backend.model import JobRow
from backend.text import duration

CANCELLED = 130
TIMEOUT = 124
"""As `timeout(1)` says it."""


def exit_code(row: JobRow) -> int:
    """berth's own exit code for an ended job: the job's; 124: its time was up, 130: somebody ended it."""
    if row.state == "completed":
        return 0
    if row.state == "cancelled":
        return CANCELLED
    if row.state == "timeout":
        return TIMEOUT
    return row.exit_code if row.exit_code and 0 < row.exit_code < 256 else 1


def outcome(row: JobRow) -> str:
    """What ended it: who, its time limit, a signal, its exit code; empty for a job that has not ended."""
    if row.ended_at is None:
        return ""
    if row.reason:
        return row.reason
    if row.state == "timeout":
        limit = f" of {duration(row.time_limit)}" if row.time_limit else ""
        return f"its time limit{limit} was over"
    if row.state == "cancelled":
        return "cancelled"
    if row.exit_code is None:
        return "" if row.state == "completed" else "its exit code is not known"
    return _meaning(row.exit_code)


def ended(row: JobRow) -> str:
    """`job 5 ended, timeout: its time limit of 1 h was over (exit code 124)`."""
    code = exit_code(row)
    why = outcome(row)
    said = f": {why}" if why else ""
    told = "" if why == _meaning(code) else f" (exit code {code})"
    return f"job {row.id} ended, {row.state}{said}{told}"


def when(row: JobRow, now: datetime | None = None) -> str:
    """`5 min ago`; empty for a job that has not ended."""
    if row.ended_at is None:
        return ""
    passed = ((now or datetime.now(UTC)) - row.ended_at).total_seconds()
    return f"{duration(max(0.0, passed))} ago"


def _meaning(code: int) -> str:
    if 128 < code < 160:
        try:
            return f"killed by {signal.Signals(code - 128).name}"
        except ValueError:
            return f"killed by signal {code - 128}"
    return f"exit code {code}"
