"""`python -m tests.bench`: berth's figures beside its limits and its peers, all measured in this run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from tests.bench import fleet, local, remote
from tests.bench.engine import LocalEngine
from tests.bench.table import Figure, as_json, markdown


def main(argv: list[str] | None = None) -> int:
    """Measure, print one table; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: a first impression")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--only", action="append", choices=_MEASURE, help="one part; may be repeated")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    found: list[Figure] = []
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        # What is installed is compiled once; only where it lies in a checkout may that be switched off.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{folder}/compiled"
        for part in options.only or _MEASURE:
            say(f"measuring: {part} ...")
            try:
                found += _MEASURE[part](Path(folder), options.quick)
            except Exception as error:
                problems.append(f"{part}: {type(error).__name__}: {error}")
    machine = f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs"
    print(f"{machine}, Python {platform.python_version()}\n")
    print(markdown(found))
    for problem in problems:
        print(f"\nnot measured: {problem}")
    if options.json:
        options.json.write_text(json.dumps(as_json(found), indent=1) + "\n")
    return 1 if problems or any(figure.ok is False for figure in found) else 0


def say(text: str) -> None:
    """Tell whoever waits; the table alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def _local(folder: Path, quick: bool) -> list[Figure]:
    with LocalEngine(containers=100) as engine:
        return [
            *local.first_frame(engine, folder, 3 if quick else 9),
            *local.idle(engine, folder, 10 if quick else 30),
        ]


def _module(name: str) -> Callable[[Path, bool], list[Figure]]:
    """A part that is a module of its own with `figures(quick=...)`."""

    def figures(folder: Path, quick: bool) -> list[Figure]:
        found: list[Figure] = import_module(f"tests.bench.{name}").figures(quick=quick)
        return found

    return figures


def _fleet(folder: Path, quick: bool) -> list[Figure]:
    return fleet.large_fleet(folder, 100, 100, rounds=3 if quick else 12, seconds=8 if quick else 20)


def _remote(folder: Path, quick: bool) -> list[Figure]:
    from tests.lab import HostSpec, Lab

    with Lab(folder / "lab", [HostSpec("near"), HostSpec("far")]) as lab:
        for number in range(10):
            argv = ["run", "-d", "--name", f"bench-{number}", "busybox:latest", "sleep", "100000"]
            lab.host("near").docker(*argv)
        runs = 3 if quick else 9
        return [
            *remote.command_line(lab.config_dir, "near", runs),
            *remote.down_host(lab, "near", "far", folder, runs),
        ]


_MEASURE: dict[str, Callable[[Path, bool], list[Figure]]] = {
    "local": _local,
    "agent": _module("agent_cost"),
    "fleet": _fleet,
    "remote": _remote,
    "logs": _module("logs_cost"),
    "wall": _module("wall_cost"),
    "terminals": _module("terminal_cost"),
    "actions": _module("actions_cost"),
    "queue": _module("queue"),
    "slurm": _module("queue_slurm"),
    "sync": _module("sync"),
    "disk": _module("disk"),
    "tunnels": _module("tunnels"),
    "everywhere": _module("everywhere"),
    "builds": _module("builds"),
    "recipes": _module("recipes"),
}

if __name__ == "__main__":
    sys.exit(main())
