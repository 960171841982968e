"""The tables, and how an older database becomes one of today.

`jobs.doc` is the job as JSON without its spec and without what the plan says of it; the columns beside it are
for finding and ordering. Equal specs (arrays, sweeps) are stored once. `waits` is what the plan says of a
waiting job: it changes often, so it stands apart from what is long.
"""

from __future__ import annotations

import sqlite3
from typing import Tuple

SCHEMA = 1
"""What `PRAGMA user_version` is."""

_STEPS: Tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE specs (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, text TEXT NOT NULL);
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        state TEXT NOT NULL,
        owner TEXT NOT NULL,
        priority INTEGER NOT NULL,
        position REAL NOT NULL,
        array_id INTEGER NOT NULL,
        ended_at REAL,
        revision INTEGER NOT NULL,
        failures INTEGER NOT NULL DEFAULT 0,
        losses INTEGER NOT NULL DEFAULT 0,
        spec INTEGER NOT NULL REFERENCES specs (id),
        doc TEXT NOT NULL
    );
    CREATE INDEX jobs_by_state ON jobs (state, priority DESC, position, id);
    CREATE INDEX jobs_by_revision ON jobs (revision);
    CREATE INDEX jobs_by_end ON jobs (ended_at) WHERE ended_at IS NOT NULL;
    CREATE INDEX jobs_by_array ON jobs (array_id) WHERE array_id > 0;
    CREATE INDEX jobs_by_spec ON jobs (spec);
    CREATE TABLE waits (
        job INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
        reason TEXT NOT NULL,
        expected REAL
    );
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        job INTEGER REFERENCES jobs (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        attempt INTEGER NOT NULL,
        old TEXT NOT NULL,
        new TEXT NOT NULL,
        who TEXT NOT NULL,
        text TEXT NOT NULL,
        data TEXT NOT NULL
    );
    CREATE INDEX events_by_job ON events (job);
    """,
)
"""Step N makes schema N + 1 of schema N. A step that was released is never changed."""
SUBMITS = """
    CREATE TABLE IF NOT EXISTS submits (
        first INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
        count INTEGER NOT NULL,
        key TEXT NOT NULL UNIQUE
    )
"""
"""By which key which jobs were submitted; forgotten with them. Made when it is first needed, and not a step
of its own: a program that does not know of it can use the database all the same."""


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring the database to today's schema, inside the transaction that is open."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    for step in _STEPS[version:]:
        for statement in step.split(";"):  # executescript() would commit what is open
            if statement.strip():
                connection.execute(statement)
    if version < SCHEMA:
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
