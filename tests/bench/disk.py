"""Reading a hundred thousand files beside du, the first of a large tree, the disk page of this machine."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from backend.disk.scanning import Scanning
from backend.link.local import LocalLink
from tests.bench.table import Figure
from tests.bench.terminal import Terminal
from tests.bench.usage import cpu_seconds, rss

FILES = 100_000
SLOWER = 4.0
"""Times of du that reading may take: it is Python, and knows owners, ages and the largest as well."""

_PATIENCE = 60.0
"""Seconds that a page may take on a machine that does other things too."""


def figures(*, quick: bool = False) -> list[Figure]:
    """Wall times; only ratios and what a person waits for have limits."""
    runs = 3 if quick else 7
    with _planted() as folder:
        ours, theirs, first, memory, work, their_work = [], [], [], [], [], []
        for _ in range(runs):
            took, worked = _du(folder)
            theirs.append(took)
            their_work.append(worked)
            took, begun, held, worked = asyncio.run(_scan(folder))
            ours.append(took)
            first.append(begun)
            memory.append(held)
            work.append(worked)
    return [
        Figure(
            "read 100,000 files in 1,000 folders / du -sk of them, processor time",
            median(work) / median(their_work),
            "x",
            SLOWER,
            {"du": 1.0},
            f"{median(work):.2f} s beside {median(their_work):.2f} s, start of python3 included",
        ),
        Figure(
            "the same, wall time",
            median(ours) / median(theirs),
            "x",
            note=f"{median(ours):.2f} s beside {median(theirs):.2f} s",
        ),
        Figure("memory of the reader then", median(memory) / 1e6, "MB", 80),
        Figure("first rows of that tree, from nothing", median(first), "s", 0.5, note="its process started"),
        Figure("the disk page of this machine, key to rows", _page(runs), "s", 1.0),
    ]


@contextmanager
def _planted() -> Iterator[Path]:
    """The files, in memory where that is possible: no disk is measured."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="berth-bench-", dir=place))
    try:
        for number in range(1000):
            inside = folder / f"a{number % 10}" / f"b{number // 10 % 10}" / f"c{number // 100}"
            inside.mkdir(parents=True)
            for file in range(FILES // 1000):
                (inside / str(file)).write_bytes(b"x")
        yield folder
    finally:
        shutil.rmtree(folder)


def _du(folder: Path) -> tuple[float, float]:
    """Seconds of du: wall, and of a processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(["du", "-sk", folder], capture_output=True, check=True)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def _scan(folder: Path) -> tuple[float, float, int, float]:
    """Seconds for all of it and to the first rows; bytes of memory; seconds of a processor."""
    link = LocalLink("local")
    began = time.perf_counter()
    first = 0.0
    async with Scanning(link, polite=False) as scanning:
        path = await scanning.begin(str(folder), 600)
        while not first:
            found = await scanning.side.listing(path)
            if found.rows:
                first = time.perf_counter() - began
        await scanning.wait()
        took = time.perf_counter() - began
        assert scanning.progress.files == FILES, scanning.progress
        held, worked = rss([scanning.side.pid]), cpu_seconds([scanning.side.pid])
    await link.close()
    return took, first, held, worked


def _page(runs: int) -> float:
    """From the key to the file systems and the first folders."""
    took = []
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as name:
        env = {**os.environ, "BERTH_CONFIG_DIR": name, "BERTH_STATE_DIR": name, "BERTH_CACHE_DIR": name}
        with Terminal([sys.executable, "-m", "tui"], size=(140, 40), env=env) as terminal:
            terminal.wait_for("local")
            terminal.wait_for("up")
            for _ in range(runs):
                time.sleep(1.5)  # the list's own news are drawn
                took.append(terminal.press(b"D", lambda frame: b"usr/" in frame, timeout=_PATIENCE))
                terminal.press(b"q", lambda frame: b"Fleet" in frame, timeout=_PATIENCE)
    return median(took)
