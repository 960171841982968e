"""The queue on a lab host, beside `docker run`, task-spooler, gflow and Slurm in the same run."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from backend.bundle import agent_zipapp
from tests.bench.queue_slurm import pace
from tests.bench.table import Figure
from tests.lab import Host, HostSpec, Lab, slurm

BIN = Path(sys.executable).parent
WAITING = 10_000


def figures(*, quick: bool = False) -> list[Figure]:
    """All that needs an engine."""
    specs = [
        HostSpec("queue", gpus="nvidia:8", sshd=False),
        HostSpec("c1", gpus="nvidia:8", sshd=False, slurm="c1"),
    ]
    with (
        tempfile.TemporaryDirectory(prefix="berth-bench-") as folder,
        Lab(Path(folder) / "lab", specs) as lab,
    ):
        host = lab.host("queue")
        for each in lab.hosts.values():
            each.put("/opt/bench.py", (Path(__file__).parent / "queue_inside.py").read_bytes())
        host.put("/opt/agent.pyz", agent_zipapp()[0], mode=0o755)
        pace(lab, slurm.DEFAULT)
        starts = _measure(host, "starts", 3 if quick else 15)
        return [
            *_starts(starts),
            *_releases(lab, statistics.median(starts["docker"]), 10 if quick else 150, 3 if quick else 10),
            *_crowd(host, 20 if quick else 200),
            *_long_line(host),
        ]


def _measure(host: Host, what: str, count: int) -> Any:
    done = host.run(["python3", "/opt/bench.py", what, str(count)], timeout=900)
    return json.loads(done.stdout.splitlines()[-1])


def _starts(found: dict[str, list[float]]) -> list[Figure]:
    took = {key: statistics.median(values) for key, values in found.items()}
    beside = {"docker run": took["docker"]}
    rows = (
        ("submit to first instruction over docker run, keeper there", "next", 120.0),
        ("the same, keeper started by it", "first", 120.0),
        ("the same, by a process of its own", "process", None),
        ("the same, and for a GPU: nobody asked the driver before", "gpu", None),
    )
    return [Figure(what, took[key] - took["docker"], "ms", limit, beside) for what, key, limit in rows]


def _releases(lab: Lab, docker_run: float, count: int, peers: int) -> list[Figure]:
    """All GPUs freed by one job to the next one's start; two figures, as engines need their time too."""
    host = lab.host("queue")
    found = {what: sorted(times) for what, times in _measure(host, "releases", count).items()}
    others = {
        "task-spooler": statistics.median(_measure(host, "spooler", peers)),
        **_gflow(host, peers),
        "Slurm": statistics.median(_measure(lab.host("c1"), "slurm", peers)),
    }
    create, first = found["create"], found["first"]
    last = min(count - 1, int(count * 0.99))
    note = "peers: to the first instruction of programs without containers; Slurm at its default pace"
    return [
        Figure(
            "GPUs freed to the next container's creation (a `docker run` issued)",
            statistics.median(create), "ms", 60.0, others, note,
        ),
        Figure("the same, p99", create[last], "ms", 150.0),
        Figure(
            "GPUs freed to the next container's first instruction",
            statistics.median(first), "ms",
            peers={"a bare docker run takes": docker_run, **others},
            note=f"p99 {first[last]:.0f} ms; of it, creation and start are the engine's work",
        ),
    ]  # fmt: skip


def _gflow(host: Host, count: int) -> dict[str, float]:
    """gflow (the package runqd) where it is installed beside us."""
    programs = [BIN / name for name in ("gflow", "gflowd", "gbatch", "ginfo", "gcancel")]
    if not all(program.exists() for program in programs):
        return {}
    for program in programs:
        host.put(f"/usr/local/bin/{program.name}", program.read_bytes(), mode=0o755)
    return {"gflow, the next of a chain": statistics.median(_measure(host, "gflow", count))}


def _crowd(host: Host, count: int) -> list[Figure]:
    found = _measure(host, "at_once", count)
    lost = found["sent"] - found["there"]
    order = "order kept" if found["in_order"] else "ORDER LOST"
    note = f"{order}; all there after {found['seconds']:.1f} s"
    return [Figure(f"{count} submits at once by two users: lost", lost, "jobs", 0.0, note=note)]


def _long_line(host: Host) -> list[Figure]:
    found = _measure(host, "long_line", WAITING)
    both = found["memory"].values()
    pss, rss = (sum(each[kind] for each in both) / 1024 for kind in ("pss", "rss"))
    note = f"{WAITING:,} jobs wait, 8 GPUs; {rss:.0f} MB where shared pages count twice"
    cpu = sum(found["cpu_in_10_s"].values()) * 10
    return [
        Figure("memory of keeper and standby", pss, "MB", 30.0, note=note),
        Figure("CPU of both while nothing happens", cpu, "%", 0.0),
        Figure(f"queue list: {WAITING:,} jobs wait", statistics.median(found["list_ms"]), "ms", 1000.0),
    ]
