"""What is kept beside the database, so that its loss confuses nothing.

The ids that queues had here, and how far the numbers of their jobs went.
"""

from __future__ import annotations

import os
import re
from typing import List

from ..place import Place
from .trouble import translated

QUEUE_ID = re.compile(r"[0-9a-f]{8}\Z")
_LOG = re.compile(r"(\d{1,15})(?:\.\d+)?\.log(?:\.part)?\Z")
_IDS = "queue.id"
"""Holds the ids of the databases that were here, the present one first: by them the containers of a lost one
are known."""
_FORMER = 20
RECOVERED = "recovered"
"""What a database remembers once a keeper has looked for containers of those before it."""
_NUMBERS = "queue.next"
"""Holds a number that no job's exceeds: jobs of a lost database may still run, whose numbers are not given
again."""
_BLOCK = 1000
_HIGHEST = 10**12


def log_number(name: str) -> int:
    """The job whose output is in a file of this name; 0 where it is no such file."""
    match = _LOG.match(name)
    return int(match.group(1)) if match else 0


def file(place: Place, name: str) -> int:
    """A descriptor of a file in the folder, made if need be. Raises StoreError."""
    try:
        return place.open(name)
    except OSError as error:
        raise translated(error, place.path) from None


def succeed(place: Place, queue_id: str) -> List[str]:
    """Write down the new id; those of the databases before it, the latest first."""
    descriptor = file(place, _IDS)
    try:
        with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as ids:
            former = [word for word in ids.read(4096).split() if QUEUE_ID.match(word)][:_FORMER]
            ids.seek(0)
            ids.truncate()
            ids.write("\n".join([queue_id, *former]) + "\n")
    except OSError as error:
        raise translated(error, place.path) from None
    return former


def highest(place: Place) -> int:
    """No job of an earlier database has a higher number."""
    try:
        names = os.listdir(place.logs)
    except OSError:
        names = []
    logs = max(map(log_number, names), default=0)
    return min(max(logs, _reserved(place)), _HIGHEST)


def reserve(place: Place, upto: int) -> int:
    """Write down that numbers below `upto` may be given: seldom, many at a time; up to which that was."""
    bound = max(_reserved(place), (upto // _BLOCK + 1) * _BLOCK)
    descriptor = file(place, _NUMBERS)
    try:
        os.pwrite(descriptor, b"%-15d\n" % bound, 0)
        os.fsync(descriptor)
    except OSError as error:
        raise translated(error, place.path) from None
    finally:
        os.close(descriptor)
    return bound


def _reserved(place: Place) -> int:
    try:
        descriptor = place.open(_NUMBERS, os.O_RDONLY)
    except OSError:
        return 0
    try:
        text = os.read(descriptor, 32).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
