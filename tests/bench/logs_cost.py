"""`python -m tests.bench.logs_cost`: what logs cost, as JSON: following a busy one, opening one of 1 GB.

The container writes 2,000 lines a second on a host that is reached over SSH; berth runs on a terminal.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.table import Figure, as_json
from tests.bench.terminal import Terminal
from tests.bench.usage import measure, tree
from tests.lab import Host, HostSpec, Lab

_BURST = 100
_BUSY = (
    "i=0; while :; do seq 1 {burst} > /tmp/n; "
    r'sed "s/.*/\x1b[32mINFO\x1b[0m step & loss=0.0421 lr=3e-4 tokens_per_second=182734/" /tmp/n; '
    "usleep {pause}; done"
)
"""Bursts of lines as a shell without any tools can write them; 2,000 a second, measured by what arrives."""
_WRITE_LOG = """
import sys
line = '{"log":"step %09d loss=0.0421 lr=3e-4 tokens_per_second=182734 gpu_mem=71.2G\\\\n","stream":"stdout",'
line += '"time":"2026-01-01T%02d:%02d:%02d.%09dZ"}\\n'
path, size = sys.argv[1], int(sys.argv[2])
written = number = 0
with open(path, "w") as file:
    while written < size:
        lines = []
        for number in range(number, number + 10000):
            second = number // 200
            clock = second // 3600 % 24, second // 60 % 60, second % 60, number % 200 * 5000000
            lines.append(line % (number, *clock))
        number += 1
        written += file.write("".join(lines))
"""
SIZE = (160, 48)


def figures(*, quick: bool = False) -> list[Figure]:
    """All of them."""
    with (
        tempfile.TemporaryDirectory(prefix="berth-logs-") as name,
        Lab(Path(name) / "lab", [HostSpec("box")]) as lab,
    ):
        host, folder = lab.host("box"), Path(name)
        return [*_opening(lab, host, folder, 2 if quick else 5), *_following(lab, host, folder, quick)]


def _dashboard(lab: Lab, folder: Path) -> Terminal:
    env = {"BERTH_CONFIG_DIR": str(lab.config_dir), "BERTH_STATE_DIR": str(folder / "state")}
    return Terminal(
        [str(Path(sys.executable).parent / "berth")], SIZE, {**env, "BERTH_CACHE_DIR": str(folder / "cache")}
    )


def _following(lab: Lab, host: Host, folder: Path, quick: bool) -> list[Figure]:
    """A dashboard that follows 2,000 lines a second."""
    pause = 1_000_000 * _BURST // 2_000
    host.docker("run", "-d", "--name", "busy", "busybox", "sh", "-c", _BUSY.format(burst=_BURST, pause=pause))
    before = _lines(host, "busy")
    seconds = 10.0 if quick else 30.0
    with _dashboard(lab, folder) as terminal:
        terminal.wait_for("1 host")
        terminal.write(b"3")
        terminal.wait_for("busy", timeout=60)
        terminal.settle(timeout=3)
        berth = [terminal.pid]
        idle = measure({"berth": berth}, 3, terminal.run)["berth"]
        terminal.write(b"l")
        terminal.wait_for("following", timeout=90)
        terminal.run(5)
        costs = [
            measure({"berth": tree(terminal.pid)[:1]}, seconds, terminal.run)["berth"]
            for _ in range(2 if quick else 4)
        ]
        latencies = [
            terminal.press(key, _painted)
            for key in (b"t", b"w", b"t", b"w", b"t", b"w") * (1 if quick else 4)
        ]
        lines = _lines(host, "busy") - before
    after_60 = costs[1].rss_mb
    host.docker("rm", "-f", "busy")
    return [
        Figure(
            "following 2,000 lines/s: CPU", statistics.median(cost.cpu_percent for cost in costs), "%", 25.0
        ),
        Figure("following 2,000 lines/s: memory after 60 s", after_60, "MB", 120.0),
        Figure(
            "following 2,000 lines/s: memory after that",
            max(0.0, costs[-1].rss_mb - after_60),
            "MB more",
            4.0,
        ),
        Figure(
            "following 2,000 lines/s: a key is answered, median",
            1000 * statistics.median(latencies),
            "ms",
            100.0,
        ),
        Figure("following 2,000 lines/s: a key is answered, worst", 1000 * max(latencies), "ms"),
        Figure("the same dashboard before: memory", idle.rss_mb, "MB"),
        Figure("lines that were written", lines, "lines"),
    ]


def _painted(data: bytes) -> bool:
    return len(data) > 2000  # the whole page looks different


def _lines(host: Host, name: str) -> int:
    path = host.docker("inspect", "--format", "{{.LogPath}}", name)
    return int(host.run(["wc", "-l", path]).stdout.split()[0])


def _opening(lab: Lab, host: Host, folder: Path, runs: int) -> list[Figure]:
    """The first screen of a log of 1 GB, by key and by verb."""
    host.docker("run", "--name", "big", "busybox", "true")
    path = host.docker("inspect", "--format", "{{.LogPath}}", "big")
    host.run(["python3", "-c", _WRITE_LOG, path, str(10**9)])
    last = host.run(["tail", "-n", "1", path]).stdout.split()[1]
    opened: list[float] = []
    for _ in range(runs):
        with _dashboard(lab, folder) as terminal:
            terminal.wait_for("1 host")
            terminal.write(b"3")
            terminal.wait_for("big", timeout=60)
            terminal.settle(timeout=5)
            opened.append(terminal.press(b"l", _shows(last), timeout=30))
    verbs = []
    for _ in range(runs):
        argv = [str(Path(sys.executable).parent / "berth"), "logs", "box/big", "--tail", "100"]
        with Terminal(argv, SIZE, {"BERTH_CONFIG_DIR": str(lab.config_dir)}) as terminal:
            verbs.append(terminal.wait_for(last))
    host.docker("rm", "-f", "big")
    return [
        Figure("opening a log of 1 GB: first screen", statistics.median(opened), "s", 0.5),
        Figure("berth logs --tail 100 of 1 GB: last line", statistics.median(verbs), "s"),
    ]


def _shows(text: str) -> Callable[[bytes], bool]:
    return lambda data: text.encode() in data


if __name__ == "__main__":
    print(json.dumps(as_json(figures(quick="--quick" in sys.argv)), indent=1))
