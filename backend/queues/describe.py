"""A job in full, for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from backend.model import JobRow
from backend.queues.base import Detail
from backend.text import duration, size


def described(detail: Detail) -> Iterator[str]:
    """Lines `name  value`, then the history. Host text in them is made printable by who shows them."""
    row = detail.row
    for name, value in _facts(row):
        if value:
            yield f"{name:<10} {value}"
    spec = detail.spec.get("spec") if isinstance(detail.spec.get("spec"), dict) else {}
    for mount in (spec or {}).get("mounts") or ():
        if isinstance(mount, (list, tuple)) and len(mount) == 3:
            yield f"{'mount':<10} {mount[0]} -> {mount[1]}{' (read only)' if mount[2] else ''}"
    if detail.events:
        yield "history"
    for event in detail.events:
        who = f" ({event.by})" if event.by else ""
        yield f"  {_clock(event.at)}  {event.text}{who}"


def _facts(row: JobRow) -> Iterator[tuple[str, str]]:
    yield "job", f"{row.id} on {row.host} ({row.engine})"
    yield "name", row.name
    yield "owner", row.owner
    yield "state", row.state + (f", exit code {row.exit_code}" if row.exit_code is not None else "")
    yield "reason", row.reason
    yield "runs", row.command
    yield "image", row.image
    yield "project", row.project
    yield "asks for", asks(row)
    yield "GPUs", ", ".join(row.gpu_uuids)
    yield "priority", str(row.priority or "")
    yield "after", ", ".join(row.after)
    yield "array", row.array
    yield "attempt", f"{row.attempt} of {row.retries + 1}" if row.retries and row.attempt else ""
    yield "submitted", _clock(row.submitted_at)
    yield "expected", _clock(row.expected_start) if row.state == "queued" else ""
    yield "started", _clock(row.started_at)
    yield "ended", _clock(row.ended_at)
    if row.started_at and row.ended_at:
        yield "ran", duration((row.ended_at - row.started_at).total_seconds())
    yield "node", row.node
    yield "partition", row.partition
    yield "container", row.container[:12]
    yield "output", row.log


def asks(row: JobRow) -> str:
    """`2 GPUs, 8 CPUs, 16 GB, 2h`."""
    parts = [f"{row.gpus} GPU{'' if row.gpus == 1 else 's'}"] if row.gpus else []
    if row.cpus is not None:
        parts.append(f"{row.cpus} CPU{'' if row.cpus == 1 else 's'}")
    if row.memory:
        parts.append(size(row.memory))
    if row.time_limit:
        parts.append(f"at most {duration(row.time_limit)}")
    return ", ".join(parts)


def _clock(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
