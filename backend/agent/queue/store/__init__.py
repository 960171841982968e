"""The queue's database: one SQLite file (WAL). Every change of state is one transaction with an event row.

    schema      the tables
    trouble     errors of SQLite and of the system
    outside     what is kept beside the database
    base        the open file, transactions; a broken one is set aside, a newer one refused
    rows        jobs as rows and back; reading
    lifecycle   what the keeper writes
    submits     new jobs
    verbs       what people change of those that are there
    lists       what is shown: jobs as JSON text, events

All methods are short, and safe against any number of other processes. A `Store` belongs to the thread that
opened it. Errors: `StoreError` (also an OSError: not now, try again), `IllegalError` (never), `MissingError`,
`UsageError`.
"""

from __future__ import annotations

from ..place import Place
from .lifecycle import KEEPER
from .lists import Lists
from .rows import IllegalError
from .schema import SCHEMA
from .trouble import BrokenError, StoreError
from .verbs import Verbs


class Store(Verbs, Lists):
    """The database of one queue."""

    @classmethod
    def open(cls, place: Place, create: bool = True, check: bool = False) -> Store:
        """Open it, or make it. `check` looks for damage first (once in a keeper's life).

        Raises StoreError, and RefusedError for a queue of a newer berth.
        """
        store = cls(place)
        store._open(create, check)
        return store


__all__ = ["KEEPER", "SCHEMA", "BrokenError", "IllegalError", "Store", "StoreError"]
