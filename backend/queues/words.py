"""How people write what a job needs: `8g`, `2h30m`, `1-20%4`, `lr=0.1,0.01`. All raise `UsageError`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from backend.errors import UsageError
from backend.text import duration, size

if TYPE_CHECKING:
    from backend.model import JobRow

MAX_ARRAY = 10_000
"""Jobs that one submit may make."""
_UNITS = {"": 1024**3, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\Z", re.IGNORECASE | re.ASCII)
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+\Z", re.ASCII)
_SPAN_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d\d?))?(?::(\d\d?))?\Z", re.ASCII)
_ARRAY = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?\Z", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z", re.ASCII)
_OURS = frozenset(
    f"BERTH_{name}" for name in ("JOB_ID", "JOB_NAME", "JOB_ATTEMPT", "ARRAY_ID", "ARRAY_INDEX")
) | {"NVIDIA_VISIBLE_DEVICES"}
"""Variables that a queue gives its jobs."""
_AFTER = re.compile(r"(?:(ok|any|afterok|afterany):)?(\d+(?:_\d+)?)\Z", re.ASCII)


def memory(text: str, what: str = "memory") -> int:
    """Bytes of `8g`, `512m`, or `8`: a plain number is GB, as queues count."""
    match = _SIZE.match(text.strip())
    amount = float(match[1]) * _UNITS[match[2].lower()] if match else 0
    if not 1024**2 <= amount < 2**50:
        raise UsageError(f"{what} {text!r} is no size.", hint="Write 8 or 8g for 8 GB, 512m, 1.5t.")
    return int(amount)


def span(text: str, what: str = "time") -> float:
    """Seconds of `90s`, `2h30m`, `1d`, and of Slurm's `MIN`, `MIN:SEC`, `H:M:S`, `DAYS-H:M:S`."""
    written = text.strip().lower()
    seconds = 0.0
    if _SPAN.match(written):
        seconds = sum(float(count) * _SECONDS[unit] for count, unit in _SPAN_PART.findall(written))
    elif match := _CLOCK.match(written):
        seconds = _clock(match)
    if not 1 <= seconds <= 366 * 86400:
        raise UsageError(
            f"{what} {text!r} is no time.", hint="Write 90s, 30m, 2h30m, 1d, or as Slurm does: 1-12:00:00."
        )
    return seconds


def _clock(match: re.Match[str]) -> float:
    days, first, second, third = (None if part is None else int(part) for part in match.groups())
    if days is not None:  # DAYS-H[:M[:S]]
        return days * 86400 + (first or 0) * 3600 + (second or 0) * 60 + (third or 0)
    if third is not None:
        return (first or 0) * 3600 + (second or 0) * 60 + third
    return (first or 0) * 60 + (second or 0)


