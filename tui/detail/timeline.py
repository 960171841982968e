"""The GPUs of a host over time: who had what, who has it now, what comes next. Pure.

GPU 0  ████42████│▒▒▒51▒▒▒▒
GPU 1            │ jupyter-bob
-2h              now           +4h
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.model import GpuRow, JobRow
from backend.text import duration, printable
from tui.cells import fit
from tui.columns import Cell

_LABEL = 7
_LEAST = 20
"""Cells of time below which there is no point in drawing."""
_SPANS = (600.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0, 259200.0)
"""Seconds shown on either side of now: the smallest that holds what is known."""
_UNKNOWN = 3600.0
"""Seconds that a job without a limit is drawn for, with an open end."""
_INKS = ("good", "accent", "warn", "idle", "heading", "key")


@dataclass(frozen=True)
class Span:
    """A job on a GPU; times in seconds from now."""

    job: str
    begin: float
    end: float
    coming: bool = False
    """It has not started yet."""
    open: bool = False
    """Nobody knows its end."""


def spans(jobs: Sequence[JobRow], gpus: Sequence[str], now: float) -> dict[str, list[Span]]:
    """By UUID, in the order of time. Jobs that wait are put on the GPUs that come free first."""
    found: dict[str, list[Span]] = {uuid: [] for uuid in gpus}
    for job in jobs:
        if job.started_at is None or job.state == "starting":
            continue
        begin = job.started_at.timestamp() - now
        end, open_ = _end(job, now)
        for uuid in job.gpu_uuids:
            if uuid in found:
                found[uuid].append(Span(job.id, begin, end, open=open_))
    for each in found.values():
        each.sort(key=lambda span: span.begin)
    _coming(jobs, found, now)
    return found


def _end(job: JobRow, now: float) -> tuple[float, bool]:
    if job.ended_at is not None:
        return job.ended_at.timestamp() - now, False
    if job.time_limit is not None and job.started_at is not None:
        return max(0.0, job.started_at.timestamp() + job.time_limit - now), False
    return _UNKNOWN, True


def _coming(jobs: Sequence[JobRow], found: dict[str, list[Span]], now: float) -> None:
    ends = {uuid: max((span.end for span in each), default=0.0) for uuid, each in found.items()}
    for job in jobs:
        if job.state != "queued" or job.expected_start is None or not job.gpus or len(ends) < job.gpus:
            continue
        begin = max(0.0, job.expected_start.timestamp() - now)
        span = Span(
            job.id, begin, begin + (job.time_limit or _UNKNOWN), coming=True, open=job.time_limit is None
        )
        fitting = sorted(ends, key=lambda uuid: (max(0.0, ends[uuid] - begin), begin - ends[uuid]))
        for uuid in fitting[: job.gpus]:
            found[uuid].append(span)
            ends[uuid] = span.end


def lines(jobs: Sequence[JobRow], gpus: Sequence[GpuRow], now: float, width: int) -> list[Cell]:
    """One line per GPU and an axis; nothing where there is no room or no GPU."""
    room = width - _LABEL - 1
    if room < _LEAST or not gpus:
        return []
    found = spans(jobs, [gpu.uuid for gpu in gpus], now)
    past, future = _window(found)
    inks = _colours(found)
    out = [
        (
            *fit(((f"GPU {gpu.index}", "key"),), _LABEL),
            (" ", ""),
            *_line(found[gpu.uuid], room, (past, future), inks, _others(gpu)),
        )
        for gpu in gpus
    ]
    return [*out, _axis(room, past, future)]


def _window(found: Mapping[str, Sequence[Span]]) -> tuple[float, float]:
    """Seconds before and after now."""
    everything = [span for each in found.values() for span in each]
    back = max((-span.begin for span in everything), default=0.0)
    ahead = max((span.end for span in everything), default=0.0)

    def hold(seconds: float) -> float:
        return next((span for span in _SPANS if span >= seconds), _SPANS[-1])

    return min(hold(back), 43200.0), hold(ahead)


def _colours(found: Mapping[str, Sequence[Span]]) -> dict[str, str]:
    """Neighbours in time differ; the number in the bar says which it is."""
    jobs = dict.fromkeys(span.job for each in found.values() for span in each)
    return {job: _INKS[place % len(_INKS)] for place, job in enumerate(jobs)}


def _others(gpu: GpuRow) -> str:
    """Who has a GPU without the queue: it is not free, whatever the queue does."""
    if gpu.free or gpu.stale:
        return ""
    return printable(", ".join(gpu.containers or gpu.owners) or "in use", 60)


def _line(
    each: Sequence[Span], room: int, window: tuple[float, float], inks: Mapping[str, str], others: str
) -> Cell:
    past, future = window
    marks: list[tuple[str, str]] = [(" ", "")] * room
    middle = _place(0.0, room, past, future)
    marks[middle] = ("│", "dim")
    if others and others.isascii() and not any(span.begin <= 0 < span.end for span in each):
        text = others[: max(0, room - middle - 2)]
        for place, char in enumerate(text, middle + 2):
            marks[place] = (char, "dim")
    for span in each:
        first = max(0, _place(span.begin, room, past, future))
        last = min(room - 1, _place(span.end, room, past, future) - 1)
        last = max(last, first)
        if first >= room or span.end < -past:
            continue
        body = ["▒" if span.coming else "█"] * (last - first + 1)
        if span.open and last - first > 1:
            body[-1] = "›"
        if len(span.job) + 2 <= len(body):
            at = (len(body) - len(span.job)) // 2
            body[at : at + len(span.job)] = span.job
        for place, char in enumerate(body):
            marks[first + place] = (char, inks[span.job])
    return tuple(marks)


def _place(moment: float, room: int, past: float, future: float) -> int:
    return min(room, max(0, round((moment + past) / (past + future) * (room - 1))))


def _axis(room: int, past: float, future: float) -> Cell:
    marks = [" "] * room
    for text, at in (
        (f"-{duration(past)}", 0),
        ("now", _place(0.0, room, past, future) - 1),
        (f"+{duration(future)}", room),
    ):
        begin = max(0, min(room - len(text), at))
        if all(mark == " " for mark in marks[max(0, begin - 1) : begin + len(text)]):
            marks[begin : begin + len(text)] = text
    return ((" " * (_LABEL + 1), ""), ("".join(marks), "dim"))
