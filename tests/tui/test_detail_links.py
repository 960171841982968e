"""Links between GPUs in the details of a host and of a GPU."""

from __future__ import annotations

from backend.config import Config
from backend.gpurows import gpu_rows
from backend.history import History
from backend.model import FleetState, GpuLink, GpuPlace, GpuTopology, HostSnapshot
from tests.tui.fakes import gpu, host, state_of
from tests.tui.test_detail import CONFIG
from tui.cells import text_of
from tui.detail import gpu as gpu_page
from tui.detail import host as host_page
from tui.detail.page import View


def with_links(*links: GpuLink) -> HostSnapshot:
    from msgspec.structs import replace

    bare = host("h1")
    assert bare.gpu_report is not None
    gpus = tuple(gpu(index, 0, 0) for index in range(3))
    places = tuple(GpuPlace(each.uuid, "0-47") for each in gpus)
    report = replace(bare.gpu_report, gpus=gpus)
    return replace(bare, gpu_report=report, topology=GpuTopology(places, links))


def text(page: object) -> str:
    return "\n".join(text_of(line) for line in page.sheet.lines(100))  # type: ignore[attr-defined]


def view(snapshot: HostSnapshot, config: Config = CONFIG) -> View:
    state: FleetState = state_of([snapshot])
    return View(state, History(), config)


def links(kind: str, count: int) -> list[GpuLink]:
    ids = [gpu(index, 0, 0).uuid for index in range(3)]
    return [
        GpuLink(a, b, kind, count, "SYS") for a, b in ((ids[0], ids[1]), (ids[0], ids[2]), (ids[1], ids[2]))
    ]


def test_one_way_between_all_is_one_line() -> None:
    snapshot = with_links(*links("nvlink", 18))
    assert "NV18" in text(host_page.page(snapshot, view(snapshot)))
    said = text(gpu_page.page(gpu_rows(snapshot)[0], view(snapshot)))
    assert "18 NVLinks" in said and "1 2" in said and "beside CPUs 0-47" in said


def test_different_ways_are_a_table() -> None:
    snapshot = with_links(links("nvlink", 4)[0], *links("pcie", 0)[1:])
    said = text(host_page.page(snapshot, view(snapshot)))
    assert "NV4" in said and "SYS: between NUMA nodes" in said


def test_nothing_is_said_where_nothing_is_known() -> None:
    snapshot = with_links()
    assert "Links" not in text(gpu_page.page(gpu_rows(snapshot)[0], view(snapshot)))
