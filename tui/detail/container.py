"""Details of a container: everything `docker inspect` is asked for, and what it uses."""

from __future__ import annotations

from math import isnan, nan

from backend import text as words
from backend.dockerwords import status
from backend.gpurows import RUNNING, gpu_rows
from backend.history import Series
from backend.model import Container, ContainerRow, HostSnapshot, Mount, Port, Usage
from backend.text import printable
from tui import cells
from tui.columns import Cell
from tui.detail.gpu import processes
from tui.detail.page import Curve, Page, Sheet, View

_BAR = 24


def page(target: ContainerRow, view: View) -> Page:
    """The page of a container. One that is gone says so, and what was known of it."""
    host = view.host(target.host)
    found = next((c for c in (host.containers if host else None) or () if c.id == target.id), None)
    sheet = Sheet()
    key = ("container", target.host, target.id)
    if host is None or found is None:
        sheet.text((("This container is gone.", "warn"),))
        sheet.field("name", cells.plain(target.name))
        sheet.field("image", cells.plain(target.image))
        return Page(key, cells.join(cells.plain(target.name), (("gone", "warn"),)), sheet)
    usage = (host.usage.get(found.id) if found.state in RUNNING else None) or Usage(id=found.id)
    _state(sheet, target, found, host, view)
    if found.state in RUNNING:
        _usage(sheet, found, usage, host)
    _gpus(sheet, found, host, view)
    _made_of(sheet, found, view)
    _network(sheet, found)
    _mounts(sheet, found.mounts)
    _labels(sheet, found)
    title = cells.join(
        cells.plain(found.name),
        (("on", "dim"),),
        cells.plain(host.name),
        cells.state(found.state, found.health, found.exit_code),
    )
    return Page(key, title, sheet, _curves(found, usage, host, view))


def _state(sheet: Sheet, row: ContainerRow, found: Container, host: HostSnapshot, view: View) -> None:
    if host.stale:
        sheet.text(
            (("! ", "warn"), *cells.plain(host.name), (" is away: this is how it was last seen.", "warn"))
        )
    if found.oom_killed:
        sheet.text((("! The kernel killed it: it needed more memory than it may have.", "bad"),))
    if not found.complete:
        sheet.text((("Details are still coming.", "dim"),))
    sheet.field("state", cells.plain(status(found, view.now)))
    sheet.field("host", cells.plain(host.name))
    sheet.field("owner", cells.plain(found.owner))
    if row.context:
        sheet.field("context", cells.plain(row.context, "accent"))
    sheet.field("created", view.clock(found.created_at))
    if found.started_at:
        sheet.field("started", view.clock(found.started_at))
    if found.finished_at and found.state not in RUNNING:
        sheet.field("ended", view.clock(found.finished_at))
        code = found.exit_code
        sheet.field("exit code", cells.number(code) if not code else ((str(code), "warn"),))
    if found.restarts:
        sheet.field("restarts", ((str(found.restarts), "warn"),))


def _usage(sheet: Sheet, found: Container, usage: Usage, host: HostSnapshot) -> None:
    sheet.heading("Uses")
    cpus = found.cpu_limit or (host.hello.cpus if host.hello else None)
    note = f"of {cpus:g} CPUs" if cpus else ""
    share = usage.cpu_percent / cpus if usage.cpu_percent is not None and cpus else None
    sheet.field(
        "cpu",
        cells.bar(share, _BAR - 9),
        cells.number(usage.cpu_percent, 0, 7, " %"),
        ((note, "dim"),),
    )
    used, limit = usage.mem_used, usage.mem_limit
    full = 100 * used / limit if used is not None and limit else None
    sheet.field(
        "memory",
        cells.bar(full, _BAR - 9, cells.fill_level(full or 0)),
        cells.size(used),
        ((f"of {words.size(limit)}", "dim"),) if limit else cells.EMPTY,
    )
    if usage.net_rx is not None or usage.net_tx is not None:
        sheet.field(
            "network",
            (("in", "dim"),),
            cells.bare(cells.size(usage.net_rx)),
            (("out", "dim"),),
            cells.bare(cells.size(usage.net_tx)),
            (("since it started", "dim"),),
        )
    if usage.pids is not None:
        sheet.field("processes", cells.number(usage.pids))


