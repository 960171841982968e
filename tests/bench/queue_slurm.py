"""What berth costs on a cluster, beside Slurm's own programs and beside our queue without a server.

A job notes when its first instruction ran; all clocks are one machine's.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from backend.access import StandaloneAccess
from backend.config import load
from backend.queues.base import Submission
from backend.queues.docker import DockerQueue
from backend.queues.slurm.engine import SlurmQueue
from tests.bench.table import Figure
from tests.lab import Host, HostSpec, Lab, slurm
from tests.lab.machine import wait_for

JOBS = 1000
IMAGE = "busybox:latest"


def figures(*, quick: bool = False) -> list[Figure]:
    """All of them."""
    specs = [
        HostSpec("c1", slurm="c1", engine="none"),
        *(HostSpec(name, slurm="c1", gpus="nvidia:4") for name in ("n1", "n2")),
        HostSpec("alone", gpus="nvidia:4"),
    ]
    with (
        tempfile.TemporaryDirectory(prefix="berth-bench-") as folder,
        Lab(Path(folder) / "lab", specs) as lab,
    ):
        return asyncio.run(_all(lab, 3 if quick else 9))


async def _all(lab: Lab, runs: int) -> list[Figure]:
    config = load(lab.config_dir)
    async with StandaloneAccess(config) as access:
        cluster = SlurmQueue(config.host("c1"), access)
        alone = DockerQueue(config.host("alone"), access)
        pace(lab, slurm.DEFAULT)
        found = [await _starts(lab, cluster, alone, runs)]
        pace(lab, slurm.QUICK)
        found += await _poll(lab, cluster, runs)
        await alone.close()
    return found


def pace(lab: Lab, scheduler: str) -> None:
    """Slurm's own pace, or the lab's."""
    cluster = [spec for spec in lab.specs if spec.slurm]
    for spec in cluster:
        lab.host(spec.name).put("/etc/slurm/slurm.conf", slurm.conf("c1", cluster, scheduler=scheduler))
    lab.host("c1").run(["scontrol", "reconfigure"])


async def _starts(lab: Lab, cluster: SlurmQueue, alone: DockerQueue, runs: int) -> Figure:
    """Submit to the first instruction, on free machines."""
    for host in ("alone", "n1"):
        lab.host(host).run(["mkdir", "-p", "/home/alice/marks"], user="alice")
    lab.host("c1").put("/home/alice/plain.sh", '#!/bin/sh\n: >"$1"\n', user="alice")
    home = lab.host("c1")
    mounts = (("/home/alice/marks", "/marks", False),)

    async def sbatch(mark: str) -> None:
        argv = ["sbatch", "--output=/dev/null", "/home/alice/plain.sh", f"/home/alice/marks/{mark}"]
        await asyncio.to_thread(home.run, argv, user="alice")

    def by(queue: SlurmQueue | DockerQueue, image: str) -> Callable[[str], Awaitable[object]]:
        folder = "/marks" if image else "/home/alice/marks"

        async def submit(mark: str) -> None:
            job = Submission(
                command=("sh", "-c", ': >"$0"', f"{folder}/{mark}"),
                image=image,
                mounts=mounts if image else (),
                name=mark,
            )
            await queue.submit([job])

        return submit

    ways: dict[str, tuple[Host, Callable[[str], Awaitable[object]]]] = {
        "berth on Slurm, no container": (home, by(cluster, "")),
        "berth on Slurm, docker": (home, by(cluster, IMAGE)),
        "berth without a server, docker": (lab.host("alone"), by(alone, IMAGE)),
        "sbatch": (home, sbatch),
    }
    medians = {name: await _median(name, host, way, runs) for name, (host, way) in ways.items()}
    first, *others = medians
    return Figure(
        f"submit to first instruction, {first}",
        medians[first],
        "ms",
        peers={name: medians[name] for name in others},
        note="Slurm at its default pace",
    )


async def _median(name: str, host: Host, submit: Callable[[str], Awaitable[object]], runs: int) -> float:
    found = []
    for run in range(runs + 1):
        mark = f"{name.replace(' ', '-').replace(',', '')}-{run}"
        path = Path(f"/proc/{host.pid}/root/home/alice/marks/{mark}")
        before = time.time()
        await submit(mark)
        await asyncio.to_thread(wait_for, path.exists, f"{name} to start", seconds=60)
        found.append(1000 * (path.stat().st_mtime - before))
        await asyncio.sleep(1)  # the one before has left its node
    return statistics.median(found[1:])  # the first one also makes connections


async def _poll(lab: Lab, cluster: SlurmQueue, runs: int) -> list[Figure]:
    """A dashboard's question, every two seconds, while many jobs wait."""
    home = lab.host("c1")
    script = f"for n in $(seq {JOBS}); do sbatch --hold --quiet --job-name=job-$n --wrap true || exit; done"
    await asyncio.to_thread(home.run, ["sh", "-c", script], user="alice", timeout=300)
    ours, plain, bulk = [], [], []
    for _ in range(runs):
        before = time.perf_counter()
        rows = await cluster.recent()
        ours.append(1000 * (time.perf_counter() - before))
        assert len(rows) >= JOBS
        for argv, times in ((["squeue"], plain), (["squeue", "--json"], bulk)):
            before = time.perf_counter()
            await asyncio.to_thread(home.run, argv)
            times.append(1000 * (time.perf_counter() - before))
    home.run(["scancel", "--user=alice"])
    return [
        Figure(
            f"one poll of a cluster, {JOBS:,} jobs, rows made",
            statistics.median(ours),
            "ms",
            peers={"squeue": statistics.median(plain), "squeue --json": statistics.median(bulk)},
            note="over SSH; every 2 s while somebody looks",
        )
    ]
