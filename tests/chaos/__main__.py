"""`python -m tests.chaos --faults 500 --seed 7`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.run import run
from tests.chaos.world import slow_down
from tests.lab import HostSpec, Lab


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="names of faults, separated by commas")
    parser.add_argument("--live-restore", action="store_true", help="containers outlive their engine")
    parser.add_argument("--cpu", type=int, default=0, help="percent of one CPU for the whole host")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="berth-chaos-") as folder:
        spec = HostSpec("chaos", gpus="nvidia:8", sshd=False, live_restore=arguments.live_restore)
        with Lab(Path(folder) / "lab", [spec]) as lab:
            only = [name for name in arguments.only.split(",") if name]
            slow_down(lab.host("chaos"), arguments.cpu)
            report = run(
                lab, arguments.faults, arguments.seed, only, say=lambda text: print(text, flush=True)
            )
    print(report.text())
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