def gpus(text: str) -> tuple[int, tuple[str, ...]]:
    """How many, and which: `2`, or UUIDs with commas between them."""
    written = text.strip()
    if written.isdecimal() and len(written) < 4:
        return int(written), ()
    named = tuple(part.strip() for part in written.split(",") if part.strip())
    if not named or not all(re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{3,127}", each) for each in named):
        raise UsageError(
            f"GPUs {text!r} are neither a number nor UUIDs.", hint="Their UUIDs: berth gpus --json"
        )
    if len(set(named)) < len(named):
        raise UsageError(f"GPUs {text!r}: one is named twice.")
    return len(named), named


def array(text: str) -> tuple[tuple[int, ...], int]:
    """The indices and how many may run at once (0: any) of `1-20%4`, `0-9:3,12`."""
    ranges, percent, limit = text.strip().partition("%")
    found: list[int] = []
    for part in ranges.split(","):
        match = _ARRAY.match(part.strip())
        first, last, step = (int(each) if each else None for each in match.groups()) if match else (None,) * 3
        if first is None or (last is not None and last < first) or step == 0:
            raise UsageError(f"array {text!r}: {part!r} is no range.", hint="Write 1-20, 1-20%4, 0-9:3,12.")
        if (last or first) - first > MAX_ARRAY * (step or 1):
            raise UsageError(f"array {text!r} has more than {MAX_ARRAY} jobs.")
        found.extend(range(first, (first if last is None else last) + 1, step or 1))
    indices = tuple(dict.fromkeys(found))
    if len(indices) > MAX_ARRAY:
        raise UsageError(f"array {text!r} has more than {MAX_ARRAY} jobs.")
    if percent and not (limit.isdecimal() and 0 < int(limit) <= MAX_ARRAY):
        raise UsageError(f"array {text!r}: {limit!r} is no number of jobs at once.")
    return indices, int(limit or 0)


def after(words: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """(job, `ok` or `any`) of `12`, `any:12`, `afterok:12`, with commas between several."""
    found: list[tuple[str, str]] = []
    for word in (part.strip() for each in words for part in each.split(",")):
        match = _AFTER.match(word)
        if match is None:
            raise UsageError(
                f"after {word!r} names no job.", hint="Write its number, or any:NUMBER to go on if it fails."
            )
        found.append((match[2], (match[1] or "ok").removeprefix("after")))
    return tuple(dict.fromkeys(found))


def place(words: Iterable[str], host: str) -> str:
    """`first`, `last`, `before 12` or `after 12`; the other job may be written with its host."""
    found = " ".join(words).split()
    if len(found) == 1 and found[0] in ("first", "last"):
        return found[0]
    if len(found) == 2 and found[0] in ("before", "after"):
        where, _, number = found[1].rpartition("/")
        if where in ("", host):
            return f"{found[0]} {number}"
        raise UsageError(f"job {found[1]} is in another queue: jobs go before or after those of {host}.")
    raise UsageError(
        f"{' '.join(found)!r} is no place.", hint="Say first, last, before NUMBER or after NUMBER."
    )


def current(row: JobRow) -> dict[str, Any]:
    """What of a job can be changed, as people write it: what a form is filled with."""
    return {
        "name": row.name,
        "priority": row.priority,
        "gpus": str(row.gpus),
        "cpus": row.cpus,
        "mem": _size(row.memory) if row.memory else "0",
        "time": _span(row.time_limit) if row.time_limit else "0",
        "retries": row.retries,
        "after": ",".join(row.after) or None,
    }


def changes(asked: Mapping[str, Any], row: JobRow) -> dict[str, Any]:
    """What is asked of a job and is not so already, as its queue takes it."""
    now = current(row)
    asked = {name: value for name, value in asked.items() if value is not None and value != now[name]}
    found: dict[str, Any] = {
        name: asked[name] for name in ("name", "priority", "cpus", "retries") if name in asked
    }
    if "gpus" in asked:
        found["gpus"], found["gpu_ids"] = gpus(asked["gpus"])
    if "mem" in asked:
        found["memory"] = 0 if asked["mem"] == "0" else memory(asked["mem"])
    if "time" in asked:
        found["time_limit"] = None if asked["time"] == "0" else span(asked["time"])
    if "after" in asked:
        jobs = () if asked["after"] in ("", "0") else after([asked["after"]])
        found["after"] = [[int(job) if job.isdecimal() else job, kind] for job, kind in jobs]
    return found


def _size(amount: int) -> str:
    """The reverse of `memory`: `12g`, `1536m`."""
    for unit in "tgm":
        if amount % _UNITS[unit] == 0:
            return f"{amount // _UNITS[unit]}{unit}"
    return f"{amount / _UNITS['m']:.3f}m"


def _span(seconds: float) -> str:
    """The reverse of `span`: `2h30m`."""
    rest, out = round(seconds), ""
    for unit in "dhms":
        count, rest = divmod(rest, _SECONDS[unit])
        out += f"{count}{unit}" if count else ""
    return out or "1s"


def changed(changes: Mapping[str, Any]) -> list[str]:
    """What `job edit` did, in people's words: `2 GPUs`, `time limit 4 h`."""
    both = changes.get("gpus") is not None
    idle = "" if not both else "gpus" if changes.get("gpu_ids") else "gpu_ids"
    return [_changed(key, value) for key, value in changes.items() if key != idle]


def _changed(key: str, value: Any) -> str:
    if key == "gpus":
        return f"{value} GPU{'' if value == 1 else 's'}"
    if key == "gpu_ids":
        return f"GPUs {', '.join(value)}" if value else "any of the GPUs"
    if key == "cpus":
        return f"{value} CPU{'' if value == 1 else 's'}"
    if key == "memory":
        return f"memory {size(value)}" if value else "no limit of memory"
    if key == "time_limit":
        return f"time limit {duration(value)}" if value else "no time limit"
    if key == "after":
        jobs = [str(job) if kind == "ok" else f"{kind}:{job}" for job, kind in value]
        return f"after {', '.join(jobs)}" if jobs else "waits for no other job"
    return f"{key} {value}"


def variable(name: str, what: str) -> str:
    """The name of a variable that a job may be given."""
    if not _VARIABLE.match(name):
        raise UsageError(
            f"{what}: {name!r} is no name of a variable.", hint="Letters, digits and _, and no digit first."
        )
    if name in _OURS:
        raise UsageError(f"{what}: {name} is set by the queue itself.", hint="Give yours another name.")
    return name


def pairs(words: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` words; `NAME` alone takes the value from berth's own environment, where it has to be."""
    import os

    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        variable(name, "env")
        if "\0" in word:
            raise UsageError(f"env {name}: no variable can hold a NUL.")
        if not equals and name not in os.environ:
            raise UsageError(
                f"env {name}: it is not set here, so there is nothing to pass on.",
                hint=f"Write {name}=VALUE.",
            )
        found[name] = value if equals else os.environ[name]
    return found


def mount(text: str) -> tuple[str, str, bool]:
    """(source, target, read only) of `/data`, `/data:/in`, `/data:/in:ro`; paths of the host."""
    parts = text.split(":")
    mode = parts.pop() if len(parts) > 1 and parts[-1] in ("ro", "rw") else "rw"
    source, target = parts[0], parts[-1]
    if len(parts) > 2 or not source.startswith("/") or not target.startswith("/") or "\0" in text:
        raise UsageError(
            f"mount {text!r} is not SOURCE[:TARGET][:ro] with absolute paths.",
            hint="For example: /data:/in:ro",
        )
    return source, target.rstrip("/") or "/", mode == "ro"
