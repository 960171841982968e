"""One machine: the first frame, the first row, and what an idle dashboard costs beside its peers."""

from __future__ import annotations

import re
import statistics
import sys
import time
from pathlib import Path

from tests.bench.engine import LocalEngine
from tests.bench.table import Figure
from tests.bench.terminal import Gone, Terminal
from tests.bench.usage import Cost, measure, tree
from tests.lab import nvidia
from tests.lab.gpus import Gpus

BIN = Path(sys.executable).parent
_ROW = re.compile(r"local +up\b.{0,200}?\b100\b", re.DOTALL)
"""The fleet's row of this machine, with its containers counted."""


def first_frame(engine: LocalEngine, folder: Path, runs: int) -> list[Figure]:
    """From exec to the first painted frame, beside the least Textual app; then to footer and first row."""
    empty, ours, whole, rows = [], [], [], []
    for number in range(runs + 1):
        with Terminal([sys.executable, "-m", "tests.bench.empty"]) as terminal:
            floor = terminal.wait_for("row-047")
        with Terminal(_berth(folder), env=_environment(engine, folder / f"state{number}")) as terminal:
            frame = terminal.wait_for("Fleet")
            footer = terminal.wait_for("help")
            row = _first_row(terminal)
        if number:  # the first of each fills the disk's cache
            empty.append(floor)
            ours.append(frame)
            whole.append(footer)
            rows.append(row - frame)
    floor, frame = statistics.median(empty), statistics.median(ours)
    return [
        Figure("first frame: header and frame", frame, "s", peers={"empty Textual app": floor}),
        Figure("the same with footer and what was known last", statistics.median(whole), "s"),
        Figure("first frame against the empty app", frame / floor, "x", 1.25),
        Figure("first row of an engine with 100 containers, after that", statistics.median(rows), "s", 0.6),
    ]


def _first_row(terminal: Terminal) -> float:
    deadline = terminal.started + 20
    while not _ROW.search(terminal.text):
        if time.perf_counter() > deadline:
            raise Gone(f"no row of the local engine: {terminal.text[-1500:]!r}")
        terminal.pump(0.05)
    return time.perf_counter() - terminal.started


def idle(engine: LocalEngine, folder: Path, seconds: float) -> list[Figure]:
    """A dashboard that nobody touches, its agent and the daemon meanwhile, with 100 containers and 8 GPUs."""
    gpus = folder / "gpus"
    gpus.mkdir()
    nvidia.write(Gpus(gpus, "nvidia:8", "bench"))
    quiet = measure({"dockerd": [engine.pid]}, seconds / 2)["dockerd"].cpu_percent
    env = {**_environment(engine, folder / "idle"), **nvidia.environment(gpus)}
    with Terminal(_berth(folder), env=env) as terminal:
        _first_row(terminal)
        terminal.run(5)
        agents = [pid for pid in tree(terminal.pid) if pid != terminal.pid]
        started = {pid: _command(pid) for pid in agents}
        before = _nvml_calls(gpus)
        costs = measure(
            {"dashboard": [terminal.pid], "agent": agents, "dockerd": [engine.pid]}, seconds, terminal.run
        )
        calls = (_nvml_calls(gpus) - before) / seconds
    peers, daemon, nvitop_calls = _peers(engine, gpus, seconds)
    app, agent = costs["dashboard"], costs["agent"]
    cpu = {name: cost.cpu_percent for name, cost in peers.items()}
    memory = {name: cost.rss_mb for name, cost in peers.items()}
    return [
        Figure("idle dashboard, 100 containers, 8 GPUs: CPU", app.cpu_percent, "%", 3.0, cpu),
        Figure("idle dashboard, 100 containers, 8 GPUs: memory", app.rss_mb, "MB", 90.0, memory),
        Figure("its agent: CPU", agent.cpu_percent, "%", 1.0),
        Figure("its agent: memory", agent.rss_mb, "MB", 25.0, note=_several(started)),
        Figure("its agent: NVML calls", calls, "/s", 40.0, {"nvitop": nvitop_calls}),
        Figure(
            "dockerd while watched: CPU",
            costs["dockerd"].cpu_percent,
            "%",
            peers={"under docker stats": daemon, "alone": quiet},
        ),
    ]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return "gone"


def _several(started: dict[int, str]) -> str:
    """What was counted, where it was more than the one agent."""
    return "" if len(started) < 2 else " + ".join(started.values())


def _nvml_calls(folder: Path) -> int:
    return sum(nvidia.calls(folder).values())


def _peers(engine: LocalEngine, gpus: Path, seconds: float) -> tuple[dict[str, Cost], float, float]:
    """What others cost; dockerd's CPU under docker stats; nvitop's NVML calls a second."""
    found: dict[str, Cost] = {}
    with Terminal(["docker", "stats"], env=engine.env) as terminal:
        terminal.wait_for("CONTAINER ID")
        terminal.run(5)
        costs = measure({"client": tree(terminal.pid), "daemon": [engine.pid]}, seconds, terminal.run)
        found["docker stats"], daemon = costs["client"], costs["daemon"].cpu_percent
    env = {**engine.env, **nvidia.environment(gpus)}
    with Terminal([str(BIN / "glances"), "--disable-check-update"], env=env) as terminal:
        terminal.run(10)
        found["glances"] = measure({"all": tree(terminal.pid)}, seconds, terminal.run)["all"]
    with Terminal([str(BIN / "nvitop"), "--monitor", "full"], env=env) as terminal:
        terminal.run(8)
        before = _nvml_calls(gpus)
        found["nvitop"] = measure({"all": tree(terminal.pid)}, seconds, terminal.run)["all"]
        calls = (_nvml_calls(gpus) - before) / seconds
    return found, daemon, calls


def _berth(folder: Path) -> list[str]:
    config = folder / "config"
    config.mkdir(exist_ok=True)
    return [sys.executable, "-m", "tui", "--config", str(config)]


def _environment(engine: LocalEngine, state: Path) -> dict[str, str]:
    """A home nobody has used, so that nothing is known of an earlier run."""
    state.mkdir(exist_ok=True)
    return {**engine.env, "XDG_STATE_HOME": str(state), "XDG_CACHE_HOME": str(state.parent / "cache")}
