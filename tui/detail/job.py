"""Details of a job: what it runs, what it has, why it waits, and its host's GPUs over time."""

from __future__ import annotations

from backend import text as words
from backend.gpurows import gpu_rows
from backend.model import GpuRow, JobRow
from backend.queues.describe import asks, called, wastes
from backend.queues.ends import outcome
from backend.rows import RowBuilder
from tui import cells
from tui.columns import Cell
from tui.detail import timeline
from tui.detail.page import Curve, Page, Sheet, View

_BAR = 24
STYLES = {
    "queued": "", "held": "warn", "starting": "accent", "running": "good", "completed": "dim",
    "failed": "bad", "cancelled": "warn", "timeout": "bad",
}  # fmt: skip


def page(target: JobRow, view: View) -> Page:
    """The page of a job."""
    rows = _of_host(target, view)
    row = next((each for each in rows if (each.engine, each.id) == (target.engine, target.id)), target)
    gpus = _gpus(row, view)
    sheet = Sheet()
    _said(sheet, row, view)
    _has(sheet, row, [gpu for gpu in gpus if gpu.uuid in row.gpu_uuids])
    _times(sheet, row, view)
    if gpus:
        sheet.heading("GPUs of this host", (("past, now and next", "dim"),))
        sheet.block(lambda width: timeline.lines(rows, gpus, view.now.timestamp(), width))
    title = cells.join(
        cells.plain(f"job {row.id}"),
        cells.plain(called(row)),
        (("on", "dim"),),
        cells.plain(row.host),
        state(row),
    )
    curves = [
        Curve(f"GPU {gpu.index}", view.history.gpu(row.host, gpu.uuid, "util"))
        for gpu in gpus
        if gpu.uuid in row.gpu_uuids and row.state == "running"
    ][:3]
    return Page(("job", row.host, row.engine, row.id), title, sheet, curves)


def state(row: JobRow) -> Cell:
    """The state, and how it ended."""
    text = (
        f"{row.state} {row.exit_code}" if row.state == "failed" and row.exit_code is not None else row.state
    )
    return ((text, STYLES.get(row.state, "")),)


def _of_host(target: JobRow, view: View) -> list[JobRow]:
    host = view.host(target.host)
    if host is None:
        return [target]
    state = type(view.state)(hosts={host.name: host})
    return RowBuilder().jobs(state)


def _gpus(row: JobRow, view: View) -> list[GpuRow]:
    host = view.host(row.host)
    return gpu_rows(host) if host is not None and row.engine == "docker" else []


def _said(sheet: Sheet, row: JobRow, view: View) -> None:
    if row.ended_at is not None:
        if how := outcome(row):
            sheet.text(cells.plain(how[0].upper() + how[1:] + ".", STYLES.get(row.state, "")))
    elif row.reason:
        said = row.reason.startswith("waits ")
        sheet.text((("" if said else "Waits: ", "warn"), *cells.plain(row.reason)))
    if row.idle_since is not None and wastes(row, view.now):
        idle = words.age(row.idle_since, view.now)
        sheet.text(((f"Its GPUs have done nothing for {idle}.", "idle"),))
    sheet.field("runs", cells.plain(row.command))
    sheet.field("owner", cells.plain(row.owner))
    sheet.field("image", cells.plain(row.image))
    if row.project:
        sheet.field("project", cells.plain(row.project))


def _has(sheet: Sheet, row: JobRow, given: list[GpuRow]) -> None:
    sheet.field("asks for", cells.plain(asks(row)))
    if row.priority:
        sheet.field("priority", cells.number(row.priority))
    if row.util_percent is not None:
        sheet.field("utilisation", cells.percent_bar(row.util_percent, _BAR))
    for gpu in given:
        sheet.field(
            f"GPU {gpu.index}",
            cells.percent_bar(gpu.util_percent, _BAR),
            cells.usage(gpu.mem_used, gpu.mem_total, _BAR),
        )
    if row.node or row.partition:
        sheet.field("node", cells.plain(row.node), cells.plain(row.partition, "dim"))
    if row.container:
        sheet.field("container", cells.plain(row.container[:12], "dim"))
    if row.log:
        sheet.field("output", cells.plain(row.log))


def _times(sheet: Sheet, row: JobRow, view: View) -> None:
    if row.after:
        sheet.field("after", cells.plain(", ".join(row.after)))
    if row.attempt > 1 or row.retries:
        sheet.field("attempt", cells.plain(f"{row.attempt} of {row.retries + 1}"))
    sheet.field("submitted", view.clock(row.submitted_at))
    if row.state == "queued":
        expected = row.expected_start
        sheet.field(
            "expected",
            cells.plain(f"in {words.duration(max(0.0, (expected - view.now).total_seconds()))}")
            if expected is not None
            else (("not known", "dim"),),
        )
    if row.started_at is not None:
        sheet.field("started", view.clock(row.started_at))
    if row.ended_at is not None:
        sheet.field("ended", view.clock(row.ended_at))
