"""The queue on a lab host, beside `docker run` and task-spooler in the same run."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from backend.bundle import agent_zipapp
from tests.bench.table import Figure
from tests.lab import Host, HostSpec, Lab

WAITING = 10_000


def figures(*, quick: bool = False) -> list[Figure]:
    """All that needs an engine."""
    with (
        tempfile.TemporaryDirectory(prefix="berth-bench-") as folder,
        Lab(Path(folder) / "lab", [HostSpec("queue", gpus="nvidia:8", sshd=False)]) as lab,
    ):
        host = lab.host("queue")
        host.put("/opt/agent.pyz", agent_zipapp()[0], mode=0o755)
        host.put("/opt/bench.py", (Path(__file__).parent / "queue_inside.py").read_bytes())
        return [
            *_starts(host, 3 if quick else 15),
            *_releases(host, 10 if quick else 60),
            *_crowd(host, 20 if quick else 200),
            *_long_line(host),
        ]


def _measure(host: Host, what: str, count: int) -> Any:
    done = host.run(["python3", "/opt/bench.py", what, str(count)], timeout=900)
    return json.loads(done.stdout.splitlines()[-1])


def _starts(host: Host, runs: int) -> list[Figure]:
    took = {key: statistics.median(values) for key, values in _measure(host, "starts", runs).items()}
    beside = {"docker run": took["docker"]}
    rows = (
        ("submit to first instruction over docker run, keeper there", "next", 120.0),
        ("the same, keeper started by it", "first", 120.0),
        ("the same, by a process of its own", "process", None),
        ("the same, and for a GPU: nobody asked the driver before", "gpu", None),
    )
    return [Figure(what, took[key] - took["docker"], "ms", limit, beside) for what, key, limit in rows]


def _releases(host: Host, count: int) -> list[Figure]:
    found = _measure(host, "releases", count)
    spooler = statistics.median(_measure(host, "spooler", 10))
    create = sorted(found["create"])
    note = f"its start, which is the engine's work: {statistics.median(found['start']):.0f} ms"
    return [
        Figure(
            "a container's end to the next one's creation",
            statistics.median(create),
            "ms",
            60.0,
            {"task-spooler, without containers": spooler},
            note,
        ),
        Figure("the same, p99", create[min(len(create) - 1, int(len(create) * 0.99))], "ms", 150.0),
    ]


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
