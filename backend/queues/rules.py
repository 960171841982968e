"""What holds for everybody in a host's own queue, and what it remembers: in people's words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from backend.errors import UsageError
from backend.model import JobRow
from backend.queues import words
from backend.queues.base import QueueEngine
from backend.queues.docker import DockerQueue
from backend.text import size

_NAMES = {
    "jobs-per-user": "max_running_per_user",
    "gpus-per-user": "max_gpus_per_user",
    "reserved-cpus": "reserved_cpus",
    "reserved-memory": "reserved_memory",
    "keep-days": "keep_days",
    "keep-jobs": "keep_jobs",
}
_LISTED = 10
"""Jobs that are named one by one."""


def own(queue: QueueEngine) -> DockerQueue:
    """The queue of a host. Raises `UsageError` for that of a cluster, which has its own rules."""
    if not isinstance(queue, DockerQueue):
        raise UsageError(
            f"{queue.host} is a cluster: Slurm has its own settings and its own history.",
            hint="See: scontrol show config, sacctmgr",
        )
    return queue


def read(changes: Iterable[str]) -> dict[str, int]:
    """`jobs-per-user=4`, `reserved-memory=16g` -> what the queue calls it. Raises `UsageError`."""
    found: dict[str, int] = {}
    for word in changes:
        name, equals, value = word.partition("=")
        key = _NAMES.get(name.strip().replace("_", "-"))
        if key is None or not equals:
            raise UsageError(f"{word!r} is no setting of a queue.", hint=f"NAME=VALUE; {', '.join(_NAMES)}.")
        value = value.strip()
        if value == "0" or key != "reserved_memory":
            if not value.isdecimal() or len(value) > 8:
                raise UsageError(f"{name}: {value!r} is no number.", hint="0 is none.")
            found[key] = int(value)
        else:
            found[key] = words.memory(value, name)
    return found


def said(found: Mapping[str, Any]) -> Iterator[str]:
    """A line for each setting."""
    for name, key in _NAMES.items():
        value = int(found.get(key) or 0)
        none = "none" if name.startswith("reserved") else "all" if name.startswith("keep") else "no limit"
        shown = none if not value else size(value) if key == "reserved_memory" else str(value)
        yield f"{name:<16} {shown}"


def as_data(host: str, found: Mapping[str, Any], *, changed: bool) -> dict[str, Any]:
    """The settings for programs: names with `_`, memory in bytes, 0 where nothing is said."""
    values = {name.replace("-", "_"): int(found.get(key) or 0) for name, key in _NAMES.items()}
    return {"host": host, "changed": changed, **values}


def named(rows: Sequence[JobRow]) -> str:
    """`3 ended jobs of ann and bob (12, 13, 19)`."""
    people = sorted({row.owner for row in rows})
    whose = " and ".join(people) if len(people) < 3 else f"{len(people)} people"
    listed = sorted((row.id for row in rows), key=int)
    numbers = ", ".join(listed) if len(listed) <= _LISTED else f"{listed[0]} to {listed[-1]}"
    return f"{len(rows)} ended job{'' if len(rows) == 1 else 's'} of {whose} ({numbers})"


def numbers(gone: Sequence[str]) -> Iterator[str]:
    """The numbers of jobs that are gone, some on each line."""
    for at in range(0, len(gone), _LISTED):
        yield ", ".join(gone[at : at + _LISTED])
