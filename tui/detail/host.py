"""Details of a host: what is wrong with it first, then its load, its GPUs, who uses it, and the machine."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from backend import gpulinks
from backend import text as words
from backend.gpurows import RUNNING, claims, gpu_rows
from backend.model import Engine, EngineState, GpuRow, HostSnapshot, HostState
from backend.text import printable
from tui import cells
from tui.columns import Cell
from tui.detail import cluster
from tui.detail.page import Curve, Page, Sheet, View

_BAR = 24


def page(target: HostSnapshot, view: View) -> Page:
    """The page of a host."""
    host = view.host(target.name) or target
    sheet = Sheet()
    _problems(sheet, host, view)
    _load(sheet, host)
    rows = gpu_rows(host)
    _gpus(sheet, host, rows, view)
    cluster.show(sheet, host)
    _users(sheet, host, rows)
    _machine(sheet, host, view)
    _about(sheet, host)
    title = cells.join(cells.plain(host.name), cells.host_state(host.state, bool(host.warnings)))
    return Page(("host", host.name), title, sheet, _curves(host, view))


def _problems(sheet: Sheet, host: HostSnapshot, view: View) -> None:
    if host.error is not None:
        sheet.problem(host.error, "bad")
    elif host.state is HostState.CONNECTING:
        sheet.text((("Connecting to ", ""), *cells.plain(host.address)))
    elif host.state is HostState.SKIPPED:
        sheet.text((("Left alone: its entry in hosts.yaml says `skip: true`.", "dim"),))
    if host.state is not HostState.UP:
        if host.retry_at is not None:
            wait = max(0.0, (host.retry_at - view.now).total_seconds())
            sheet.field("next try", ((f"in {words.duration(wait)}", ""),))
        sheet.field("last seen", view.clock(host.seen_at))
    for warning in host.warnings:
        sheet.problem(warning, "warn")


def _machine(sheet: Sheet, host: HostSnapshot, view: View) -> None:
    sheet.heading("Machine")
    sheet.field("address", cells.plain(host.address))
    hello = host.hello
    if hello is not None:
        sheet.field("name", cells.plain(hello.hostname))
        sheet.field("system", cells.plain(hello.os), cells.plain(hello.arch, "dim"))
        sheet.field("kernel", cells.plain(hello.kernel))
        sheet.field("booted", view.clock(hello.boot_time))
        sheet.field("login", cells.plain(hello.user), (("python " + printable(hello.python), "dim"),))
    if host.engine is not None:
        sheet.field("engine", *_engine(host.engine))
    if host.latency_ms is not None and not host.stale:
        sheet.field("latency", ((f"{host.latency_ms:.0f} ms", ""),))


def _engine(engine: Engine) -> list[Cell]:
    if engine.state is EngineState.UP:
        name = cells.plain(f"{engine.kind} {engine.version}".strip())
        return [name, cells.plain(engine.socket, "dim"), cells.plain(engine.root_dir, "dim")]
    style = "dim" if engine.state in (EngineState.OFF, EngineState.MISSING) else "bad"
    return [cells.plain(f"{engine.kind} {engine.state}".strip(), style), cells.plain(engine.error, "dim")]


def _load(sheet: Sheet, host: HostSnapshot) -> None:
    stats = host.stats
    if stats is None:
        return
    sheet.heading("Load", (("as last seen", "dim"),) if host.stale else cells.EMPTY)
    of = f"of {host.hello.cpus} CPUs" if host.hello else ""
    sheet.field("cpu", cells.percent_bar(stats.cpu_percent, _BAR), ((of, "dim"),))
    loads = cells.join(*(cells.number(load, 2) for load in (stats.load1, stats.load5, stats.load15)))
    sheet.field("load", loads, (("1, 5, 15 min", "dim"),))
    sheet.field("memory", cells.usage(stats.mem_used, stats.mem_total, _BAR))
    if stats.swap_total:
        sheet.field("swap", cells.usage(stats.swap_used, stats.swap_total, _BAR))
    sheet.field(
        "network",
        (("in", "dim"),),
        cells.bare(cells.rate(stats.net_rx)),
        (("out", "dim"),),
        cells.bare(cells.rate(stats.net_tx)),
    )
    for disk in host.disks:
        name = "disk" if disk.role == "root" else f"{printable(disk.role, 20)} disk"
        low = disk.total and disk.free < disk.total * 0.05
        free = ((words.size(disk.free) + " free" + (" !" if low else ""), "bad" if low else "dim"),)
        mount = cells.EMPTY if disk.mount == "/" else cells.plain(disk.mount, "dim")
        sheet.field(name, cells.usage(disk.used, disk.total, _BAR), free, mount)


def _gpus(sheet: Sheet, host: HostSnapshot, rows: list[GpuRow], view: View) -> None:
    report = host.gpu_report
    if report is None or not (rows or report.error):
        return
    free = sum(row.free for row in rows)
    names = Counter(row.name for row in rows)
    kinds = ", ".join(f"{count}x {name}" for name, count in names.items())
    sheet.heading(
        "GPUs", cells.join(cells.free(free, len(rows)), (("free", "dim"),), cells.plain(kinds, "dim"))
    )
    if report.error:
        sheet.text((("! ", "bad"), *cells.plain(report.error)))
        if report.hint:
            sheet.text((("Try: ", "key"), *cells.plain(report.hint)))
    sheet.table(
        ("#", "UTIL", "MEMORY", "WHO"),
        [
            (
                cells.number(row.index),
                cells.percent_bar(row.util_percent, 12),
                cells.usage(row.mem_used, row.mem_total, 13),
                cells.plain(row.error, "bad") if row.error else who(row, view),
            )
            for row in rows
        ],
        ("right", "left", "right"),
    )
    if report.driver:
        sheet.field("driver", cells.plain(report.driver))
    _links(sheet, host, rows)


def _links(sheet: Sheet, host: HostSnapshot, rows: list[GpuRow]) -> None:
    """How the GPUs reach each other; one line where all do it in one way."""
    table = gpulinks.matrix(host.topology, rows)
    if not table:
        return
    if one := gpulinks.same(table):
        sheet.field("links", cells.plain(one), cells.plain(gpulinks.meaning(one), "dim"))
        return
    sheet.heading("Links", cells.plain(", ".join(gpulinks.legend(table)), "dim"))
    sheet.table(
        ("#", *(str(row.index) for row in rows)),
        [
            (cells.number(row.index), *(cells.plain(each) for each in line))
            for row, line in zip(rows, table, strict=True)
        ],
        ("right",),
    )


def who(row: GpuRow, view: View) -> Cell:
    """Whose a GPU is: its owners, since when they hold it without working, or that it is free."""
    if row.error or row.stale:
        return cells.owners(row.owners)
    if row.free:
        return (("free", "free"),)
    if row.idle_since is not None:
        idle = f"idle {words.age(row.idle_since, view.now)}"
        return cells.join(cells.owners(row.owners), ((idle, "idle"),), gap=" ")
    return cells.owners(row.owners)


@dataclass
class _Use:
    """What one user has on a host."""

    containers: int = 0
    cpu: float = 0.0
    memory: int = 0
    gpu_memory: int = 0


def _users(sheet: Sheet, host: HostSnapshot, rows: list[GpuRow]) -> None:
    if not host.containers and not rows:
        return
    used: dict[str, _Use] = defaultdict(_Use)
    gpus: dict[str, set[str]] = defaultdict(set)
    for container in host.containers or ():
        if container.state in RUNNING:
            use = used[container.owner or ""]
            use.containers += 1
            if usage := host.usage.get(container.id):
                use.cpu += usage.cpu_percent or 0.0
                use.memory += usage.mem_used or 0
    for uuid, holders in claims(host).items():
        for container in holders:
            gpus[container.owner or ""].add(uuid)
    for row in rows:
        for process in row.processes:
            used[process.user].gpu_memory += process.mem_used or 0
            gpus[process.user].add(row.uuid)
    total = len(host.containers or ())
    running = sum(use.containers for use in used.values())
    sheet.heading("Who uses it", ((f"{running} of {total} containers run", "dim"),))
    sheet.table(
        ("OWNER", "CONT", "GPUS", "GPU-MEM", "CPU", "MEM"),
        [
            (
                cells.plain(name) if name else (("unknown", "dim"),),
                cells.number(use.containers or None),
                cells.number(len(gpus[name]) or None),
                cells.bare(cells.size(use.gpu_memory or None)),
                cells.number(use.cpu, unit=" %"),
                cells.bare(cells.size(use.memory or None)),
            )
            for name, use in sorted(
                used.items(), key=lambda item: (-len(gpus[item[0]]), -item[1].containers, item[0])
            )
        ],
        ("left", "right", "right", "right", "right", "right"),
    )


def _about(sheet: Sheet, host: HostSnapshot) -> None:
    if not (host.type or host.tags or host.comment or host.read_only):
        return
    sheet.heading("In hosts.yaml")
    if host.type:
        sheet.field("type", cells.plain(host.type))
    if host.tags:
        sheet.field("tags", cells.plain(", ".join(host.tags)))
    if host.comment:
        sheet.field("comment", cells.plain(host.comment))
    if host.read_only:
        sheet.field("read only", (("nothing is changed on this host", ""),))


def _curves(host: HostSnapshot, view: View) -> list[Curve]:
    history = view.history
    curves = [Curve("CPU", history.host(host.name, "cpu"))]
    if host.gpu_report and host.gpu_report.gpus:
        curves.append(Curve("GPUs", history.host(host.name, "gpu")))
    curves.append(Curve("Memory", history.host(host.name, "memory")))
    return curves
