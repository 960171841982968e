"""The open database: transactions, and what is done about one that is missing, broken, or too new."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from contextlib import contextmanager
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from ..errors import QueueError, RefusedError
from ..place import DATABASE, Place
from . import outside, schema
from .trouble import BUSY, BrokenError, StoreError, translated

_PARTS = ("", "-wal", "-shm")
_LOCK = "queue.lock"

_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -256")
"""The cache is kilobytes, and small: the system has the same pages."""
_PATIENT = "PRAGMA wal_autocheckpoint = 16000"
"""Pages: 64 MB of log, if nobody ever has time."""


class Base:
    """One connection. Belongs to the thread that opened it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._inode = (-1, -1)
        self._connection: Optional[sqlite3.Connection] = None
        self.queue_id = ""
        """8 hexadecimal digits; another database has another one."""
        self._bound = 0
        self._patient = False
        self.notice = ""
        """What people should know: that a broken database was set aside."""

    # -- opening

    def _open(self, create: bool, check: bool) -> None:
        """Connect. `check` reads the whole file for damage first."""
        found = self._place.stat(DATABASE)
        if found is None and not create:
            raise StoreError("there is no queue here yet.", "Submit a job: berth run")
        if found is None or found.st_size == 0 or check:
            self._open_alone(check)
            return
        try:
            self._connect()
        except BrokenError:
            self._open_alone(True)

    def _open_alone(self, check: bool) -> None:
        """Open while nobody else does: makes what is missing, sets aside what is broken."""
        with self._lock():
            aside = ""
            try:
                if self._place.stat(DATABASE) is not None:
                    self._connect()
                    if check:
                        self._examine()
                    return
            except BrokenError as error:
                self.close()
                aside = self._set_aside()
                reason = str(error)
            os.close(outside.file(self._place, DATABASE))
            self._connect()
            if aside:
                self._note_loss(aside, reason)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        descriptor = outside.file(self._place, _LOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _connect(self) -> None:
        found = self._place.stat(DATABASE)
        if found is None or (found.st_mode & 0o170000) != 0o100000:
            raise RefusedError(f"{self._place.database} is no file.", "Move it away.")
        self._place.check()
        try:
            # never made here: it would have another mode
            address = f"file:{escaped(self._place.database)}?mode=rw"
            connection = sqlite3.connect(address, timeout=BUSY, isolation_level=None, uri=True)
            self._connection = connection
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > schema.SCHEMA:
                raise self._too_new(version)
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}").fetchall()
            if self._patient:
                connection.execute(_PATIENT)
            if version < schema.SCHEMA:
                self._set_up()
            self._inode = (found.st_dev, found.st_ino)
            self.queue_id = self._meta("queue_id")
            self.notice = self._meta("notice")
            if not outside.QUEUE_ID.match(self.queue_id):
                raise BrokenError("it has no id")
        except (sqlite3.Error, QueueError) as error:
            self.close()
            raise translated(error, self._place.path) from None

    def _set_up(self) -> None:
        """Make the tables, or bring them up to date. One process does it, the others find it done."""
        with self._transaction() as connection:
            schema.upgrade(connection)
            if not self._meta("queue_id"):
                self._set_meta("queue_id", os.urandom(4).hex())
                self._set_meta("next_id", str(outside.highest(self._place) + 1))
                self._set_meta("former", " ".join(outside.succeed(self._place, self._meta("queue_id"))))

    @property
    def former(self) -> Tuple[str, ...]:
        """Ids of the databases that were lost in this folder: their containers are ours."""
        self._ready()
        return tuple(self._meta("former").split())

    def _too_new(self, version: int) -> QueueError:
        needed = self._meta("needs") or f"one that knows queues of version {version}"
        return RefusedError(
            f"this queue was made by a newer berth: it is of version {version}, and this berth knows up to "
            f"{schema.SCHEMA}.",
            f"Update berth: it needs {needed}.",
        )

    def _examine(self) -> None:
        """Raise BrokenError if any page of the file is damaged."""
        try:
            rows = self._sql("PRAGMA quick_check(1)")
        except StoreError as error:
            if isinstance(error, BrokenError):
                self.close()
            raise
        if rows != [("ok",)]:
            self.close()
            raise BrokenError(str(rows[0][0])[:200] if rows else "it cannot be read")

    def _set_aside(self) -> str:
        """Rename the database with what belongs to it; its new name."""
        name = f"{DATABASE}.broken-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        while self._place.stat(name) is not None:
            name += "x"
        for part in _PARTS:
            self._place.rename(DATABASE + part, name + part)
        return name

    def _reserve(self, upto: int) -> None:
        """Numbers below `upto` may be given."""
        if upto > self._bound:
            self._bound = outside.reserve(self._place, upto)

    def _note_loss(self, aside: str, reason: str) -> None:
        text = f"the database could not be read ({reason}); it was set aside as {aside}"
        with self._transaction() as connection:
            self._set_meta("notice", text)
            connection.execute(
                "INSERT INTO events (at, job, attempt, old, new, who, text, data) "
                "VALUES (?, NULL, 0, '', '', 'berth', ?, '{}')",
                (time.time(), text),
            )
        self.notice = text

    def close(self) -> None:
        """Close it; opened again by the next call that needs it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- using

    def _ready(self) -> sqlite3.Connection:
        """The connection, to the file that has the name now."""
        if self._connection is not None:
            found = self._place.stat(DATABASE)
            if found is not None and (found.st_dev, found.st_ino) == self._inode:
                return self._connection
            self.close()  # somebody set it aside, or removed it
        self._forget()
        self._open(create=True, check=False)
        assert self._connection is not None
        return self._connection

    def _forget(self) -> None:
        """What was remembered of another file holds no longer."""

    def _sql(self, statement: str, values: Sequence[Any] = ()) -> List[Tuple[Any, ...]]:
        """All rows of one statement. Inside a transaction it belongs to that."""
        connection = self._connection
        if connection is None or not connection.in_transaction:
            connection = self._ready()
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _each(self, statement: str, values: Sequence[Any] = ()) -> Iterator[Tuple[Any, ...]]:
        """The rows of one statement, one at a time: ten thousand at once would stay in memory for good."""
        connection = self._connection
        if connection is None or not connection.in_transaction:
            connection = self._ready()
        try:
            yield from connection.execute(statement, values)
        except sqlite3.Error as error:
            raise self._failed(error) from None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, alone. What is raised inside undoes it."""
        connection = self._connection if self._connection is not None else self._ready()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._undone()
                raise
        except sqlite3.Error as error:
            raise self._failed(error) from None

    @contextmanager
    def _change(self, soft: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction on the database that is in use now.

        `soft`: it is not waited for until it is on the disk; it is there with the next change that is not
        soft, whoever makes it, or with `disk.sync`. For what the engine tells again after a power cut.
        """
        before = self._ready()
        if soft:
            before.execute("PRAGMA synchronous = NORMAL")
        try:
            with self._transaction() as connection:
                yield connection
        finally:
            if soft and self._connection is before:
                before.execute("PRAGMA synchronous = FULL")

    def leave_checkpoints(self) -> None:
        """Let somebody else carry the log over into the database, which takes its time: see `disk`."""
        self._patient = True
        self._ready().execute(_PATIENT)

    def _undone(self) -> None:
        """A transaction was rolled back: what was remembered from inside it never happened."""

    def _failed(self, error: sqlite3.Error) -> QueueError:
        """The error for people. A broken database is set aside, so that the next call finds a new one."""
        found = translated(error, self._place.path)
        if isinstance(found, BrokenError) and self._connection is not None:
            self.close()
            try:
                self._open_alone(True)
                self.close()
            except QueueError:
                pass
        return found

    def _meta(self, key: str) -> str:
        assert self._connection is not None
        try:
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return ""  # a newer or an empty database
            raise
        return str(row[0]) if row else ""

    def _set_meta(self, key: str, value: str) -> None:
        assert self._connection is not None
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def escaped(path: str) -> str:
    """The path in a URI, as far as SQLite cares."""
    for character in "%?#":
        path = path.replace(character, f"%{ord(character):02x}")
    return path
