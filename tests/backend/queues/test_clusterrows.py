"""A cluster's job beside its container on a node that is a host of the fleet."""

from __future__ import annotations

from datetime import UTC, datetime

from backend.model import (
    Container,
    FleetState,
    Gpu,
    GpuReport,
    Hello,
    HostSnapshot,
    HostState,
    JobRow,
)
from backend.queues.clusterrows import with_gpus

AT = datetime(2026, 11, 21, tzinfo=UTC)
JOB = JobRow(
    host="login", engine="slurm", id="7", name="x", owner="ann", state="running", node="n1",
    container="berth-slurm-7", gpus=1, started_at=AT,
)  # fmt: skip


def fleet(*, labels: dict[str, str], name: str = "node-one") -> FleetState:
    gpus = tuple(Gpu(n, f"GPU-{n}", "nvidia", "H100", util_percent=80.0, mem_used=1 << 30) for n in range(2))
    box = Container("c" * 64, "berth-slurm-7", "img", "running", labels=labels, gpus=("GPU-1",))
    node = HostSnapshot(
        name=name,
        address="x",
        state=HostState.UP,
        hello=Hello(1, "n1.cluster", "linux", "6", "x86_64", "3.11", 8, 1, "ann", 1000, 1),
        gpu_report=GpuReport(gpus),
        containers=(box,),
    )
    return FleetState(hosts={name: node})


def test_its_gpus_are_those_of_its_container() -> None:
    (row,) = with_gpus([JOB], fleet(labels={"berth.cluster": "slurm"}))
    assert (row.gpu_uuids, row.util_percent, row.gpu_mem_used) == (("GPU-1",), 80.0, 1 << 30)


def test_somebodys_container_of_that_name_is_not_its_own() -> None:
    assert with_gpus([JOB], fleet(labels={})) == [JOB]


def test_rows_without_a_node_in_the_fleet_stay_as_they_are() -> None:
    rows = [JOB, JobRow(host="h", engine="docker", id="1", name="y", owner="ann", state="running")]
    assert with_gpus(rows, FleetState(hosts={})) == rows