def _gpus(sheet: Sheet, found: Container, host: HostSnapshot, view: View) -> None:
    rows = gpu_rows(host)
    given = [row for row in rows if row.uuid in found.gpus]
    own = {p.pid for p in host.processes if p.container == found.id}
    running = tuple(p for row in rows for p in row.processes if p.pid in own)
    unknown = [uuid for uuid in found.gpus if uuid not in {row.uuid for row in rows}]
    if not (given or running or unknown):
        return
    sheet.heading("GPUs", ((f"{len(found.gpus)} given", "dim"),))
    sheet.table(
        ("#", "UTIL", "MEMORY", "GPU"),
        [
            (
                cells.number(row.index),
                cells.percent_bar(row.util_percent, 14),
                cells.usage(row.mem_used, row.mem_total, 13),
                cells.plain(row.name),
            )
            for row in given
        ],
        ("right", "left", "right"),
    )
    for uuid in unknown:
        sheet.text(((printable(uuid), "dim"), (" is not there any more", "warn")))
    if running:
        processes(sheet, running, view)


def _made_of(sheet: Sheet, found: Container, view: View) -> None:
    sheet.heading("Made of")
    sheet.field("image", cells.plain(found.image))
    if found.image_id:
        sheet.field("image id", cells.plain(found.image_id, "dim"))
    sheet.field("id", cells.plain(found.id, "dim"))
    sheet.field("command", cells.plain(found.command))
    sheet.field("user", cells.plain(found.user or "root"))
    if found.pid:
        sheet.field("pid", cells.number(found.pid), (("on the host", "dim"),))
    if found.cpu_limit:
        sheet.field("cpu limit", ((f"{found.cpu_limit:g} CPUs", ""),))
    if found.cpuset:
        sheet.field("cpuset", cells.plain(found.cpuset))


def _network(sheet: Sheet, found: Container) -> None:
    if not (found.ports or found.networks):
        return
    sheet.heading("Network")
    if found.networks:
        sheet.field("networks", cells.plain(", ".join(found.networks)))
    for port in found.ports:
        sheet.field("port", *_port(port))


def _port(port: Port) -> list[Cell]:
    inside = cells.plain(f"{port.private}/{port.protocol}")
    if port.public is None:
        return [inside, (("not published", "dim"),)]
    address = port.address or "0.0.0.0"  # noqa: S104
    shown = f"[{address}]" if ":" in address else address
    open_to_all = address in ("0.0.0.0", "::")  # noqa: S104
    return [
        inside,
        (("from", "dim"),),
        cells.plain(f"{shown}:{port.public}"),
        (("open to the network", "warn"),) if open_to_all else cells.EMPTY,
    ]


def _mounts(sheet: Sheet, mounts: tuple[Mount, ...]) -> None:
    if not mounts:
        return
    sheet.heading("Mounts")
    sheet.table(
        ("INSIDE", "", "FROM"),
        [
            (
                cells.plain(mount.target),
                (("rw", ""),) if mount.writable else (("ro", "dim"),),
                cells.plain(f"{mount.source} ({mount.kind})" if mount.kind != "bind" else mount.source),
            )
            for mount in mounts
        ],
    )


def _labels(sheet: Sheet, found: Container) -> None:
    if found.labels:
        sheet.heading("Labels")
        for name, value in sorted(found.labels.items()):
            sheet.text((*cells.plain(name, "key"), ("  ", ""), *cells.plain(value)))


def _curves(found: Container, usage: Usage, host: HostSnapshot, view: View) -> list[Curve]:
    history = view.history
    cpu = history.container(host.name, found.id, "cpu")
    memory = history.container(host.name, found.id, "memory")
    highest = max((value for value in cpu.values if not isnan(value)), default=0.0)
    curves = [
        Curve("CPU", cpu, top=100.0 * max(1, -(-int(highest) // 100))),
        Curve("Memory", memory, top=_memory_top(memory, usage), form=lambda value: words.size(int(value))),
    ]
    given = [history.gpu(host.name, uuid, "util") for uuid in found.gpus]
    if given:
        curves.insert(1, Curve("GPU" if len(given) == 1 else f"{len(given)} GPUs", mean(given)))
    return curves


def _memory_top(memory: Series, usage: Usage) -> float | None:
    """The limit as the axis, unless so little of it is used that nothing could be seen."""
    highest = max((value for value in memory.values if not isnan(value)), default=0.0)
    limit = usage.mem_limit
    return float(limit) if limit and highest > limit / 10 else None


def mean(series: list[Series]) -> Series:
    """The mean of series that were fed together: they end at the same time but may differ in length."""
    newest = max(series, key=lambda one: one.until)
    together = [one for one in series if one.until == newest.until]
    length = max(len(one.values) for one in together)
    padded = [[nan] * (length - len(one.values)) + list(one.values) for one in together]
    means = []
    for values in zip(*padded, strict=True):
        known = [value for value in values if not isnan(value)]
        means.append(sum(known) / len(known) if known else nan)
    return newest._replace(values=means)
