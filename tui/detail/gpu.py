"""Details of a GPU: what it does, and who is on it."""

from __future__ import annotations

from backend import gpulinks
from backend import text as words
from backend.gpurows import RUNNING, gpu_rows
from backend.model import Gpu, GpuRow, HostSnapshot, ProcessRow
from tui import cells
from tui.columns import Cell
from tui.detail.page import Curve, Page, Sheet, View

_BAR = 24


def page(target: GpuRow, view: View) -> Page:
    """The page of a GPU."""
    host = view.host(target.host)
    row = next((row for row in gpu_rows(host) if row.uuid == target.uuid), target) if host else target
    sheet = Sheet()
    _values(sheet, row, host, view)
    _links(sheet, row, host)
    processes(sheet, row.processes, view, host)
    _containers(sheet, row, host)
    state = _state(row, host, view)
    title = cells.join(cells.plain(f"{row.host} GPU {row.index}"), cells.plain(row.name), state)
    history = view.history
    curves = [
        Curve("Utilisation", history.gpu(row.host, row.uuid, "util")),
        Curve("Memory", history.gpu(row.host, row.uuid, "memory")),
        Curve("Power", history.gpu(row.host, row.uuid, "power"), row.power_limit_w, lambda w: f"{w:.0f} W"),
    ]
    return Page(("gpu", row.host, row.uuid), title, sheet, curves)


def _state(row: GpuRow, host: HostSnapshot | None, view: View) -> Cell:
    if row.error:
        return (("! cannot be read", "bad"),)
    if row.stale:
        return (("as last seen", "dim"),)
    if row.free:
        return (("free", "free"),)
    if row.idle_since is not None:
        return ((f"idle {words.age(row.idle_since, view.now)}", "idle"),)
    if row.processes or (host is not None and "processes" not in host.told):
        return (("in use", "good"),)
    return (("given, nothing runs", "idle"),)


def _values(sheet: Sheet, row: GpuRow, host: HostSnapshot | None, view: View) -> None:
    if row.error:
        sheet.text((("! ", "bad"), *cells.plain(row.error)))
    if row.idle_since is not None:
        sheet.text(
            (("Memory is held, but nothing has run since ", "idle"), *view.clock(row.idle_since), (".", ""))
        )
    sheet.field("host", cells.plain(row.host))
    sheet.field("utilisation", cells.percent_bar(row.util_percent, _BAR))
    sheet.field("memory", cells.usage(row.mem_used, row.mem_total, _BAR))
    sheet.field("temperature", cells.bare(cells.temperature(row.temp_c)))
    sheet.field("power", cells.bare(cells.power(row.power_w, row.power_limit_w)))
    sheet.field("owners", cells.owners(row.owners))
    sheet.field("model", cells.plain(row.name), cells.plain(row.arch, "dim") if row.arch else cells.EMPTY)
    sheet.field("uuid", cells.plain(row.uuid))
    if row.numa_node is not None and row.numa_node >= 0:
        cpus = gpulinks.cpus(host.topology if host else None, row.uuid)
        beside = cells.plain(f"beside CPUs {cpus}", "dim") if cpus else cells.EMPTY
        sheet.field("NUMA node", cells.number(row.numa_node), beside)
    gpu = _gpu(host, row.uuid)
    if gpu is not None and gpu.bus_id:
        sheet.field("bus", cells.plain(gpu.bus_id))
    if host is not None and host.gpu_report is not None and host.gpu_report.driver:
        sheet.field("driver", cells.plain(host.gpu_report.driver))


def _links(sheet: Sheet, row: GpuRow, host: HostSnapshot | None) -> None:
    """How the other GPUs are reached, those with the same way in one line."""
    ways: dict[str, list[str]] = {}
    for other in gpu_rows(host) if host is not None else ():
        link = gpulinks.between(host.topology if host else None, row.uuid, other.uuid)
        if link is not None:
            ways.setdefault(gpulinks.name(link), []).append(str(other.index))
    if ways:
        sheet.heading("Links", (("to the other GPUs", "dim"),))
        sheet.table(
            ("LINK", "GPU", "WAY"),
            [
                (cells.plain(way), cells.plain(" ".join(others)), cells.plain(gpulinks.meaning(way), "dim"))
                for way, others in ways.items()
            ],
        )


def processes(
    sheet: Sheet, found: tuple[ProcessRow, ...], view: View, host: HostSnapshot | None = None
) -> None:
    """A table of processes on GPUs."""
    sheet.heading("Processes", cells.EMPTY if found else view.none(host, "processes"))
    sheet.table(
        ("PID", "USER", "MEM", "SINCE", "CONTAINER", "COMMAND"),
        [
            (
                cells.number(process.pid),
                cells.plain(process.user),
                cells.bare(cells.size(process.mem_used)),
                cells.bare(cells.age(process.started_at, view.now)),
                cells.plain(process.container),
                cells.plain(process.command),
            )
            for process in found
        ],
        ("right", "left", "right", "right"),
    )


def _containers(sheet: Sheet, row: GpuRow, host: HostSnapshot | None) -> None:
    given = [
        container
        for container in (host.containers if host else None) or ()
        if row.uuid in container.gpus or container.name in row.containers
    ]
    given.sort(key=lambda container: (container.state not in RUNNING, container.name))
    sheet.heading("Containers", (("that have it or were given it", "dim"),) if given else (("none", "dim"),))
    sheet.table(
        ("NAME", "STATE", "OWNER", "IMAGE"),
        [
            (
                cells.plain(container.name),
                cells.state(container.state, container.health, container.exit_code),
                cells.plain(container.owner),
                cells.plain(container.image, "dim"),
            )
            for container in given
        ],
    )


def _gpu(host: HostSnapshot | None, uuid: str) -> Gpu | None:
    gpus = host.gpu_report.gpus if host and host.gpu_report else ()
    return next((gpu for gpu in gpus if gpu.uuid == uuid), None)
