"""A large fleet, recorded: how soon a key is answered, and what watching 10,000 containers costs."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench.table import Figure
from tests.bench.terminal import Terminal
from tests.bench.usage import Cost, measure

_PACE = 0.15
"""Seconds between two keys: faster than people read, slower than they hold a key down."""
_ROW = re.compile(rb"48;2;(\d+;\d+;\d+)m *(host-\d+)\b")
"""The beginning of a host's row: the colour behind it, and its name."""


def large_fleet(folder: Path, hosts: int, containers: int, rounds: int, seconds: float) -> list[Figure]:
    """Keys, CPU and memory of the dashboard on `hosts` hosts with `containers` containers each."""
    socket = folder / "replay.sock"
    argv = [sys.executable, "-m", "tests.bench.replay", str(socket)]
    argv += ["--hosts", str(hosts), "--containers", str(containers)]
    player = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        assert player.stdout is not None
        player.stdout.readline()
        dashboard = [sys.executable, "-m", "tests.bench.dashboard", str(socket), str(hosts)]
        env = {"XDG_STATE_HOME": str(folder / "fleetstate")}
        with Terminal(dashboard, env=env) as terminal:  # compiles what it imports, as installing it does
            terminal.wait_for("host-001", "up", f"{hosts} hosts")
            for key, view in _VIEWS:
                terminal.press(key, _shows(view))
        with Terminal(dashboard, env=env) as terminal:
            terminal.wait_for("host-001", "up", f"{hosts} hosts")
            terminal.run(10)
            first = [terminal.press(key, _shows(view)) for key, view in _VIEWS]
            times = _keys(terminal, rounds)
            costs = _costs(terminal, seconds)
    finally:
        player.kill()
        player.wait()
    moves = [took for key, took, _ in times if key not in dict(_VIEWS)]
    views = [took for key, took, _ in times if key in dict(_VIEWS)]
    every = [*moves, *views]
    fed = _p99([took - starved for _, took, starved in times])
    name = f"{hosts} x {containers}"
    worst = max(costs.values(), key=lambda cost: cost.cpu_percent)
    return [
        Figure(f"{name}: key to painted frame, p50", 1000 * statistics.median(every), "ms"),
        Figure(f"{name}: key to painted frame, p99", _p99(every), "ms", 60.0, note=f"{len(every)} keys"),
        Figure(f"{name}: the same without waiting for a free CPU, p99", fed, "ms"),
        Figure(f"{name}: moves of the cursor, p99", _p99(moves), "ms", note=f"{len(moves)} keys"),
        Figure(f"{name}: changes of view, p50", 1000 * statistics.median(views), "ms"),
        Figure(f"{name}: changes of view, p99", _p99(views), "ms", note=f"{len(views)} keys"),
        Figure(f"{name}: a view's very first opening, slowest", 1000 * max(first), "ms"),
        Figure(f"{name}: CPU, fleet view", costs["fleet"].cpu_percent, "%", 20.0),
        Figure(f"{name}: CPU, busiest view", worst.cpu_percent, "%", 20.0),
        Figure(f"{name}: memory", max(cost.rss_mb for cost in costs.values()), "MB", 220.0),
    ]


_VIEWS = (
    (b"2", rb"GPUs \d"),
    (b"3", rb"Containers \d"),
    (b"6", rb"Images \d"),
    (b"1", rb"Fleet \d"),
)


def _shows(pattern: bytes) -> Callable[[bytes], bool]:
    """The frame paints a view's frame, whose title has its count."""
    return lambda frame: re.search(pattern, re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", frame)) is not None


class Cursor:
    """Where the cursor is painted: told by its colour, which is learned from a screen at rest."""

    def __init__(self, painted: bytes) -> None:
        """`painted`: all that was written to the terminal so far, one row in the cursor's colour."""
        grounds = [ground for ground, _ in _ROW.findall(painted)]
        usual = max(set(grounds), key=grounds.count, default=b"")
        self._ground = next((ground for ground in reversed(grounds) if ground != usual), None)
        assert self._ground is not None, "no row was ever painted in another colour than the others"
        self._on = b""

    def arrives(self, name: bytes | None = None) -> Callable[[bytes], bool]:
        """The frame paints the cursor on that host, or on any but the one where it was."""
        before = self._on

        def answered(frame: bytes) -> bool:
            rows = [row for ground, row in _ROW.findall(frame) if ground == self._ground]
            self._on = next((row for row in rows if (row != before if name is None else row == name)), b"")
            return bool(self._on)

        return answered


def _p99(times: list[float]) -> float:
    return 1000 * sorted(times)[min(len(times) - 1, int(0.99 * len(times)))]


def _keys(terminal: Terminal, rounds: int) -> list[tuple[bytes, float, float]]:
    """Moves, pages and changes of view, each timed to the end of the frame that shows its effect.

    Each with the seconds of that time in which the program waited for a free CPU.
    """
    times: list[tuple[bytes, float, float]] = []
    cursor = Cursor(terminal.output)

    def press(key: bytes, answered: Callable[[bytes], bool]) -> None:
        took = terminal.press(key, answered)
        times.append((key, took, terminal.starved))
        terminal.run(_PACE)

    for _ in range(rounds):
        press(b"g", cursor.arrives(b"host-000")) if times else None
        for place in range(1, 11):
            press(b"j", cursor.arrives(b"host-%03d" % place))
        for place in range(9, 4, -1):
            press(b"k", cursor.arrives(b"host-%03d" % place))
        press(b"\x1b[6~", cursor.arrives())
        press(b"\x1b[6~", cursor.arrives())
        for key, view in _VIEWS:
            press(key, _shows(view))
    return times


def _costs(terminal: Terminal, seconds: float) -> dict[str, Cost]:
    """What each view costs while nobody touches it."""
    found = {}
    for (key, view), name in zip(_VIEWS, ("gpus", "containers", "images", "fleet"), strict=True):
        terminal.press(key, _shows(view))
        terminal.run(2)
        found[name] = measure({"app": [terminal.pid]}, seconds, terminal.run)["app"]
    return found
