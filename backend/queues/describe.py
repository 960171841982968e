"""A job in full, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from msgspec import to_builtins

from backend.model import JobRow
from backend.queues.base import Detail
from backend.queues.ends import exit_code, outcome, when
from backend.text import age, duration, size


def called(row: JobRow) -> str:
    """Its name; of an array with the index, where its number does not say it."""
    index = row.array.partition("_")[2] if row.engine == "docker" else ""
    return f"{row.name}[{index}]" if index else row.name


WASTE = 120.0
"""Seconds for which all GPUs of a job do nothing until that is said: between two epochs they rest as well."""


def wastes(row: JobRow, now: datetime | None = None) -> bool:
    """Whether its GPUs have done nothing for so long that somebody should look."""
    idle = row.idle_since
    if idle is None or row.ended_at is not None:
        return False
    return ((now or datetime.now(UTC)) - idle).total_seconds() >= WASTE


def expected(row: JobRow, now: datetime | None = None) -> str:
    """`#2, in 1 h`: its turn, and when it starts, where that is known."""
    if row.state != "queued":
        return ""
    parts = [f"#{row.place}"] if row.place else []
    if row.expected_start is not None:
        left = (row.expected_start - (now or datetime.now(UTC))).total_seconds()
        parts.append(f"in {duration(left)}" if left >= 1 else "now")
    return ", ".join(parts)


def why(row: JobRow, now: datetime | None = None) -> str:
    """One line: why it waits and when it starts, that its GPUs do nothing, or what ended it and when."""
    if row.ended_at is not None:
        return ", ".join(part for part in (outcome(row), when(row, now)) if part)
    if row.state == "queued":
        return ": ".join(part for part in (expected(row, now), row.reason) if part)
    if wastes(row, now):
        return f"GPU{'' if row.gpus == 1 else 's'} idle for {age(row.idle_since, now)}"
    return row.reason


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
    yield "name", called(row)
    yield "owner", row.owner
    yield "state", row.state
    if row.ended_at is not None:
        code = "" if row.exit_code is None else f"exit code {row.exit_code}"
        if row.exit_code is not None and exit_code(row) != row.exit_code:
            code += f" (of `berth run`: {exit_code(row)})"
        yield "ended by", "; ".join(dict.fromkeys(part for part in (outcome(row), code) if part))
    else:
        yield "why", why(row)
    yield "runs", row.command
    yield "image", row.image
    yield "project", row.project
    yield "asks for", asks(row)
    yield "GPUs", ", ".join(row.gpu_uuids)
    yield "they do", _work(row)
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
    elif row.started_at:
        yield "runs for", _left(row, row.started_at)
    yield "node", row.node
    yield "partition", row.partition
    yield "container", row.container[:12]
    yield "output", row.log


def _work(row: JobRow) -> str:
    """What its GPUs do, where that was measured."""
    if row.util_percent is None:
        return ""
    held = f", {size(row.gpu_mem_used)} of GPU memory held" if row.gpu_mem_used else ""
    return f"{row.util_percent:.0f} % busy{held}"


def _left(row: JobRow, started: datetime) -> str:
    took = (datetime.now(UTC) - started).total_seconds()
    if not row.time_limit:
        return f"{duration(took)}, without a limit"
    return f"{duration(took)}; at most {duration(max(0.0, row.time_limit - took))} more"


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


def as_data(detail: Detail) -> dict[str, Any]:
    """All of a job for programs. Of its variables the names alone: values may be secrets."""
    own = detail.spec.get("spec") or detail.spec.get("slurm")
    spec = to_builtins(dict(own)) if isinstance(own, dict) else {}
    if env := spec.pop("env", None):
        pairs = env.items() if isinstance(env, dict) else (each for each in env if len(each) == 2)
        spec["env"] = sorted(str(name) for name, _ in pairs)
    return {
        "job": to_builtins(detail.row),
        "spec": spec,
        "events": [{"at": to_builtins(each.at), "text": each.text, "by": each.by} for each in detail.events],
    }
