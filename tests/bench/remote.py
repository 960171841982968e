"""Over real SSH to lab hosts: a list beside `ssh HOST docker ps`, and a host that is down beside others."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.bench.table import Figure
from tests.bench.terminal import Gone, Terminal
from tests.lab import Lab


def command_line(config: Path, host: str, runs: int) -> list[Figure]:
    """`berth ps` beside `ssh HOST docker ps`, each a process of its own with a connection of its own."""
    entry = yaml.safe_load((config / "hosts.yaml").read_text())
    target = entry["hosts"][host]
    ssh = ["ssh", "-i", entry["identity_file"], "-p", str(target["sshport"]), "-o", "BatchMode=yes"]
    ssh += ["-o", f"UserKnownHostsFile={entry['known_hosts']}", "-o", "IdentitiesOnly=yes"]
    ssh += [f"{entry['username']}@{target['host']}", "docker", "ps"]
    berth = [sys.executable, "-m", "tui", "--config", str(config), "ps", "--host", host]
    ours, theirs = [], []
    for number in range(runs + 1):
        mine, other = _timed(berth), _timed(ssh)
        if number:
            ours.append(mine)
            theirs.append(other)
    return [
        Figure(
            "berth ps --host",
            statistics.median(ours),
            "s",
            peers={"ssh docker ps": statistics.median(theirs)},
        )
    ]


def _timed(argv: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return time.perf_counter() - began


def down_host(lab: Lab, up: str, down: str, folder: Path, runs: int) -> list[Figure]:
    """From exec to the first real row of a host, with another one that swallows packets and without."""
    with_it, without = [], []
    for number in range(runs):
        without.append(_first_row(lab.config_dir, up, folder / f"whole{number}"))
    lab.host(down).partition()
    try:
        for number in range(runs):
            with_it.append(_first_row(lab.config_dir, up, folder / f"partitioned{number}"))
    finally:
        lab.host(down).heal()
    beside, alone = statistics.median(with_it), statistics.median(without)
    return [
        Figure(
            "first row of a host beside one that is down, from exec",
            beside,
            "s",
            1.25 * alone + 0.1,
            {"beside one that is up": alone},
        )
    ]


def _first_row(config: Path, host: str, state: Path) -> float:
    state.mkdir(parents=True)
    row = re.compile(rf"{host} +up\b.{{0,120}}?\d %", re.DOTALL)
    argv = [sys.executable, "-m", "tui", "--config", str(config)]
    with Terminal(argv, env={"XDG_STATE_HOME": str(state)}) as terminal:
        deadline = terminal.started + 30
        while not row.search(terminal.text):
            if time.perf_counter() > deadline:
                raise Gone(f"no row of {host}: {terminal.text[-1500:]!r}")
            terminal.pump(0.02)
        return time.perf_counter() - terminal.started
