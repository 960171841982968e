"""Links between GPUs and where they lie: read on hosts, shown with the reason for a placement."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend import gpulinks
from backend.agent.probe import links
from backend.config import Context
from backend.contexts import topology
from backend.model import GpuLink, GpuPlace, GpuRow, GpuTopology
from tests.lab import Lab


class Nvml:
    """Four GPUs: 0 and 1 joined by four lines, 2 and 3 by a switch, else PCIe."""

    def __init__(self, switch: bool = False) -> None:
        self.switch = switch

    def nvmlDeviceGetTopologyCommonAncestor(self, a: int, b: int) -> int:
        return 10 if a // 2 == b // 2 else 50

    def nvmlDeviceGetNvLinkState(self, gpu: int, link: int) -> int:
        lines = 4 if gpu < 2 else 2 if self.switch else 0
        if link >= lines:
            raise NotThere
        return 1

    def nvmlDeviceGetNvLinkRemoteDeviceType(self, gpu: int, link: int) -> int:
        return 0 if gpu < 2 else 2

    def nvmlDeviceGetNvLinkRemotePciInfo(self, gpu: int, link: int) -> SimpleNamespace:
        return SimpleNamespace(busId=f"00000000:{1 - gpu:02X}:00.0".encode())


class NotThere(Exception):
    value = 3


PEERS = [(f"GPU-{number}", f"00000000:{number:02x}:00.0", number) for number in range(4)]


@pytest.mark.parametrize(("switch", "last"), [(False, ("pcie", 0, "PIX")), (True, ("nvlink", 2, "PIX"))])
def test_lines_between_nvidia_gpus_are_counted(switch: bool, last: tuple[str, int, str]) -> None:
    found = {(each["a"], each["b"]): each for each in links.nvidia(Nvml(switch), PEERS)}
    assert len(found) == 6
    first = found["GPU-0", "GPU-1"]
    assert (first["kind"], first["count"]) == ("nvlink", 4)
    assert (found["GPU-0", "GPU-2"]["kind"], found["GPU-0", "GPU-2"]["level"]) == ("pcie", "SYS")
    both = found["GPU-2", "GPU-3"]
    assert (both["kind"], both["count"], both["level"]) == last


ROOT = "pci0000:00/0000:00:01.0"


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        (f"{ROOT}/0000:01:00.0/0000:02:00.0", f"{ROOT}/0000:01:00.0/0000:02:01.0", "PIX"),
        (f"{ROOT}/0000:01:00.0/0000:03:00.0/0000:04:00.0", f"{ROOT}/0000:01:01.0/0000:05:00.0", "PXB"),
        (f"{ROOT}/0000:01:00.0", "pci0000:00/0000:00:02.0/0000:08:00.0", "PHB"),
        ("pci0000:00/0000:01:00.0", "pci0000:80/0000:81:00.0", "SYS"),
    ],
)
def test_the_way_over_pcie_is_read_from_the_kernels_tree(tmp_path: Path, a: str, b: str, level: str) -> None:
    for number, way in enumerate((a, b)):
        device = tmp_path / "devices" / way
        device.mkdir(parents=True, exist_ok=True)
        (device / "numa_node").write_text(f"{number}\n")
        (tmp_path / "bus/pci/devices").mkdir(parents=True, exist_ok=True)
        (tmp_path / "bus/pci/devices" / device.name).symlink_to(device)
    names = [way.rpartition("/")[2] for way in (a, b)]
    assert links.pci_level(str(tmp_path), *names) == level
    assert links.pci_level(str(tmp_path), names[0], "0000:ff:00.0") == ""


def row(index: int, node: int, free: bool = True) -> GpuRow:
    return GpuRow(
        host="h1", index=index, uuid=f"GPU-{index}", vendor="nvidia", name="H100", arch="sm_90",
        util_percent=0.0, mem_used=0, mem_total=80, temp_c=None, power_w=None, power_limit_w=None,
        idle_since=None, numa_node=node, free=free, owners=() if free else ("bob",),
    )  # fmt: skip


def told(kind: str = "nvlink", count: int = 18) -> GpuTopology:
    pairs = [(a, b) for a in range(4) for b in range(a)]
    return GpuTopology(
        gpus=tuple(GpuPlace(f"GPU-{n}", "0-3") for n in range(4)),
        links=tuple(GpuLink(f"GPU-{a}", f"GPU-{b}", kind, count, "SYS") for a, b in pairs),
    )


def test_the_page_says_what_is_linked_how_and_why_a_placement_is_chosen() -> None:
    rows = [row(0, 0, free=False), row(1, 0), row(2, 1), row(3, 1)]
    context = Context(name="train", host="h1", image="x", container="c", gpus=2, cpuset="auto")
    page = "\n".join(topology.lines("h1", rows, {0: "0-3", 1: "4-7"}, told(), [(context, "4-7")]))
    assert "links: NV18 between all of them, 18 NVLinks" in page
    assert "GPU 0  H100  in use by bob" in page
    assert "2 GPUs: GPU 2, 3: free, together on NUMA node 1. CPUs 4-7: they are on NUMA node 1" in page
    assert "context train, whose container has CPUs 4-7: GPU 2, 3: free" in page
    assert "4 GPUs: GPU 1, 2, 3, 0: no 4 free ones share a NUMA node." in page


def test_different_links_are_a_table_with_its_words_explained() -> None:
    mixed = GpuTopology(links=(GpuLink("GPU-0", "GPU-1", "xgmi", 1), *told("pcie", 0).links[1:]))
    rows = [row(each, 0) for each in range(3)]
    page = topology.lines("h1", rows, {}, mixed, [])
    assert "GPU0    -     XGMI  SYS" in page
    assert "SYS: between NUMA nodes: slowest" in page
    assert gpulinks.matrix(None, rows) == [] and gpulinks.same([]) == ""


@pytest.mark.lab
def test_links_of_real_hosts(lab: Lab, tmp_path: Path) -> None:
    config = Path(shutil.copytree(lab.config_dir, tmp_path / "config"))
    (config / "contexts").mkdir(exist_ok=True)
    (config / "contexts/auto.yaml").write_text("host: h1\nimage: busybox\ngpus: 2\ncpuset: auto\n")
    env = {**os.environ, "BERTH_CONFIG_DIR": str(config), "BERTH_STATE_DIR": str(tmp_path / "state")}

    def run(*words: str) -> str:
        argv = [sys.executable, "-m", "tui", "topology", *words]
        return subprocess.run(argv, capture_output=True, text=True, env=env, check=True).stdout

    page = run("h1")
    assert "links: NV18 between all of them" in page and "context auto: GPU" in page
    assert "links: XGMI between all of them" in run("m1")
    (found,) = json.loads(run("p1", "--json"))
    assert {link["count"] for link in found["data"]["links"]} == {4}
    (amd,) = json.loads(run("m1", "--json"))
    assert amd["data"]["gpus"][0]["cpus"] == "0-95"
