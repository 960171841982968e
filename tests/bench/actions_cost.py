"""An action on 50 containers of three hosts at once, and the report of 20 contexts on three hosts."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.table import Figure
from tests.lab import HostSpec, Lab

HOSTS = ("one", "two", "three")
CONTAINERS = 50
CONTEXTS = 20


def figures(*, quick: bool = False) -> list[Figure]:
    """Wall time of whole commands: start of Python and three logins are part of it."""
    runs = 3 if quick else 7
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as name:
        folder = Path(name)
        with Lab(folder / "lab", [HostSpec(host) for host in HOSTS]) as lab:
            names = _containers(lab)
            _contexts(lab, names)
            env = {
                **os.environ,
                "BERTH_CONFIG_DIR": str(lab.config_dir),
                "BERTH_STATE_DIR": str(folder / "state"),
            }
            report = [_timed(["report"], env) for _ in range(runs)]
            together = [
                _timed(["pause", *names], env) + _timed(["unpause", *names], env) for _ in range(runs)
            ]
            one = [_timed(["pause", names[0]], env) + _timed(["unpause", names[0]], env) for _ in range(runs)]
    return [
        Figure("report of 20 contexts on 3 hosts", statistics.median(report), "s", 1.5),
        Figure(
            "pause and unpause 50 containers of 3 hosts / of one container",
            statistics.median(together) / statistics.median(one),
            "x",
            note="side by side; one after another would be 50",
        ),
    ]


def _containers(lab: Lab) -> list[str]:
    names = []
    for number in range(CONTAINERS):
        host = HOSTS[number % len(HOSTS)]
        lab.host(host).docker("run", "-d", "--name", f"c{number}", "busybox:latest", "sleep", "100000")
        names.append(f"{host}/c{number}")
    return names


def _contexts(lab: Lab, names: list[str]) -> None:
    folder = lab.config_dir / "contexts"
    for file in folder.glob("*.yaml"):
        file.unlink()
    for number in range(CONTEXTS):
        host, _, container = names[number].partition("/")
        text = f"host: {host}\nimage: busybox:latest\ncontainer: {container}\n"
        (folder / f"ctx{number}.yaml").write_text(text)


def _timed(words: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tui", *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - began
