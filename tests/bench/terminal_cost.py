"""Time to a prompt inside a container: `ssh -t`, `berth enter` from the shell, `e` in a dashboard.

    python -m tests.bench.terminal_cost [--runs N] [--lab DIR]

Prints one JSON object: medians in milliseconds and the two ratios that have limits. The three are measured in
turn, round by round, so that a busy moment of the machine touches all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.backend.terminal.driver import Driven
from tests.bench.table import Figure
from tests.lab import HostSpec, Lab

PROMPT = b"# "
ENTER_LIMIT, KEY_LIMIT = 1.6, 0.4
HERE = Path(__file__).parent


def _timed(driven: Driven, began: float) -> float:
    driven.expect(PROMPT)
    took = time.perf_counter() - began
    driven.send("exit\r")
    return took


def ssh(lab: Lab) -> float:
    """Seconds that OpenSSH needs, the remote shell being plain `sh`."""
    options = ["-i", str(lab.key), "-o", f"UserKnownHostsFile={lab.config_dir / 'known_hosts'}"]
    place = f"alice@{lab.host('h1').address}"
    began = time.perf_counter()
    with Driven(["ssh", *options, "-t", place, "docker", "exec", "-it", "work", "sh"]) as driven:
        took = _timed(driven, began)
        driven.wait()
    return took


def enter(lab: Lab) -> float:
    """Seconds that `berth enter` needs, from nothing to the prompt of a persistent shell."""
    began = time.perf_counter()
    with Driven([sys.executable, "-m", "tui", "enter", "h1/work"], env=_env(lab)) as driven:
        took = _timed(driven, began)
        driven.wait()
    return took


def key(dashboard: Driven) -> float:
    """Seconds from the key `e` in an open dashboard to that prompt."""
    dashboard.clear()
    began = time.perf_counter()
    dashboard.send("e")
    took = _timed(dashboard, began)
    dashboard.expect(b"busybox")  # it is back
    return took


def _env(lab: Lab) -> dict[str, str]:
    return {
        "BERTH_CONFIG_DIR": str(lab.config_dir),
        "BERTH_STATE_DIR": str(lab.directory / "state"),
        "TMUX": "",
    }


def measure(lab: Lab, runs: int) -> dict[str, float]:
    """All figures. The first round warms up and does not count."""
    if not lab.host("h1").docker("ps", "-q", "--filter", "name=^work$"):
        lab.host("h1").docker("run", "-d", "--name", "work", "busybox:latest", "sleep", "1d")
    times: dict[str, list[float]] = {"ssh": [], "enter": [], "key": []}
    with Driven([sys.executable, "-m", "tui"], size=(150, 40), env=_env(lab)) as dashboard:
        dashboard.expect(b"h1")
        dashboard.send("3")  # containers
        dashboard.expect(b"busybox")
        for _ in range(runs + 1):
            times["ssh"].append(ssh(lab))
            times["enter"].append(enter(lab))
            times["key"].append(key(dashboard))
        dashboard.send("q")
        dashboard.wait()
    median = {name: statistics.median(values[1:]) for name, values in times.items()}
    return {
        "ssh_ms": round(median["ssh"] * 1000, 1),
        "enter_ms": round(median["enter"] * 1000, 1),
        "key_ms": round(median["key"] * 1000, 1),
        "enter_ratio": round(median["enter"] / median["ssh"], 2),
        "enter_limit": ENTER_LIMIT,
        "key_ratio": round(median["key"] / median["ssh"], 2),
        "key_limit": KEY_LIMIT,
    }


def figures(*, quick: bool = False) -> list[Figure]:
    """The two ratios, for the table."""
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder) / "lab", [HostSpec("h1")]) as lab:
        found = measure(lab, 3 if quick else 9)
    beside = {"ssh -t docker exec": found["ssh_ms"]}
    return [
        Figure("`e` in the dashboard to a prompt / ssh -t docker exec", found["key_ratio"], "x", KEY_LIMIT),
        Figure("`berth enter` to a prompt / ssh -t docker exec", found["enter_ratio"], "x", ENTER_LIMIT),
        Figure("`e` in the dashboard to a prompt", found["key_ms"], "ms", peers=beside),
        Figure("`berth enter` to a prompt", found["enter_ms"], "ms", peers=beside),
    ]


def main() -> int:
    """Measure and print; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.terminal_cost", description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--lab", type=Path, help="a lab that is up, with a host h1")
    arguments = parser.parse_args()
    os.chdir(HERE.parent.parent)
    if arguments.lab:
        figures = measure(Lab.attach(arguments.lab), arguments.runs)
    else:
        with tempfile.TemporaryDirectory() as folder, Lab(Path(folder) / "lab", [HostSpec("h1")]) as lab:
            figures = measure(lab, arguments.runs)
    print(json.dumps(figures))
    return int(figures["enter_ratio"] > ENTER_LIMIT or figures["key_ratio"] > KEY_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
