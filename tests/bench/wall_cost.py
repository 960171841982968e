"""`python -m tests.bench.wall_cost`: what a wall of 12 panes costs here, as JSON.

The panes are those of a tmux server of this machine, some busy, some at rest; berth runs on a terminal. Only
its own process counts: the agent and tmux stand for what runs on hosts.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.table import Figure, as_json
from tests.bench.terminal import Terminal
from tests.bench.usage import measure

SIZE = (200, 56)
_LOG = (
    "i=0; while :; do i=$((i+1)); "
    r"printf '\033[32mINFO\033[0m step \033[1m%s\033[0m loss=\033[33m0.0421\033[0m lr=3e-4 tok/s=1827\n' $i; "
    "sleep 0.25; done"
)
_BAR = (
    "i=0; while :; do i=$((i+1)); "
    r"printf '\r\033[36m%3s %%\033[0m |##########     | it/s 12.4' $((i%100)); sleep 0.5; done"
)
_REST = r"printf '\033[1;34m~/work\033[0m $ '; exec sleep 100000"
_WILD = "i=0; while :; do i=$((i+7)); seq $i $((i+30)); sleep 0.3; done"
MIX = (*[_LOG] * 4, *[_BAR] * 4, *[_REST] * 4)
"""As people work: four that write logs, four with a progress bar, four that wait."""


def figures(*, quick: bool = False) -> list[Figure]:
    """All of them."""
    seconds = 8.0 if quick else 30.0
    usual = _cost(MIX, seconds)
    rest = _cost((_REST,) * 12, seconds)
    worst = _cost((_WILD,) * 12, seconds)
    return [
        Figure("wall of 12 panes: CPU", usual["wall"], "%", 10.0, note="4 logs, 4 progress bars, 4 at rest"),
        Figure("the same dashboard without the wall: CPU", usual["before"], "%"),
        Figure("wall of 12 panes at rest: CPU", rest["wall"], "%"),
        Figure("wall of 12 panes that change all over twice a second: CPU", worst["wall"], "%"),
        Figure("wall of 12 panes: memory", usual["memory"], "MB"),
    ]


def _cost(commands: tuple[str, ...], seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="berth-wall-") as name:
        folder = Path(name)
        socket = folder / f"tmux-{os.getuid()}" / "default"
        socket.parent.mkdir(mode=0o700)
        (folder / "config").mkdir()
        (folder / "config/hosts.yaml").write_text("hosts: {}\n")
        env = {
            "BERTH_CONFIG_DIR": str(folder / "config"),
            "BERTH_STATE_DIR": str(folder / "state"),
            "BERTH_CACHE_DIR": str(folder / "cache"),
            "TMUX_TMPDIR": name,
        }
        tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        try:
            for place, command in enumerate(commands):
                run = [*tmux, "new-session", "-d", "-x", "80", "-y", "24", "-s", f"bench-{place}", command]
                subprocess.run(run, check=True)
            with Terminal([str(Path(sys.executable).parent / "berth")], SIZE, env) as terminal:
                return _measured(terminal, seconds)
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)


def _measured(terminal: Terminal, seconds: float) -> dict[str, float]:
    terminal.wait_for("1 host")
    terminal.write(b"7")
    terminal.wait_for("bench-11", timeout=60)
    terminal.settle(timeout=4)
    terminal.write(b"/")
    terminal.run(1)
    terminal.write(b"bench-\r")
    terminal.settle(timeout=4)
    before = measure({"berth": [terminal.pid]}, seconds / 2, terminal.run)["berth"]
    terminal.write(b"w")
    terminal.wait_for("12 panes", timeout=120)
    terminal.run(3)
    costs = [measure({"berth": [terminal.pid]}, seconds / 3, terminal.run)["berth"] for _ in range(3)]
    return {
        "before": before.cpu_percent,
        "wall": statistics.median(cost.cpu_percent for cost in costs),
        "memory": costs[-1].rss_mb,
    }


if __name__ == "__main__":
    if shutil.which("tmux") is None:
        raise SystemExit("tmux is not installed")
    print(json.dumps(as_json(figures(quick="--quick" in sys.argv)), indent=1))
