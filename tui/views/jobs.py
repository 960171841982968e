"""Jobs (5): the jobs of all queues: those that run, those that wait and why, those that ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from backend.model import JobRow
from backend.queues.describe import called, wastes, why
from backend.queues.words import current
from backend.text import duration, printable
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.detail.job import state
from tui.filter import Field
from tui.views.base import ListView
from tui.views.make import figures, words

if TYPE_CHECKING:
    from backend.actions.registry import Action

_ORDER = {"running": 0, "starting": 0, "queued": 1, "held": 2}
ONLY_MINE = "owner:{0}"
_SOON = 0.9
"""Share of its time limit after which a job's time stands out."""


class JobsView(ListView):
    """All jobs of all queues."""

    ROW = JobRow
    KEY = attrgetter("host", "engine", "id")
    EMPTY: ClassVar[tuple[str, str]] = (
        "The jobs of all queues: what runs, what waits and why, what ended.",
        "Nothing is queued. `n` makes a job here; in a shell: berth run --gpus 1 --image IMAGE -- COMMAND",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "only_unfinished", "unfinished", id="only-unfinished"),
    ]

    def take_keys(self, bindings: Iterable[Binding]) -> None:
        """What is new here is a job. What narrows the list comes last: a narrow footer has no room for it."""
        new = Binding("n", "screen.do('run')", "new job", id="run")
        last = self._bindings.key_to_bindings.pop("f", [])
        super().take_keys((*bindings, new, *last))

    def empty(self) -> tuple[str, str]:
        """Who may only look is not told how to make a job."""
        shows, fills = self.EMPTY
        if getattr(self.screen, "read_only", False):
            return shows, "Nothing is queued."
        return shows, fills

    def make_columns(self) -> Sequence[Column[Any]]:
        """All columns."""
        return (
            words("host", "HOST", 8, lambda r: r.host, grow=1),
            words("engine", "ENGINE", 6, lambda r: r.engine, priority=8, optional=True),
            _id_column(),
            words("name", "NAME", 12, called, grow=5),
            words("owner", "OWNER", 8, lambda r: r.owner, grow=1, priority=2),
            words("state", "STATE", 10, lambda r: r.state, cell=state),
            words("reason", "WHY / WHEN", 18, _why, cell=_reason, grow=6, priority=1),
            figures("gpus", "GPUS", 11, _gpus, lambda r: r.gpus),
            figures(
                "gpu_mem", "GPU MEM", 9, lambda r: cells.size(r.gpu_mem_used), lambda r: r.gpu_mem_used,
                priority=6, optional=True,
            ),
            figures(
                "cpus", "CPUS", 4, lambda r: cells.number(r.cpus), lambda r: r.cpus, priority=7, optional=True
            ),
            figures(
                "mem", "MEM", 9, lambda r: cells.size(r.memory), lambda r: r.memory, priority=7, optional=True
            ),
            figures("time", "TIME / LIMIT", 13, _time, _seconds, priority=3),
            words("command", "COMMAND", 24, lambda r: r.command, grow=2, priority=5),
            words("node", "NODE", 10, lambda r: r.node, priority=9, optional=True),
            words("image", "IMAGE", 16, lambda r: r.image, priority=9, optional=True),
            figures(
                "submitted", "SUBMITTED", 9, lambda r: cells.age(r.submitted_at), lambda r: r.submitted_at,
                priority=9, optional=True,
            ),
        )  # fmt: skip

    def make_narrow(self) -> Sequence[Column[Any]]:
        """Which, how it stands."""
        return (
            _id_column(),
            words("name", "NAME", 10, called, grow=2),
            words("state", "STATE", 10, lambda r: r.state, cell=state),
            figures("gpus", "GPUS", 8, _gpus, lambda r: r.gpus),
        )

    def make_rows(self) -> Sequence[JobRow]:
        """Those that run, those that wait in their turn, those that ended."""
        rows = self.sources.builder.jobs(self.sources.state)
        return sorted(rows, key=lambda row: _ORDER.get(row.state, 3))

    def show_rows(self) -> None:
        """Take the rows. Jobs that were marked and have ended since are marked no more: what they were marked
        for is done."""
        going = {self.KEY(row) for row in self._marked() if row.ended_at is None}
        super().show_rows()
        if going:
            self.table.unmark(going & {self.KEY(row) for row in self._marked() if row.ended_at is not None})

    def _marked(self) -> Sequence[JobRow]:
        return self.table.targets() if self.table.marks else ()

    def given(self, action: Action) -> Mapping[str, Any]:
        """A job is changed from what it is now."""
        rows = self.targets()
        return current(rows[0]) if action.name == "job-edit" and len(rows) == 1 else {}

    def rank(self, row: JobRow) -> int:
        """Running, waiting, ended."""
        return _ORDER.get(row.state, 3)

    def look(self, row: JobRow) -> Look:
        """What wastes GPUs and what failed stands out; what is over steps back."""
        if row.stale or row.state in ("completed", "cancelled"):
            return Look("dim")
        if row.state in ("failed", "timeout"):
            return Look("", "bad")
        return Look("idle", "warn") if wastes(row) else Look()

    def extra_fields(self) -> dict[str, Field]:
        """`ended:no`, `idle:>10m`, `partition:gpu`."""
        return {
            "ended": Field(lambda r: "yes" if r.ended_at else "no", lambda r: r.ended_at),
            "idle": Field(lambda r: "yes" if wastes(r) else "no", lambda r: r.idle_since),
            "partition": Field(lambda r: r.partition),
            "project": Field(lambda r: r.project),
        }

    def containers_filter(self, row: JobRow) -> str:
        """Its own."""
        return f"id:{row.container[:12]}" if row.container else ""

    def action_only_unfinished(self) -> None:
        """Show only jobs that have not ended, or all again."""
        self.set_filter("" if self.filter_text == "ended:no" else "ended:no")


def _id_column() -> Column[Any]:
    """Sorted as numbers; plain words of a filter find it as well, as people know jobs by their number."""
    column = figures("id", "ID", 4, lambda r: cells.plain(r.id), _number)
    return replace(column, text=lambda r: printable(r.id))


def _number(row: JobRow) -> tuple[int, ...]:
    """`12_3` comes after `12_2`."""
    return tuple(int(part) for part in row.id.split("_") if part.isdecimal())


def _gpus(row: JobRow) -> Cell:
    """How many, and how busy they really are."""
    if not row.gpus:
        return cells.EMPTY
    if row.util_percent is None:
        return cells.number(row.gpus)
    return (
        *cells.bar(row.util_percent, 3),
        *cells.percent(row.util_percent),
        (f"{row.gpus:>3}", ""),
    )


def _why(row: JobRow) -> str:
    return printable(why(row))


def _reason(row: JobRow) -> Cell:
    style = "idle" if wastes(row) else "bad" if row.state in ("failed", "timeout") else "dim"
    return ((_why(row), style),)


def _seconds(row: JobRow) -> float | None:
    if row.started_at is None:
        return None
    return ((row.ended_at or datetime.now(UTC)) - row.started_at).total_seconds()


def _time(row: JobRow) -> Cell:
    took = _seconds(row)
    limit = f"/{duration(row.time_limit)}" if row.time_limit else ""
    if took is None:
        return ((limit, "dim"),) if limit else cells.EMPTY
    late = row.ended_at is None and row.time_limit is not None and took > _SOON * row.time_limit
    return ((duration(took), "warn" if late else ""), (limit, "dim"))
