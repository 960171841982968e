"""`berth activity`: what was done, from the log that every berth writes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import msgspec

from backend import tables, text
from backend.activity import ActivityLog, ActivityRow
from backend.config import Config

_STATES = {"done": "good", "failed": "bad", "cancelled": "warn", "lost": "warn"}
COLUMNS = (
    tables.Col("STARTED", lambda row: f"{row.started_at.astimezone():%Y-%m-%d %H:%M:%S}"),
    tables.Col("STATE", lambda row: row.state, lambda row: _STATES.get(row.state, "")),
    tables.Col("ACTION", lambda row: row.title),
    tables.Col("TARGET", lambda row: row.target, flex=True),
    tables.Col("TOOK", lambda row: text.duration(row.seconds), right=True, rank=1),
    tables.Col("WHAT IT SAID", lambda row: f"{row.message} {row.hint}".strip(), flex=True),
)


def show(config: Config, *, hosts: Sequence[str] | None, limit: int, json: bool) -> int:
    """Print it, newest first; the exit code. Raises `NoSuchTarget` for a host that is not configured."""
    wanted = {config.host(name).name for name in hosts} if hosts else None
    rows: list[ActivityRow] = [row for row in ActivityLog().read() if wanted is None or row.host in wanted][
        :limit
    ]
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(rows) + b"\n")
        sys.stdout.buffer.flush()
    elif not sys.stdout.isatty():
        sys.stdout.write(tables.lines(rows, COLUMNS))
    elif rows:
        from backend.listoutput import colour

        width = shutil.get_terminal_size().columns
        sys.stdout.write(tables.table(rows, COLUMNS, width, colour=colour()))
    else:
        print("nothing was done yet.", file=sys.stderr)
    return 0
