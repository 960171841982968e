"""The cluster on the page of its login node."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from backend.model import ClusterNode, ClusterPartition, ClusterReport, FleetState
from tests.data.fleet import make_hosts, make_state
from tests.tui.test_detail import page_text

NOW = datetime.now(UTC)
NODES = (
    ClusterNode(
        host="h", name="n1", state="mixed", gpu_type="h100", gpus=4, gpus_used=3, cpus=32, cpus_used=8
    ),
    ClusterNode(host="h", name="n2", state="drained*", gpus=4, cpus=32, reason="[red]fans\x1b[0m"),
)
PARTITIONS = (
    ClusterPartition(host="h", name="main", state="up", default=True, nodes=2, gpus=8, gpus_free=1),
    ClusterPartition(host="h", name="short", state="drain", nodes=1, gpus=4, time_limit=3600.0),
)


def shown(report: ClusterReport | None, width: int = 100) -> str:
    state = make_state(make_hosts(1, now=NOW))
    host = replace(state.hosts["host-000"], cluster=report)
    return page_text(host, FleetState(hosts={host.name: host}), width)


def test_partitions_and_nodes_with_their_free_gpus() -> None:
    text = shown(ClusterReport(name="alps", version="22.05.8", nodes=NODES, partitions=PARTITIONS))
    part = text.partition("Cluster")[2]
    lines = [" ".join(line.split()) for line in part.splitlines()]
    assert "alps 1/8 GPUs free" in lines[0]
    assert any(line.startswith("main default up 1/8 2 none") for line in lines)
    assert any(line.startswith("short drain 0/4 1 1 h") for line in lines)
    assert any(line.startswith("n1 mixed 1/4 24") and line.endswith("h100") for line in lines)
    assert any(line.startswith("n2 drained* 0/4 0") and line.endswith("[red]fans") for line in lines)


def test_a_controller_that_is_away_is_said_and_the_nodes_stay() -> None:
    text = shown(ClusterReport(nodes=NODES, error="h: Slurm says: Unable to contact", hint="scontrol ping"))
    assert "! h: Slurm says: Unable to contact" in text
    assert "Try: scontrol ping" in text
    assert "n1" in text


def test_other_hosts_have_no_cluster() -> None:
    assert "Cluster" not in shown(None)
