"""What is shown: jobs as JSON text, put together without being taken apart, and events."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from .rows import Rows, compact

UNFINISHED = "unfinished"
ENDED = "ended"
ALL = "all"
_TURN = "jobs.priority DESC, jobs.position, jobs.id"
_SOURCE = "FROM jobs JOIN specs ON specs.id = jobs.spec LEFT JOIN waits ON waits.job = jobs.id"
_AT_ONCE = 500
_EVENT = "id, at, job, attempt, old, new, who, text, data"


class Lists(Rows):
    """Reads for people. Jobs come as texts of `jobs.job_json`."""

    @contextmanager
    def together(self) -> Iterator[None]:
        """All reads inside see one state of the database: a job that starts meanwhile is not between two.

        Nobody is kept from writing; but the database's log can not be carried over beyond what is seen here,
        so it is for short reads. Inside a transaction, or inside another `together`, it adds nothing.
        """
        if self._connection is not None and self._connection.in_transaction:
            yield
            return
        connection = self._ready()
        try:
            connection.execute("BEGIN")
        except sqlite3.Error as error:
            raise self._failed(error) from None
        try:
            yield
        finally:
            if self._connection is connection and connection.in_transaction:
                connection.execute("ROLLBACK")  # nothing was written

    def listing(
        self,
        which: str = UNFINISHED,
        owner: str = "",
        limit: int = 0,
        numbers: Optional[Iterable[int]] = None,
    ) -> List[str]:
        """Jobs that run, then those that wait in the order of their turn, then ended ones, newest first.

        `limit` 0 is all. With `numbers`, these and no others, whatever state they are in.
        """
        if numbers is not None:
            return self._numbered_list(list(dict.fromkeys(numbers)), owner)
        with self.together():
            return self._listing(which, owner, limit)

    def _listing(self, which: str, owner: str, limit: int) -> List[str]:
        out: List[str] = []
        if which in (UNFINISHED, ALL):
            out += self.active(owner, limit)
            out += (
                self.waiting(limit - len(out) if limit else 0, owner) if not limit or len(out) < limit else []
            )
        if which in (ENDED, ALL) and (not limit or len(out) < limit):
            out += self.over(limit - len(out) if limit else 0, owner)
        return out

    def active(self, owner: str = "", limit: int = 0) -> List[str]:
        """Those that hold resources."""
        return self._texts("jobs.state IN ('starting', 'running')", "jobs.id", owner, limit)

    def waiting(self, limit: int = 0, owner: str = "") -> List[str]:
        """Those that wait, in the order of their turn."""
        return self._texts("jobs.state IN ('queued', 'held')", _TURN, owner, limit)

    def over(self, limit: int = 0, owner: str = "", since: float = 0.0) -> List[str]:
        """Those that ended, newest first."""
        return self._texts("jobs.ended_at >= ?", "jobs.ended_at DESC, jobs.id DESC", owner, limit, (since,))

    def events(self, number: Optional[int] = None, since: int = 0, limit: int = 0) -> List[Dict[str, Any]]:
        """What happened, oldest first: to one job, or to all and to the queue itself; after event `since`."""
        where, values = "id > ?", [since]
        if number is not None:
            where, values = "id > ? AND job = ?", [since, number]
        rows = self._sql(
            f"SELECT {_EVENT} FROM events WHERE {where} ORDER BY id LIMIT ?",  # noqa: S608
            (*values, limit or -1),
        )
        names = ("id", "at", "job", "attempt", "old", "new", "by", "text", "data")
        return [{**dict(zip(names, row)), "data": json.loads(row[8])} for row in rows]

    def owners(self, numbers: Iterable[int]) -> Dict[int, Tuple[str, str]]:
        """Owner and state of those that exist."""
        out: Dict[int, Tuple[str, str]] = {}
        wanted = list(numbers)
        for at in range(0, len(wanted), _AT_ONCE):
            some = wanted[at : at + _AT_ONCE]
            marks = ",".join("?" * len(some))
            for number, owner, state in self._sql(
                f"SELECT id, owner, state FROM jobs WHERE id IN ({marks})",  # noqa: S608
                some,
            ):
                out[number] = (owner, state)
        return out

    def array(self, number: int) -> List[int]:
        """Numbers of the jobs of an array."""
        return [row[0] for row in self._sql("SELECT id FROM jobs WHERE array_id = ? ORDER BY id", (number,))]

    def _numbered_list(self, numbers: List[int], owner: str) -> List[str]:
        out: List[str] = []
        for at in range(0, len(numbers), _AT_ONCE):
            some = numbers[at : at + _AT_ONCE]
            out += self._texts(f"jobs.id IN ({','.join('?' * len(some))})", "jobs.id", owner, 0, some)
        return out

    def _texts(self, where: str, order: str, owner: str, limit: int, values: Sequence[Any] = ()) -> List[str]:
        if owner:
            where, values = f"{where} AND jobs.owner = ?", [*values, owner]
        rows = self._sql(
            f"SELECT jobs.doc, specs.text, waits.reason, waits.expected {_SOURCE} WHERE {where} "
            f"ORDER BY {order} LIMIT ?",
            (*values, limit or -1),
        )
        return [_text(*row) for row in rows]


def _text(doc: str, spec: str, reason: Optional[str], expected: Optional[float]) -> str:
    """The job's JSON: both texts are objects, and the first is never empty."""
    out = f'{doc[:-1]},"spec":{spec}'
    if reason:
        out += f',"reason":{compact(reason)}'
    if expected is not None:
        out += f',"expected_start":{expected!r}'
    return out + "}"
