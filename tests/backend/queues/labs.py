"""berth's command line in a folder, against hosts of the lab that have queues."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.machine import wait_for

IMAGE = "busybox:latest"
INFO = {
    "cpu": 1,
    "docker_shm": "64m",
    "gpus": 1,
    "memory": 1,
    "name": "demo",
    "rp_version": "0.0.1",
    "stdout_to_file": False,
    "tag": "julian_tanke/rp_demo",
    "username": "julian_tanke",
}


class Berth:
    """`berth("jobs")`, run in a folder."""

    def __init__(self, config: Path, folder: Path, state: Path, *, user: str = "") -> None:
        """`user`: who logs in on the hosts, where that is not the lab's own."""
        self.folder = folder
        if user:
            text = (config / "hosts.yaml").read_text()
            config = state / "config"
            config.mkdir(parents=True)
            (config / "hosts.yaml").write_text(f"username: {user}\n" + text.partition("\n")[2])
        self.env = {
            **os.environ,
            "BERTH_CONFIG_DIR": str(config),
            "BERTH_STATE_DIR": str(state),
            "BERTH_CACHE_DIR": str(state),
        }

    def popen(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tui", *words],
            cwd=self.folder,
            env={**self.env, "PYTHONPATH": str(Path(__file__).parents[3])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *words: str, code: int = 0) -> str:
        process = self.popen(*words)
        out, err = process.communicate(timeout=90)
        assert process.returncode == code, f"berth {' '.join(words)}: {process.returncode}, {out} {err}"
        self.said = err
        return out

    def jobs(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self("jobs", "--json", *words))
        return found


def until(what: Callable[[], Any]) -> Any:
    return wait_for(what, "what is waited for", seconds=60)
