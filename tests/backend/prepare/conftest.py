"""The real program against hosts of a lab."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import Lab

Berth = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def berth(lab: Lab, tmp_path: Path) -> Berth:
    """Runs it with a home of its own on this machine."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname = Ann O'Neil\nemail = ann@example.org\n")
    own = {"BERTH_STATE_DIR": str(tmp_path / "state"), "HOME": str(home)}

    def run(*words: str, code: int = 0, config: Path = lab.config_dir) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "tui", *words],
            capture_output=True,
            text=True,
            env={**os.environ, "BERTH_CONFIG_DIR": str(config), **own},
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    return run
